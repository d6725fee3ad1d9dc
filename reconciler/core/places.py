"""Places to roll out in an environment at once: who has one, who is given the next, and the gate that waits for one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.core.gate import closed, opened
from reconciler.core.view import CellView
from reconciler.model.actions import Gate
from reconciler.model.fleet_counts import Places
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.release import Revision


@dataclass(frozen=True, slots=True)
class Bid:
    """A service that has a place in an environment, or would begin to roll out there if it had one.

    Attributes:
        most: How many may roll out there at once.
        has_place: It rolls out, and gets on.
        is_observed: It would not take a place that it is given: whoever does goes first.
        since: When it was first seen to wait, by this daemon.
        served_at: When something of it was last proven or rejected there; None: never, as far as the home knows.
    """

    service: ServiceName
    environment: EnvironmentName
    most: int
    has_place: bool
    is_observed: bool
    since: datetime
    served_at: datetime | None = None


def hand_out(bids: Iterable[Bid]) -> Mapping[EnvironmentName, Places]:
    """Gives each free place to who has waited the longest.

    After a restart all wait since then: the one that was served the longest ago goes first. So nobody starves.
    """
    by_environment: dict[EnvironmentName, list[Bid]] = {}
    for bid in bids:
        by_environment.setdefault(bid.environment, []).append(bid)
    return {name: _places(found) for name, found in by_environment.items()}


def _places(bids: list[Bid]) -> Places:
    most = min(bid.most for bid in bids)
    taken = tuple(sorted(bid.service for bid in bids if bid.has_place))
    waiting = sorted((bid for bid in bids if not bid.has_place), key=_turn)
    free = max(0, most - len(taken))
    given, left = waiting[:free], waiting[free:]
    next_up = next((bid.service for bid in left if not bid.is_observed), None)
    return Places(most, taken, frozenset(bid.service for bid in given), next_up)


def _turn(bid: Bid) -> tuple[bool, datetime, bool, datetime, ServiceName]:
    served = bid.served_at is not None
    return bid.is_observed, bid.since, served, bid.served_at or bid.since, bid.service


def next_up(view: CellView) -> ServiceName | None:
    """Returns who waits for the place of what rolls out here, or None."""
    places = view.fleet.places.get(view.environment)
    return places.next_up if places is not None and view.service in places.taken else None


def below_max_rollouts(view: CellView, _: Revision) -> Gate:
    """Fewer roll-outs get on in the environment than fleet.yaml lets; one that is under way has its place."""
    name = "BelowMaxRollouts"
    record, most = view.cell.record, view.cell.ask.max_rollouts
    if most is None or (record is not None and record.rollout is not None):
        return opened(name)
    environment = view.environment
    places = view.fleet.places.get(environment) or Places(most)
    if view.service in places.given:
        return opened(name)
    before = (*places.taken, *sorted(places.given))
    # Nobody takes a free place by himself: another might take the same one in this turn.
    others = (
        f"before it: {', '.join(before)}"
        if len(before) >= most
        else "it asks once all else is open"
    )
    message = f"{environment} lets {most} roll out at once; {others}"
    return closed(name, Reason.WAITING_FOR_PLACE, message, CHANGES[Reason.WAITING_FOR_PLACE])
