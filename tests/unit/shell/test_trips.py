"""Ways back as the shell works them out: what is rendered and compared, and what is said when it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler.core.return_trip import one_ways
from reconciler.errors import InvalidInput, TransientError
from reconciler.model.facts import Ask
from reconciler.model.fleet import Allowed, Cluster, ClusterState
from reconciler.model.names import ClusterName
from reconciler.model.objects import Rendered
from reconciler.model.records import PromotionRecord
from reconciler.model.release import Revision
from reconciler.model.return_trip import OneWay, ReturnTrip
from reconciler.shell import trips
from reconciler.shell.building import BeingRendered
from reconciler.shell.trips import Trips
from tests.fakes.facts import DEV, V1, V2, V3, WEB, ask, proof, record, rejection, rollout

CLUSTERS = tuple(Cluster(ClusterName(f"dev-{n}"), DEV, (), ClusterState.ACTIVE) for n in (1, 2))
NARROW = Allowed(("web",), ("Deployment",))
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "namespace": "web"}}
RUNS = OneWay("Job/web/migrate", "it runs once, and going back undoes nothing of what it did")


@dataclass
class Asks:
    """What a snapshot says: where version 2 brings a Job to the second cluster alone."""

    gone: set[str] = field(default_factory=set)
    fails: dict[str, Exception] = field(default_factory=dict)
    is_narrow: bool = False
    rendered: list[tuple[str, str]] = field(default_factory=list)
    waits: bool = False

    def __post_init__(self) -> None:
        fleet = SimpleNamespace(allowed=NARROW)
        self.snapshot = SimpleNamespace(pins={}, fleet=fleet)
        self.sources = SimpleNamespace(at=self._at)
        self.renderer = SimpleNamespace(render=self._render)

    def active(self, service: Any, environment: Any) -> tuple[Cluster, ...]:
        return CLUSTERS

    def _at(self, service: Any, source: str) -> Any:
        return None if source in self.gone else SimpleNamespace(service=None, tree=())

    def _render(
        self, *, revision: Revision, cluster: Cluster, allowed: Allowed, **_: Any
    ) -> Rendered:
        version = revision.release.version
        self.rendered.append((version, cluster.name))
        if version in self.fails:
            raise self.fails[version]
        if self.is_narrow and version == V1.release.version and allowed is NARROW:
            raise InvalidInput("web", "it cannot be rendered", "a kind that is not allowed")
        objects = (JOB,) if version == "2.0.0" and cluster.name == "dev-2" else ()
        return Rendered(objects, f"{version} on {cluster.name}")


def worked_out(
    asks: Asks, own: PromotionRecord | None, wanted: Ask | None = None, by: Trips | None = None
) -> tuple[ReturnTrip, ...]:
    found = (by or Trips()).added(wanted or ask(V2), asks, WEB, DEV, own)  # type: ignore[arg-type]
    return found.trips


HERE = record(DEV, V1)


def test_it_is_told_for_all_clusters_together() -> None:
    assert worked_out(Asks(), HERE) == (ReturnTrip(V2.id, V1.id, (RUNS,)),)


def test_each_revision_that_may_be_admitted_has_its_own() -> None:
    asked = ask(V2, immediate=V3, boarding=V1)
    found = worked_out(Asks(), HERE, asked)
    assert [(t.leaving, t.back, bool(t.one_ways)) for t in found] == [
        (V2.id, V1.id, True),
        (V3.id, V1.id, False),
    ]


@pytest.mark.parametrize(
    "own",
    [
        pytest.param(None, id="nothing is known"),
        pytest.param(record(DEV, V2, proofs=(proof(V2), proof(V1))), id="it is proven here"),
        pytest.param(record(DEV, V1, rejections=(rejection(V1),)), id="what is proven is rejected"),
        pytest.param(
            record(DEV, V3, rollout=rollout(V3, irreversible=True)),
            id="what is out cannot come back",
        ),
    ],
)
def test_without_a_way_back_nothing_is_rendered(own: PromotionRecord | None) -> None:
    asks = Asks()
    assert worked_out(asks, own) == ()
    assert asks.rendered == []


def test_two_renders_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    real: Callable[..., Any] = one_ways

    def counted(*objects: Any) -> Any:
        compared.append(1)
        return real(*objects)

    monkeypatch.setattr(trips, "one_ways", counted)
    asks, kept = Asks(), Trips()
    first = worked_out(asks, HERE, by=kept)
    assert worked_out(asks, HERE, by=kept) == first
    assert len(compared) == len(CLUSTERS)


def test_what_is_allowed_no_more_may_still_be_gone_back_to() -> None:
    assert worked_out(Asks(is_narrow=True), HERE) == (ReturnTrip(V2.id, V1.id, (RUNS,)),)


@pytest.mark.parametrize(
    ("asks", "unknown", "is_rendering"),
    [
        pytest.param(
            Asks(gone={V1.release.source}), "holds no services/web", False, id="its source is gone"
        ),
        pytest.param(
            Asks(fails={"1.0.0": TransientError("web", "it failed", "the mirror is away")}),
            *("the mirror is away", False),
            id="it cannot be rendered now",
        ),
        pytest.param(
            Asks(fails={"1.0.0": InvalidInput("web", "it is wrong", "a patch fits nothing")}),
            *("a patch fits nothing", False),
            id="it cannot be rendered any more",
        ),
        pytest.param(
            Asks(fails={"2.0.0": BeingRendered("web", "it waits", "it is being rendered")}),
            *("it is being rendered", True),
            id="it is being rendered",
        ),
    ],
)
def test_what_is_not_known_is_said(asks: Asks, unknown: str, is_rendering: bool) -> None:
    (trip,) = worked_out(asks, HERE)
    assert unknown in trip.unknown
    assert (trip.one_ways, trip.is_rendering) == ((), is_rendering)


def test_the_pins_word_is_handed_on() -> None:
    asks = Asks()
    asks.snapshot.pins[(DEV, WEB)] = SimpleNamespace(accepted=V2.id)
    found = Trips().added(ask(V2), asks, WEB, DEV, HERE)  # type: ignore[arg-type]
    assert found.accepted == V2.id
    assert replace(found, accepted=None, trips=()) == ask(V2)
