"""How a service of a group stands in each of its environments, told by what was just planned for it."""

from __future__ import annotations

from reconciler.core import gates, rejections
from reconciler.core.view import CellView
from reconciler.model.actions import Action, CommitPin, GateState, Hold, Prove
from reconciler.model.facts import FleetSummary
from reconciler.model.groups import Standing, Standings
from reconciler.model.reasons import Reason
from reconciler.model.view import Planned

AS_ONE = frozenset({Reason.WAITING_FOR_GROUP, Reason.WAITING_FOR_PLACE})
"""What holds one of a group and does not say that it is not ready: each would wait for the other."""


def standings_of(planned: Planned, fleet: FleetSummary) -> Standings | None:
    """Returns how a service stands; None where it is in no group, which costs nothing to find out.

    Args:
        planned: What was seen of the service, and planned.
        fleet: What it was planned with.
    """
    cells = planned.facts.cells
    if not any(cell.ask.mates for cell in cells):
        return None
    found = {}
    for index, cell in enumerate(cells):
        view = CellView(planned.facts, index, fleet, planned.at)
        found[cell.environment] = _standing(view, planned.of(cell.environment))
    return Standings(cells[0].ask.commit, found)


def _standing(view: CellView, actions: tuple[Action, ...]) -> Standing:
    record = view.cell.record
    made_here = (
        r
        for r in rejections.standing(record, view.cell.ask)
        if r.environments[0] == view.environment
    )
    rollout = record.rollout if record is not None else None
    asks, is_ready, why = _asks(view, actions)
    return Standing(
        asks,
        is_ready,
        why,
        rolls_since=rollout.commit if rollout is not None else None,
        is_soaked=rollout is not None and any(map(_proves, actions)),
        rejection=next(made_here, None),
    )


def _proves(action: Action) -> bool:
    """Tells whether an action is a proof, or what is done in its place until the others are as far."""
    if isinstance(action, Hold):
        return action.reason is Reason.WAITING_FOR_GROUP and not action.gates
    return isinstance(action, Prove)


def _asks(view: CellView, actions: tuple[Action, ...]) -> tuple[bool, bool | None, str]:
    """Returns whether something new is asked for, whether it is ready, and why it is not."""
    cell, ask, record = view.cell, view.cell.ask, view.cell.record
    if ask.wanted is None:
        # Absence asks for nothing.
        is_known = ask.reason is Reason.ORPHANED
        return not is_known, True if is_known else None, ask.message
    if not cell.record_known:
        return True, None, "what is proven there could not be read"
    admitted = record.admitted if record is not None else None
    if any(isinstance(action, CommitPin) for action in actions):
        # The pins of a group that move by themselves do not land in one moment.
        return True, False, "its pin is about to move"
    if ask.wanted.absent or gates.proof_of(cell, ask.wanted) is not None:
        return False, True, ""
    if admitted is not None and admitted.id == ask.wanted.id:
        return False, True, ""
    if cell.suspended is not None:
        return True, False, cell.suspended.why
    shut = [g for g in gates.shut(gates.admission(view, ask.wanted)) if g.reason not in AS_ONE]
    if shut:
        return True, False if shut[0].state is GateState.CLOSED else None, shut[0].message
    if admitted is None:
        # It may be no gate that holds a first release, but what is live.
        holds = (a for a in actions if isinstance(a, Hold) and a.reason not in AS_ONE)
        hold = next(holds, None)
        return True, hold is None, hold.message if hold is not None else ""
    return True, True, ""
