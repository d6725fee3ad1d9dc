"""What a cluster is meant to run that no wave speaks of: one that joins, drains, or was away."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.core import rejections
from reconciler.core.delivering import deliveries, drift_mode
from reconciler.core.judging import to_go_back
from reconciler.core.view import CellView
from reconciler.model.actions import Deliver
from reconciler.model.facts import Member
from reconciler.model.fleet import ClusterState
from reconciler.model.release import Revision


def put_right(view: CellView, target: Revision, members: tuple[Member, ...]) -> tuple[Deliver, ...]:
    """Returns an order for each of some clusters that does not run what it is meant to.

    Args:
        view: The cell.
        target: What its environment is on, or goes back to.
        members: Those that no roll-out speaks of.
    """
    return tuple(_orders(view, target, members))


def _orders(view: CellView, target: Revision, members: tuple[Member, ...]) -> Iterator[Deliver]:
    for member in members:
        meant = meant_for(view, member, target)
        if meant is not None and not _is_left_alone(view, member, meant):
            yield from deliveries(view, meant, (member,))


def meant_for(view: CellView, member: Member, target: Revision) -> Revision | None:
    """Returns what a cluster is meant to run beside all waves; None: it is left as it is.

    One that drains keeps what it was given last, unless that is bad.
    """
    if member.state is not ClusterState.DRAINING:
        return target
    own = member.record.revision if member.record is not None else None
    if own is None or rejections.against(view, own) is None:
        return own
    return rejections.allowed(view, own)


def runs_rejected(view: CellView, member: Member) -> bool:
    """Tells whether a cluster was given what may not run there, or is on its way back from it."""
    record = member.record
    if record is None:
        return False
    return record.returning or rejections.against(view, record.revision) is not None


def to_return(view: CellView, target: Revision) -> tuple[Member, ...]:
    """Returns the members that a roll-back waits for: the active ones, or where none can be, whoever goes back.

    One that answers and was not read yet may run the bad one.
    """
    active = to_go_back(view.cell.active)
    if active:
        return active
    others = (m for m in view.cell.members if m.state is not ClusterState.ACTIVE)
    back = (m for m in others if not m.known or meant_for(view, m, target) == target)
    return to_go_back(tuple(back))


def _is_left_alone(view: CellView, member: Member, meant: Revision) -> bool:
    """Tells whether one that drains is as it should be: what is released meanwhile does not concern it."""
    record = member.record
    return (
        member.state is ClusterState.DRAINING
        and record is not None
        and member.order is None
        and member.is_on(meant.id)
        and not record.returning
        and record.rejection is None
        and record.drift is drift_mode(view, member)
    )
