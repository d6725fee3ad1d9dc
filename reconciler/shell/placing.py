"""The bids of all services, as each was planned last: what places to roll out are handed out by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from reconciler.core.bidding import bids_of
from reconciler.core.places import Bid
from reconciler.model.facts import FleetSummary
from reconciler.model.fleet_counts import Places
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.view import Planned


class Bids:
    """Kept by service, so that a turn costs only what was planned in it; only the coordinator's task uses them."""

    def __init__(self) -> None:
        self._kept: dict[ServiceName, tuple[Bid, ...]] = {}

    def note(self, planned: Planned, fleet: FleetSummary) -> None:
        """Takes the bids of a service that was just planned in place of those before."""
        service = planned.facts.service
        bids = bids_of(planned, fleet, self._kept.pop(service, ()))
        if bids:
            self._kept[service] = bids

    def forget(self, service: ServiceName) -> None:
        """Takes the bids of a service away: nothing of it moves."""
        self._kept.pop(service, None)

    def keep_only(self, services: Set[ServiceName]) -> None:
        """Forgets services that nobody knows any more."""
        for service in self._kept.keys() - services:
            del self._kept[service]

    def all(self) -> Iterator[Bid]:
        """Yields every bid."""
        return (bid for bids in self._kept.values() for bid in bids)

    def concerned(
        self, was: Mapping[EnvironmentName, Places], now: Mapping[EnvironmentName, Places]
    ) -> set[ServiceName]:
        """Returns the services to which other places than before mean something."""
        if was == now:
            return set()
        changed = {name for name in {*was, *now} if was.get(name) != now.get(name)}
        return {bid.service for bid in self.all() if bid.environment in changed}
