"""Which clusters must still be given what is admitted."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.gates import is_returning, proof_of
from reconciler.core.judging import is_healthy, is_refused
from reconciler.core.rejections import against, ways_back
from reconciler.core.view import CellView
from reconciler.model.actions import Action, Deliver, Hold, Withdraw
from reconciler.model.facts import Member, Ordered
from reconciler.model.fleet import ClusterState
from reconciler.model.names import ClusterName, RevisionId
from reconciler.model.policy import DriftMode
from reconciler.model.reasons import Reason
from reconciler.model.records import ApplyState, Origin
from reconciler.model.release import Revision

KEPT_MAX = 3
"""What is admitted and two to go back to: a proven one may turn out bad within its watch window."""


def deliveries(
    view: CellView, revision: Revision, members: tuple[Member, ...]
) -> tuple[Deliver, ...]:
    """Returns an order for each known member whose record does not yet ask for exactly this.

    A suspended member gets none, and neither does one that cannot be read: an order to it would
    rest on nothing.
    """
    orders = []
    for member in members:
        if not member.known or member.suspended:
            continue
        order = _order(view, revision, member)
        if not _is_carried_out(member, order):
            orders.append(order)
    return tuple(orders)


def withdrawals(
    view: CellView, moves: tuple[Action, ...], if_read: tuple[Action, ...]
) -> tuple[Withdraw, ...]:
    """Returns what to take back of what waits: a cluster that cannot take an order now must not do so later.

    An order that is still wanted is planned again as long as it is not carried out. What is proven and was
    refused is not ordered again unchanged, and tried on all the same: the server may think better of it.
    A cluster that does not answer drops what waits for it by itself; one that is being read, as it also is
    while it carries something out, gets no order and could take the one that waits.

    Args:
        view: The cell; its record is known.
        moves: What else is planned for it, to the end: none of it changes the record.
        if_read: What would be planned if each cluster that an order waits for had been read.
    """
    if any(isinstance(a, Hold) and a.reason is Reason.RENDERING for a in moves):
        # A moment's wait; what waits goes on being waited for by the same stopwatch.
        return of_those_that_left(view)
    ordered = {action.cluster for action in moves if isinstance(action, Deliver)}
    standing = {(a.cluster, a.revision.id) for a in if_read if isinstance(a, Deliver)}
    waits = (
        member.cluster
        for member in view.cell.members
        if member.reachable
        and member.order is not None
        and member.cluster not in ordered
        and (member.known or (member.cluster, member.order.revision) not in standing)
        and not _is_tried_on(view, member, member.order)
    )
    return (*_withdrawn(view, waits), *of_those_that_left(view))


def of_those_that_left(view: CellView) -> tuple[Withdraw, ...]:
    """Returns what to take back where HEAD means the service to be no more, whatever the record says."""
    return _withdrawn(view, view.cell.leaving)


def _withdrawn(view: CellView, clusters: Iterable[ClusterName]) -> tuple[Withdraw, ...]:
    return tuple(
        Withdraw(
            view.service,
            view.environment,
            cluster,
            "NotWanted",
            f"what waits for {cluster} is not asked for any more",
        )
        for cluster in clusters
    )


def _is_tried_on(view: CellView, member: Member, order: Ordered) -> bool:
    record = member.record
    return (
        record is not None
        and record.revision.id == order.revision
        and is_refused(record)
        and proof_of(view.cell, record.revision) is not None
    )


def _order(view: CellView, revision: Revision, member: Member) -> Deliver:
    record = view.cell.record
    returning, overwrite = _returns(view, revision, member), view.cell.ask.adopt_overwrite
    rejection = record.rejections[0] if record is not None and record.rejections else None
    proof = proof_of(view.cell, revision)
    return Deliver(
        service=view.service,
        environment=view.environment,
        cluster=member.cluster,
        revision=revision,
        returning=returning,
        # What was adopted and not yet seen healthy for its soak lets nothing be pruned.
        proven=proof is not None and proof.opens_gates and not returning,
        drift=drift_mode(view, member),
        keep=_kept(view, revision),
        reason="RollingBack" if returning else "Deliver",
        message=f"{revision.release.version} to {member.cluster}",
        rejection=None if view.cell.record_saved else rejection,
        overwrite=overwrite,
        adopted=None if returning or overwrite else _adopted(view, revision, member),
    )


def _adopted(view: CellView, revision: Revision, member: Member) -> Revision | None:
    """Returns what was found to stand there when it was adopted, and never delivered since; None if it is asked for."""
    proofs = view.cell.record.proofs if view.cell.record is not None else ()
    if member.record is not None and member.record.render_digest is not None:
        return None
    adopted = (p for p in proofs if p.origin is Origin.ADOPTED and member.cluster in p.members)
    return next((p.revision for p in adopted if p.revision.id != revision.id), None)


def _returns(view: CellView, revision: Revision, member: Member) -> bool:
    """Tells whether a cluster is put back, as one that nobody waits for still is after its environment is back."""
    record = member.record
    if is_returning(view.cell) or record is None or member.state is ClusterState.ACTIVE:
        return is_returning(view.cell)
    if record.revision.id != revision.id:
        return against(view, record.revision) is not None
    return record.returning and not is_healthy(member, revision, for_s=0.0)


def drift_mode(view: CellView, member: Member) -> DriftMode:
    """Returns the policy's mode; while the policy cannot be read, the one the cluster has."""
    if view.cell.ask.policy is not None:
        return view.cell.ask.policy.drift
    return member.record.drift if member.record is not None else DriftMode.REPORT


def _kept(view: CellView, revision: Revision) -> tuple[RevisionId, ...]:
    record = view.cell.record
    back = [record.rollout.restore_to] if record and record.rollout else []
    ids = [r.id for r in (revision, *back, *ways_back(view.cell)) if r is not None]
    return tuple(dict.fromkeys(ids))[:KEPT_MAX]


def _is_carried_out(member: Member, order: Deliver) -> bool:
    record = member.record
    # What was ordered before and could not be carried out yet would still be, if nothing took its place.
    if record is None or (member.order is not None and member.order.revision != order.revision.id):
        return False
    return (
        record.revision.id == order.revision.id
        and record.returning == order.returning
        and record.proven == order.proven
        and record.drift == order.drift
        and record.keep == order.keep
        and record.rejection == order.rejection
        # Done is what was all applied, or refused, which is not sent again unchanged.
        and (
            is_refused(record)
            or (record.state is ApplyState.APPLIED and member.is_on(order.revision.id))
        )
    )
