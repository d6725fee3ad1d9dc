"""What to do now for one service, from its facts alone: the one entry into every decision."""

from __future__ import annotations

from datetime import datetime

from reconciler.core import rejections, rolling
from reconciler.core.adoption import plan_adoption
from reconciler.core.believing import is_blown
from reconciler.core.beside import going_back
from reconciler.core.delivering import of_those_that_left, withdrawals
from reconciler.core.gates import is_returning
from reconciler.core.leaving import leave
from reconciler.core.membership import to_return
from reconciler.core.moves import RecordAction
from reconciler.core.pin_moves import of_the_pin, waits
from reconciler.core.settled import plan_settled
from reconciler.core.view import CellView
from reconciler.model.actions import Action, Admit, CommitRevert, Hold, Reject
from reconciler.model.facts import FleetSummary, ServiceFacts
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord, Rejection, belongs_to
from reconciler.model.release import Revision


def plan_service(facts: ServiceFacts, fleet: FleetSummary, now: datetime) -> tuple[Action, ...]:
    """Plans every cell of a service, in the order of its path.

    Args:
        facts: What was seen of the service this turn.
        fleet: What the whole fleet says: fuses, incidents, reasons to make no forward move.
        now: Wall time, UTC.

    Returns:
        Actions in the order they should be done; a cell with nothing to do has a Hold that says why.
    """
    actions: list[Action] = []
    for index in range(len(facts.cells)):
        actions.extend(plan_cell(CellView(facts, index, fleet, now)))
    return tuple(actions)


def plan_cell(view: CellView) -> tuple[Action, ...]:
    """Plans one cell; roll back first, then commit, then anything forward."""
    moves = _moves(view)
    if not view.cell.record_known or any(isinstance(action, RecordAction) for action in moves):
        # It is not known what is wanted, or planned again at once from what is written then.
        return (*moves, *of_those_that_left(view))
    read = view.as_if_read()
    return (*moves, *withdrawals(view, moves, moves if read is view else _moves(read)))


def _moves(view: CellView) -> tuple[Action, ...]:
    record = view.cell.record
    if view.cell.other:
        message = belongs_to(view.cell.other, what="its promotion record")
        return (
            Hold(view.service, view.environment, Reason.OTHER_INSTALLATION, message, page=True),
        )
    if not view.cell.record_known:
        message = (
            "the promotion record cannot be read: the home does not answer, forbids it, or holds "
            "what is none"
        )
        # Whoever must be woken is, by the cluster's own alert, and not by each cell of the fleet.
        return (Hold(view.service, view.environment, Reason.HOME_UNREACHABLE, message),)
    if view.cell.suspended is not None:
        return (rolling.suspended(view, view.cell.suspended),)
    if record is None or record.admitted is None:
        return plan_adoption(view)
    brought_home = _bring_home(view, record)
    if brought_home:
        return brought_home
    if record.rollout is not None:
        moves = rolling.plan_rollout(view, record.rollout)
    else:
        moves = tuple(_at_rest(view, a) for a in plan_settled(view, record, record.admitted))
    moves = _or_leave(view, record.admitted, waits(view, moves))
    return (*_owed_commits(view, record), *of_the_pin(view), *moves, *_beside(view, moves))


def _or_leave(view: CellView, admitted: Revision, moves: tuple[Action, ...]) -> tuple[Action, ...]:
    """What is missing below it goes before anything that would be laid to it."""
    leaves = None if is_returning(view.cell) else leave(view, admitted)
    if leaves is None or isinstance(leaves, Admit):
        return moves if leaves is None else (leaves,)
    is_moving = any(isinstance(action, RecordAction) for action in moves)
    orders = (action for action in moves if not isinstance(action, Hold))
    return moves if is_moving else (*orders, leaves)


def _beside(view: CellView, moves: tuple[Action, ...]) -> tuple[Hold, ...]:
    """A cluster that only a person can settle is told whatever else holds its cell."""
    holds = [action for action in moves if isinstance(action, Hold)]
    if not holds or any(hold.page for hold in holds):
        return ()
    others = next((m for m in view.cell.counted if m.other), None)
    if others is not None:
        return (rolling.others(view, others),)
    admitted = view.cell.record.admitted if view.cell.record is not None else None
    stuck = going_back(view, admitted) if admitted is not None else None
    return (stuck,) if stuck is not None and stuck.page else ()


def _at_rest(view: CellView, action: Action) -> Action:
    """Nothing to do is not all well while a cluster runs it that HEAD does not mean it for."""
    is_rest = isinstance(action, Hold) and action.reason is Reason.SETTLED
    if not is_rest or not view.cell.orphans:
        return action
    names = ", ".join(view.cell.orphans)
    message = f"{names}: it runs there, and fleet.yaml or `placement` does not want it there; it is left as it is"
    return Hold(view.service, view.environment, Reason.ORPHANED, message)


def _bring_home(view: CellView, record: PromotionRecord) -> tuple[Action, ...]:
    """Copies a rejection that was written to a cluster while the home was out of reach.

    What Git holds already was home once: the record forgets old rejections, and Git does not.
    """
    ask = view.cell.ask
    in_git = (*(ask.quarantine or ()), *ask.lifted)
    written = {(r.revision.id, r.rejected_at) for r in record.rejections}
    for member in view.cell.members:
        rejection = member.record.rejection if member.record else None
        if rejection is None or (rejection.revision.id, rejection.rejected_at) in written:
            continue
        if not rejections.is_written(rejection, in_git):
            message = f"{member.cluster} holds a rejection that the home does not have yet"
            return (Reject(view.service, view.environment, rejection, "BroughtHome", message),)
    return ()


def _owed_commits(view: CellView, record: PromotionRecord) -> tuple[CommitRevert, ...]:
    """Returns the commits that Git still owes: only once every reachable cluster was put back.

    The environment that failed writes one commit for itself and those after it.
    """
    if view.fleet.halted:
        return ()
    return tuple(
        CommitRevert(
            service=view.service,
            environment=view.environment,
            rejection=rejection,
            direct=not is_blown(view, rejection.commit),
            reason=rejection.reason,
            message=f"take {rejection.revision.release.version} back in Git",
        )
        for rejection in rejections.standing(record, view.cell.ask)
        if rejection.revert.commit is None
        and rejection.environments[0] == view.environment
        and _is_back(view, rejection)
    )


def _is_back(view: CellView, rejection: Rejection) -> bool:
    """Tells whether every reachable cluster was given the revision to go back to, and at least one.

    One that answers and has not been read yet is waited for: it may still run the bad one. So is one
    for which an order of something else still waits.
    """
    if rejection.restore_to is None or rejection.rolled_back_at is not None:
        return True
    target = rejection.restore_to
    asked = to_return(view, target)
    waits = any(m.order is not None and m.order.revision != target.id for m in asked)
    return bool(asked) and not waits and all(m.is_on(target.id) for m in asked)
