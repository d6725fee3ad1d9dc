"""The gate of services that are moved as one, and what becomes of the others when one of them is rejected."""

from __future__ import annotations

from reconciler.core.gate import closed, opened, unknown
from reconciler.core.holding import hold
from reconciler.core.view import CellView
from reconciler.model.actions import Gate, Hold
from reconciler.model.groups import Standing
from reconciler.model.names import ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import Rejection, Rollout
from reconciler.model.release import Revision


def group_together(view: CellView, _: Revision) -> Gate:
    """Each service of its group of which something new is asked for here could be admitted now, too."""
    name = "GroupTogether"
    reason = Reason.WAITING_FOR_GROUP
    for mate in view.cell.ask.mates:
        unblock = f"see `reconciler explain {mate} {view.environment}`"
        standings = view.fleet.groups.get(mate)
        if standings is None or standings.commit != view.cell.ask.commit:
            return unknown(name, reason, f"what is asked for of {mate} is being looked at", unblock)
        standing = standings.cells.get(view.environment)
        if standing is None or not standing.asks or standing.is_ready:
            continue
        message = f"it is moved as one with {mate}, which waits: {standing.why}"
        shut = unknown if standing.is_ready is None else closed
        return shut(name, reason, message, unblock)
    return opened(name)


def moved_with(view: CellView) -> tuple[ServiceName, ...]:
    """Returns the others of its group that are let in here together with it: now, or by the same HEAD."""
    commit = view.cell.ask.commit
    return tuple(
        mate
        for mate in view.cell.ask.mates
        for standing in [_standing(view, mate)]
        if standing is not None and (standing.asks or standing.rolls_since == commit is not None)
    )


def stopped(view: CellView, rollout: Rollout) -> Hold | None:
    """What was let in together with what is rejected goes no further, and is not proven: Git takes back both."""
    failed = _failed(view, rollout)
    if failed is None:
        return None
    mate, rejection = failed
    version = rejection.revision.release.version
    message = f"{version} of {mate} was rejected, and is moved as one with it"
    # Where no commit can take it back, a person must.
    page = rollout.restore_to is None or rollout.irreversible
    return hold(view, Reason.GROUP_FAILED, message, page=page)


def waits(view: CellView, rollout: Rollout) -> Hold | None:
    """What could be proven by itself waits for those that were let in together with it."""
    mate = _behind(view, rollout)
    if mate is None:
        return None
    message = f"{rollout.revision.release.version} is well, and is proven together with {mate}"
    return hold(view, Reason.WAITING_FOR_GROUP, message)


def _failed(view: CellView, rollout: Rollout) -> tuple[ServiceName, Rejection] | None:
    """Returns which of those that were let in together with a roll-out was rejected here since, or None."""
    for mate in rollout.mates:
        standing = _standing(view, mate)
        rejection = standing.rejection if standing is not None else None
        if rejection is not None and rejection.rejected_at >= rollout.admitted_at:
            return mate, rejection
    return None


def _behind(view: CellView, rollout: Rollout) -> ServiceName | None:
    """Returns one that was let in together with a roll-out and is not known to be as far; None: nobody is waited for.

    Whoever left the group, or has been overtaken by something newer, is not.
    """
    ask = view.cell.ask
    for mate in rollout.mates:
        standing = _standing(view, mate)
        if ask.commit is None or (standing is None and mate in ask.mates):
            return mate
        is_out = standing is not None and standing.rolls_since == rollout.commit
        if standing is not None and is_out and not standing.is_soaked:
            return mate
    return None


def _standing(view: CellView, mate: ServiceName) -> Standing | None:
    standings = view.fleet.groups.get(mate)
    return standings.cells.get(view.environment) if standings is not None else None
