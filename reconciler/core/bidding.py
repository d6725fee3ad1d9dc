"""Which environments a service has a place in, or asks for one, told by what was just planned for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from reconciler.core import gates
from reconciler.core.places import Bid
from reconciler.core.plan import plan_cell
from reconciler.core.reach import in_force
from reconciler.core.view import CellView
from reconciler.model.actions import Action, Admit, Examine, Hold
from reconciler.model.facts import FleetSummary, LiveState
from reconciler.model.fleet import Mode
from reconciler.model.fleet_counts import Places
from reconciler.model.names import EnvironmentName
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.model.view import Planned


def bids_of(planned: Planned, fleet: FleetSummary, former: tuple[Bid, ...] = ()) -> tuple[Bid, ...]:
    """Returns a service's bids; none in an environment without a limit, which costs nothing to find out.

    Args:
        planned: What was seen of the service, and planned.
        fleet: What it was planned with.
        former: Its bids before: who waits goes on waiting since then.
    """
    since = {bid.environment: bid.since for bid in former if not bid.has_place}
    found = []
    for index, cell in enumerate(planned.facts.cells):
        if cell.ask.max_rollouts is not None:
            view = CellView(planned.facts, index, fleet, planned.at)
            bid = _bid(view, planned.of(cell.environment), cell.ask.max_rollouts, since)
            found.append(bid)
    return tuple(bid for bid in found if bid is not None)


def _bid(
    view: CellView,
    actions: tuple[Action, ...],
    most: int,
    since: dict[EnvironmentName, datetime],
) -> Bid | None:
    has_place = _gets_on(view)
    if not has_place and not _asks(view, actions):
        return None
    return Bid(
        service=view.service,
        environment=view.environment,
        most=most,
        has_place=has_place,
        is_observed=view.facts.mode is Mode.OBSERVE,
        since=since.get(view.environment, view.now),
        served_at=_served_at(view.cell.record),
    )


def _gets_on(view: CellView) -> bool:
    """Tells whether something rolls out that will end by itself; what is held for good keeps nobody waiting."""
    record = view.cell.record
    rollout = record.rollout if record is not None else None
    if rollout is None or view.cell.suspended is not None or view.facts.mode is Mode.OBSERVE:
        return False
    return gates.ends_by_itself(view, in_force(view.cell, rollout))


def _asks(view: CellView, actions: tuple[Action, ...]) -> bool:
    """Tells whether a place is all that is missing: it would be admitted at once, or after one more look."""
    record, holds = view.cell.record, [a for a in actions if isinstance(a, Hold)]
    if record is not None and record.rollout is not None:
        return False
    if not holds:
        return _begins(view, actions)
    is_held = any(gate.reason is Reason.WAITING_FOR_PLACE for hold in holds for gate in hold.gates)
    if not is_held or any(hold.reason is Reason.ACTION_FAILED for hold in holds):
        return False
    given = Places(1, (), frozenset({view.service}))
    fleet = replace(view.fleet, places={**view.fleet.places, view.environment: given})
    return _begins(view, plan_cell(replace(view, fleet=fleet)))


def _begins(view: CellView, actions: tuple[Action, ...]) -> bool:
    if any(isinstance(action, Admit) and action.rollout is not None for action in actions):
        return True
    # What is compared once more before it is acted on.
    is_compared = all(m.live is not LiveState.UNKNOWN for m in view.cell.counted)
    is_held = any(isinstance(action, Hold) for action in actions)
    looks = any(isinstance(action, Examine) for action in actions)
    return looks and is_compared and not is_held


def _served_at(record: PromotionRecord | None) -> datetime | None:
    if record is None:
        return None
    times = (
        *(proof.proven_at for proof in record.proofs),
        *(r.rejected_at for r in record.rejections),
    )
    return max(times, default=None)
