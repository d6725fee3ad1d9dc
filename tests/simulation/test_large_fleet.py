"""A release of one service among many moves through every region in order, and nobody else is touched by it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

import pytest

from reconciler.model.names import EnvironmentName
from reconciler.schema.records import read_promotion_record
from reconciler.simulated.behaviour import Fate, digest_for
from reconciler.simulated.cluster import Written
from tests.simulation.large_fleet import OURS, SOAK_S, WIDE, LargeFleet

OLD, NEW = "1.0.0", "1.1.0"
WAVES = '[1, "10%", "50%", "100%"]'
SHARES = (0.0, 0.1, 0.5, 1.0)

WRITES_A_CLUSTER = 6
"""The claim of the record, what is stored to go back to, the Deployment, that it is applied, that it is proven, and
that this was seen."""

READS_A_CLUSTER = 8

WHOLE = ("Lease", "reconciler-head")
"""What the daemon writes whichever service moves: its lease, and the commit that it goes by."""


def waves_of(names: tuple[str, ...]) -> list[set[str]]:
    """Returns the clusters of each wave of a region, worked out here once more."""
    found, given = [], 0
    for share in SHARES:
        upto = max(1, ceil(share * len(names)))
        found.append(set(names[given:upto]))
        given = max(given, upto)
    return found


def image(version: str) -> str:
    return f"registry.example.com/{WIDE}@{digest_for(Fate.READY, version)}"


@dataclass
class Watcher:
    """Looks at the clusters themselves at the moment at which one of them is given the new release.

    Attributes:
        given: The clusters that have it, in order.
        wrong: What was seen that must not be.
    """

    fleet: LargeFleet
    given: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __call__(self, cluster: str, written: Written) -> None:
        is_wide = (written.kind, written.namespace) == ("Deployment", WIDE)
        if not is_wide or containers(written.obj)[0]["image"] != image(NEW):
            return
        self.given.append(cluster)
        region = cluster.rpartition("-")[0]
        for before, names in self.fleet.regions.items():
            if before == region:
                break
            late = [name for name in names if self._well_for_s(name) < SOAK_S]
            if late or not self._is_proven(before):
                self.wrong.append(f"{cluster} before {before} was proven: {late}")
        for wave in waves_of(self.fleet.regions[region]):
            if cluster in wave:
                break
            late = [name for name in sorted(wave) if self._well_for_s(name) <= 0.0]
            if late:
                self.wrong.append(f"{cluster} before {late} of an earlier wave were well")

    def _well_for_s(self, cluster: str) -> float:
        """Returns for how long the one Pod of the new release has been ready, to the second; below 0: it is not."""
        store = self.fleet.clusters[cluster].store
        kind = store.served("v1", "Pod")
        assert kind is not None
        pods = store.peek(kind, WIDE)
        if [one["image"] for pod in pods for one in pod["spec"]["containers"]] != [image(NEW)]:
            return -1.0
        conditions = (pods[0].get("status") or {}).get("conditions") or ()
        ready = next(
            (c for c in conditions if c["type"] == "Ready" and c["status"] == "True"), None
        )
        if ready is None:
            return -1.0
        since = datetime.fromisoformat(ready["lastTransitionTime"])
        return (self.fleet.clock.now() - since).total_seconds()

    def _is_proven(self, region: str) -> bool:
        """Whether the home's own record says so."""
        store = self.fleet.clusters[self.fleet.home].store
        kind = store.served("reconciler.dev/v1alpha1", "PromotionRecord")
        assert kind is not None
        found = store.seen(kind, OURS, f"{WIDE}.{EnvironmentName(region)}")
        proofs = read_promotion_record(found).proofs if found is not None else ()
        return any(p.opens_gates and p.revision.release.version == NEW for p in proofs)


def containers(workload: object) -> list[dict[str, str]]:
    assert isinstance(workload, dict)
    found: list[dict[str, str]] = workload["spec"]["template"]["spec"]["containers"]
    return found


def settled(regions: int, clusters: int, services: int) -> LargeFleet:
    """Returns a fleet on which a first release of every service is proven everywhere."""
    fleet = LargeFleet(regions=regions, clusters=clusters, services=services, waves=WAVES)
    assert fleet.until(lambda: all(fleet.proven(one, OLD) for one in fleet.services), 600)
    fleet.pass_(90)
    return fleet


def is_moved(key: tuple[str, str, str, str]) -> bool:
    """Whether an object may change as the wide service moves."""
    _, kind, namespace, name = key
    return (
        WIDE in (namespace, name.partition(".")[0])
        or WIDE in name
        or {kind, name} & {*WHOLE} != set()
    )


def moved(fleet: LargeFleet) -> tuple[Counter[str], Counter[str]]:
    """Moves the wide service; returns what was read meanwhile, beside what an idle fleet reads, and written."""
    fleet.reads.clear()
    fleet.writes.clear()
    fleet.pass_(60)
    idle, began_s = Counter(fleet.reads), fleet.clock.monotonic_s()
    assert {written.kind for _, written in fleet.writes} == {"Lease"}
    fleet.reads.clear()
    fleet.writes.clear()
    fleet.git.merge(dict(fleet.pins(WIDE, NEW)))
    assert fleet.until(lambda: fleet.proven(WIDE, NEW), 600)
    passed_s = fleet.clock.monotonic_s() - began_s
    usual = Counter({kind: int(count * passed_s / 60) for kind, count in idle.items()})
    written = Counter(w.kind for _, w in fleet.writes if w.kind != "Lease")
    return fleet.reads - usual, written


@pytest.mark.parametrize(
    ("regions", "clusters", "services"),
    [
        pytest.param(3, 33, 12, id="a small one"),
        pytest.param(
            6, 200, 300, id="200 clusters", marks=(pytest.mark.slow, pytest.mark.timeout(1200))
        ),
    ],
)
def test_a_release_moves_through_a_fleet_in_order_and_touches_nobody_else(
    regions: int, clusters: int, services: int
) -> None:
    fleet = settled(regions, clusters, services)
    before = {key: obj["metadata"]["resourceVersion"] for key, obj in fleet.everything()}
    fleet.on_write = watcher = Watcher(fleet)
    read, written = moved(fleet)
    assert watcher.wrong == []
    assert sorted(watcher.given) == sorted(fleet.clusters)
    after = {key: obj["metadata"]["resourceVersion"] for key, obj in fleet.everything()}
    touched = {k for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    assert {key for key in touched if not is_moved(key)} == set()
    assert written.total() <= WRITES_A_CLUSTER * clusters + 6 * regions
    assert read.total() <= READS_A_CLUSTER * clusters


def test_what_a_release_costs_hangs_on_the_clusters_that_it_goes_to_and_not_on_who_else_is_there() -> (
    None
):
    few, many = (moved(settled(2, 6, services)) for services in (2, 40))
    # Events are told at a pace, and which of them are still news then hangs on what came first.
    assert abs(few[1].pop("Event") - many[1].pop("Event")) <= 2
    assert few[1] == many[1]
    assert abs(few[0].total() - many[0].total()) <= 6
