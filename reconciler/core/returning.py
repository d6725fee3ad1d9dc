"""How many clusters are put back at once: all waves together, up to the policy's own limit."""

from __future__ import annotations

from reconciler.core.judging import has_failed, is_healthy
from reconciler.core.reach import has_begun
from reconciler.core.view import CellView
from reconciler.model.actions import Deliver
from reconciler.model.facts import Member
from reconciler.model.health import HealthStatus
from reconciler.model.release import Revision


def at_once(view: CellView, target: Revision, orders: tuple[Deliver, ...]) -> tuple[Deliver, ...]:
    """Returns those of some orders that may be given now, on the way to what is proven here.

    What a cluster was asked for already is always said again. Who fails goes first. Whoever has not come back in
    time, or cannot be given it, takes nobody's place: one that is stuck must not keep the others on what is bad.
    A policy that cannot be read limits nothing.
    """
    policy = view.cell.ask.policy
    if policy is None:
        return orders
    most = policy.return_at_once.of(len(view.cell.members))
    again = tuple(o for o in orders if _is_begun(view.cell.member(o.cluster), o.revision))
    fresh = sorted((o for o in orders if o not in again), key=lambda o: not _fails(view, o))
    changing = sum(
        _is_changing(member, target, policy.progress_deadline_s) for member in view.cell.members
    )
    return (*again, *fresh[: max(0, most - changing)])


def _is_begun(member: Member | None, target: Revision) -> bool:
    if member is not None and member.order is not None:
        return member.order.revision == target.id
    return member is not None and has_begun(member, target)


def _is_changing(member: Member, target: Revision, deadline_s: float) -> bool:
    is_late = member.is_late(target.id, deadline_s)
    is_stuck = is_late or has_failed(member, target) or member.retried(target.id) is not None
    is_back = is_healthy(member, target, for_s=0.0)
    return member.reachable and _is_begun(member, target) and not is_stuck and not is_back


def _fails(view: CellView, order: Deliver) -> bool:
    member = view.cell.member(order.cluster)
    return member is not None and member.health.status is HealthStatus.FAILED
