"""Whether what may be admitted could come back: both revisions rendered, and compared once for each pair of renders."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from reconciler.core import rejections
from reconciler.core.return_trip import one_ways
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import ServiceSource
from reconciler.model.facts import Ask, Cell
from reconciler.model.fleet import Allowed, Cluster
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import Rendered
from reconciler.model.records import PromotionRecord
from reconciler.model.release import Revision
from reconciler.model.return_trip import OneWay, ReturnTrip
from reconciler.shell.asking import Asker
from reconciler.shell.building import BeingRendered

TRIPS_KEPT = 5_000
"""Some hundred bytes each: the pairs that the roll-outs of a large fleet are about."""


class Trips:
    """Works out ways back; only the coordinator's task uses it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[OneWay, ...]] = OrderedDict()

    def added(
        self,
        ask: Ask,
        asker: Asker,
        service: ServiceName,
        environment: EnvironmentName,
        own: PromotionRecord | None,
    ) -> Ask:
        """Returns an Ask that tells of each revision that it may admit whether that can come back."""
        pin = asker.snapshot.pins.get((environment, service))
        told = replace(ask, accepted=pin.accepted if pin is not None else None)
        cell = Cell(environment, ask, own, record_known=True, members=())
        trips = []
        for leaving in (ask.wanted, ask.immediate, ask.boarding):
            back = rejections.way_back(cell, leaving) if leaving is not None else None
            if leaving is None or leaving.absent or back is None:
                continue
            if not _is_proven(own, leaving):
                trips.append(self._trip(asker, service, environment, leaving, back))
        return replace(told, trips=tuple(trips))

    def _trip(
        self,
        asker: Asker,
        service: ServiceName,
        environment: EnvironmentName,
        leaving: Revision,
        back: Revision,
    ) -> ReturnTrip:
        trip = ReturnTrip(leaving.id, back.id)
        found: set[OneWay] = set()
        try:
            for cluster in asker.active(service, environment):
                goes = _rendered(asker, service, environment, cluster, leaving)
                returns = _as_it_was(asker, service, environment, cluster, back)
                if goes is None or returns is None:
                    gone = leaving if goes is None else back
                    why = f"{gone.release.source} holds no services/{service}"
                    return replace(trip, unknown=_unknown(back, why))
                found.update(self._compared(goes, returns))
        except BeingRendered as error:
            return replace(trip, unknown=error.why, is_rendering=True)
        except ReconcilerError as error:
            return replace(trip, unknown=_unknown(back, str(error)))
        return replace(trip, one_ways=tuple(sorted(found)))

    def _compared(self, goes: Rendered, back: Rendered) -> tuple[OneWay, ...]:
        key = (goes.digest, back.digest)
        if key not in self._kept:
            self._kept[key] = one_ways(goes.objects, back.objects)
            while len(self._kept) > TRIPS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]


def _unknown(back: Revision, why: str) -> str:
    return f"whether it can come back to {back.release.version} is not known: {why}"


def _is_proven(own: PromotionRecord | None, revision: Revision) -> bool:
    """What is proven here is itself a way back, and passes no gate that asks."""
    proofs = own.proofs if own is not None else ()
    return any(proof.revision.id == revision.id for proof in proofs)


def _as_it_was(
    asker: Asker,
    service: ServiceName,
    environment: EnvironmentName,
    cluster: Cluster,
    back: Revision,
) -> Rendered | None:
    """What fleet.yaml allows no more was put there when it did, and is put back all the same."""
    try:
        return _rendered(asker, service, environment, cluster, back)
    except InvalidInput:
        return _rendered(asker, service, environment, cluster, back, Allowed(None, None))


def _rendered(
    asker: Asker,
    service: ServiceName,
    environment: EnvironmentName,
    cluster: Cluster,
    what: Revision,
    allowed: Allowed | None = None,
) -> Rendered | None:
    """Returns what a revision renders to as this daemon renders it; None where its source is not there."""
    found = asker.sources.at(service, what.release.source)
    if found is None:
        return None
    return asker.renderer.render(
        service=found.service,
        source=ServiceSource(what.release.source, found.tree),
        revision=what,
        environment=environment,
        cluster=cluster,
        allowed=allowed or asker.snapshot.fleet.allowed,
        waits=asker.waits,
    )
