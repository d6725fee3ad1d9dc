"""What services must know of each other, as each was planned last: who bids for which place, and how groups stand."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace

from reconciler.core.bidding import bids_of
from reconciler.core.grouping import standings_of
from reconciler.core.places import Bid, hand_out
from reconciler.model.facts import FleetSummary
from reconciler.model.fleet_counts import Places
from reconciler.model.groups import Standings
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.view import Planned


class Neighbours:
    """Kept by service, so that a turn costs only what was planned in it; only the coordinator's task uses them."""

    def __init__(self) -> None:
        self._bids: dict[ServiceName, tuple[Bid, ...]] = {}
        self._standings: dict[ServiceName, Standings] = {}
        self._mates: set[ServiceName] = set()
        self._places: Mapping[EnvironmentName, Places] = {}
        self._groups: Mapping[ServiceName, Standings] = {}

    def note(self, planned: Planned, fleet: FleetSummary) -> None:
        """Takes what a service that was just planned says in place of what it said before."""
        service = planned.facts.service
        bids = bids_of(planned, fleet, self._bids.pop(service, ()))
        if bids:
            self._bids[service] = bids
        standings = standings_of(planned, fleet)
        if standings == self._standings.get(service):
            return
        self._standings.pop(service, None)
        if standings is not None:
            self._standings[service] = standings
        self._mates.update(*(cell.ask.mates for cell in planned.facts.cells))

    def forget(self, service: ServiceName) -> None:
        """Takes away what a service says: nothing of it moves. Its group waits until it is looked at again."""
        self._bids.pop(service, None)
        self._standings.pop(service, None)

    def keep_only(self, services: Set[ServiceName]) -> None:
        """Forgets services that nobody knows any more."""
        for service in {*self._bids, *self._standings} - services:
            self.forget(service)

    def told(self, fleet: FleetSummary) -> tuple[FleetSummary, set[ServiceName]]:
        """Returns what the fleet says with all this, and to whom that is news."""
        bids = [bid for bids in self._bids.values() for bid in bids]
        places, concerned = hand_out(bids), self._mates
        if places != self._places:
            changed = {n for n in {*places, *self._places} if places.get(n) != self._places.get(n)}
            concerned = concerned | {bid.service for bid in bids if bid.environment in changed}
            self._places = places
        if self._mates:
            # Who plans with what was told before must not see it change.
            self._groups, self._mates = dict(self._standings), set()
        return replace(fleet, places=self._places, groups=self._groups), concerned
