"""What is seen of a service: resolved once while nothing changed, and never more than is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.errors import TransientError
from reconciler.model.env_repo import Service, SourceKind
from reconciler.model.facts import Ask, Member, Suspension
from reconciler.model.fleet import Allowed, Cluster, ClusterState, Environment, Fleet, Mode
from reconciler.model.names import (
    ClusterName,
    EnvironmentName,
    PolicyName,
    RevisionId,
    ServiceName,
)
from reconciler.model.path import Path
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.model.view import Head
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.gathering import Gatherer
from tests.fakes.facts import (
    CLUSTERS,
    DEV,
    PROD,
    STAGING,
    SUSPENDED,
    V1,
    V2,
    WEB,
    ask,
    member,
    proof,
    record,
    rollout,
)

API = ServiceName("api")
FLEET = Fleet(
    tuple(
        Environment(e, tuple(Cluster(n, e, (), ClusterState.ACTIVE) for n in names))
        for e, names in CLUSTERS.items()
    ),
    Mode.ENFORCE,
    Allowed(None, None),
)


@dataclass
class Memory:
    """Promotion records, some of which cannot be read."""

    records: dict[CellKey, PromotionRecord] = field(default_factory=dict)
    unreadable: set[CellKey] = field(default_factory=set)
    stopped: dict[CellKey, Suspension] = field(default_factory=dict)
    others: dict[CellKey, str] = field(default_factory=dict)

    def is_known(self, key: CellKey) -> bool:
        return key not in self.unreadable

    def get(self, key: CellKey) -> PromotionRecord | None:
        return None if key in self.others else self.records.get(key)

    def is_saved(self, key: CellKey) -> bool:
        return True

    def suspended(self, key: CellKey) -> Suspension | None:
        return self.stopped.get(key)

    def other(self, key: CellKey) -> str:
        return self.others.get(key, "")

    def cells(self) -> tuple[CellKey, ...]:
        return (*self.records, *self.unreadable)


@dataclass
class Executor:
    """A cluster that has records of some cells, and orders for some."""

    name: ClusterName
    cells: tuple[CellKey, ...] = ()
    waiting: tuple[CellKey, ...] = ()

    def known_cells(self) -> tuple[CellKey, ...]:
        return (*self.cells, *self.waiting)

    def environments(self, service: ServiceName) -> frozenset[EnvironmentName]:
        return frozenset(environment for name, environment in self.cells if name == service)

    def ordered(self, service: ServiceName) -> frozenset[EnvironmentName]:
        return frozenset(environment for name, environment in self.waiting if name == service)

    def member(self, key: CellKey, wanted: RevisionId | None) -> Member:
        return member(self.name)


@dataclass
class Snapshot:
    services: dict[ServiceName, Service]
    fleet: Fleet = FLEET
    pins: dict[tuple[EnvironmentName, ServiceName], Any] = field(default_factory=dict)
    policies: dict[PolicyName, Any] = field(default_factory=dict)


class Asker:
    """Asks for version 1 everywhere, and counts how often it is asked."""

    def __init__(self, **depends: tuple[str, ...]) -> None:
        names = {"web": (), **depends}
        self.snapshot = Snapshot({ServiceName(n): service(n, d) for n, d in names.items()})
        self.asked: list[CellKey] = []
        self.answer = ask(V1)

    def services(self) -> frozenset[ServiceName]:
        return frozenset(self.snapshot.services)

    def path(self, name: ServiceName, recorded: Sequence[EnvironmentName]) -> Path:
        return Path.line((DEV, STAGING, PROD))

    def mode(self, name: ServiceName, daemon: Mode) -> Mode:
        return daemon

    def clusters(
        self, name: ServiceName, environment: EnvironmentName
    ) -> tuple[Cluster, ...] | None:
        found = self.snapshot.services.get(name)
        return self.snapshot.fleet.placed(found.placement, environment) if found else None

    def ask(self, name: ServiceName, environment: EnvironmentName, own: Any, earlier: Any) -> Ask:
        self.asked.append((name, environment))
        return self.answer


def service(name: str, depends_on: tuple[str, ...]) -> Service:
    return Service(
        name=ServiceName(name),
        source=SourceKind.MANIFESTS,
        policy=PolicyName("line"),
        namespace=name,
        namespaces=(),
        depends_on=tuple(ServiceName(other) for other in depends_on),
        owners=(),
        cluster_scoped=(),
        immediate=(),
        mode=Mode.ENFORCE,
    )


class World:
    """A gatherer, and what it looks at."""

    def __init__(self, asker: Asker | None = None) -> None:
        self.memory = Memory()
        self.executors = {n: Executor(n) for names in CLUSTERS.values() for n in names}
        self.gatherer = Gatherer(
            daemon_mode=lambda: Mode.ENFORCE,
            head=lambda: Head(error="the remote does not answer"),
            records=self.memory,
            executors=lambda: self.executors,
        )
        self.asker = asker or Asker()
        self.gatherer.use(self.asker)  # type: ignore[arg-type]

    def cell(self, environment: EnvironmentName, name: ServiceName = WEB) -> Any:
        self.gatherer.gather(self.gatherer.services())
        cells = self.gatherer.facts[name].cells
        return next(c for c in cells if c.environment == environment)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def depending() -> World:
    return World(Asker(api=("web",)))


def test_a_pin_is_resolved_once_while_nothing_that_it_rests_on_changes(world: World) -> None:
    world.cell(DEV)
    world.cell(DEV)
    assert len(world.asker.asked) == 3
    world.memory.records[(WEB, DEV)] = record(DEV)
    world.cell(DEV)
    # Its own record, and those before an environment: all three rest on dev's.
    assert len(world.asker.asked) == 6
    world.memory.records[(WEB, PROD)] = record(PROD)
    world.cell(DEV)
    assert world.asker.asked[6:] == [(WEB, PROD)]


@pytest.mark.parametrize("reason", [Reason.SOURCE_UNKNOWN, Reason.RENDER_FAILED, Reason.RENDERING])
def test_what_may_pass_by_itself_is_asked_again(world: World, reason: Reason) -> None:
    world.asker.answer = Ask(None, None, None, reason=reason, message="a moment")
    world.cell(DEV)
    world.cell(DEV)
    assert len(world.asker.asked) == 6


def test_another_snapshot_is_asked_anew(world: World) -> None:
    world.cell(DEV)
    world.gatherer.use(Asker())  # type: ignore[arg-type]
    world.gatherer.use(world.asker)  # type: ignore[arg-type]
    world.cell(DEV)
    assert len(world.asker.asked) == 6


def test_without_git_it_sees_what_the_home_and_the_clusters_know(world: World) -> None:
    world.gatherer.use(None)
    world.memory.records[(WEB, DEV)] = record(DEV)
    world.executors[CLUSTERS[PROD][0]].cells = ((WEB, PROD),)
    dev, prod = world.cell(DEV), world.cell(PROD)
    assert (dev.ask.wanted, dev.ask.reason) == (None, Reason.GIT_UNKNOWN)
    assert dev.ask.message == "the remote does not answer"
    assert [m.cluster for m in prod.members] == ["prod-1"]
    assert (dev.members, dev.orphans, prod.orphans) == ((), (), ())


def test_a_record_that_cannot_be_read_is_not_taken_for_none(world: World) -> None:
    world.memory.unreadable.add((WEB, DEV))
    assert not world.cell(DEV).record_known
    assert world.cell(STAGING).record_known


def test_what_another_installation_has_recorded_is_not_known_to_us(world: World) -> None:
    world.memory.records[(WEB, DEV)] = record(DEV)
    world.memory.others[(WEB, DEV)] = "blue"
    found = world.cell(DEV)
    assert (found.other, found.record, found.record_known) == ("blue", None, False)
    assert world.cell(STAGING).other == "" and world.cell(STAGING).record_known


def test_a_suspension_of_the_record_is_told(world: World) -> None:
    world.memory.stopped[(WEB, DEV)] = SUSPENDED
    assert (world.cell(DEV).suspended, world.cell(STAGING).suspended) == (SUSPENDED, None)


def test_a_cluster_without_a_connection_is_not_reachable(world: World) -> None:
    del world.executors[CLUSTERS[DEV][0]]
    (found,) = world.cell(DEV).members
    assert (found.cluster, found.reachable, found.synced) == ("dev-1", False, False)


def test_clusters_that_fleet_yaml_does_not_name_are_left_over(world: World) -> None:
    gone, older = ClusterName("dev-8"), ClusterName("dev-9")
    world.executors[gone] = Executor(gone, ((WEB, DEV),))
    proven = proof(V1, DEV, members=(*CLUSTERS[DEV], older))
    world.memory.records[(WEB, DEV)] = record(DEV, V1, proofs=(proven,))
    assert world.cell(DEV).orphans == (gone, older)
    assert world.cell(STAGING).orphans == ()


def test_an_order_that_waits_where_nothing_is_meant_to_go_is_seen(world: World) -> None:
    gone, (dev, *_) = ClusterName("dev-9"), CLUSTERS[DEV]
    world.executors[gone] = Executor(gone, waiting=((WEB, DEV),))
    world.executors[dev].waiting = ((WEB, DEV),)
    assert (world.cell(DEV).leaving, world.cell(DEV).orphans) == ((gone,), ())
    assert world.cell(STAGING).leaving == ()
    del world.asker.snapshot.services[WEB]
    assert world.cell(DEV).leaving == (dev, gone), "a service that Git does not name any more"


def test_of_a_service_that_cannot_be_read_only_the_clusters_it_was_meant_for_are_members(
    world: World,
) -> None:
    del world.asker.snapshot.services[WEB]
    first, second, *_ = CLUSTERS[PROD]
    world.memory.records[(WEB, PROD)] = record(
        PROD, V1, proofs=(proof(V1, PROD, members=(first, ClusterName("prod-9"))),)
    )
    world.memory.records[(WEB, STAGING)] = record(STAGING, V1, rollout=rollout(V1, STAGING))
    assert [m.cluster for m in world.cell(PROD).members] == [first]
    assert [m.cluster for m in world.cell(STAGING).members] == list(CLUSTERS[STAGING])
    assert world.cell(DEV).members == ()
    world.executors[second].cells = ((WEB, PROD),)
    assert [m.cluster for m in world.cell(PROD).members] == [first, second]


def test_what_was_proven_there_long_ago_leaves_nothing_over(world: World) -> None:
    former = proof(V1, DEV, members=(ClusterName("dev-9"),))
    world.memory.records[(WEB, DEV)] = record(DEV, V2, proofs=(proof(V2, DEV), former))
    assert world.cell(DEV).orphans == ()


# What meets a bug of ours.


def meets_a_bug(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: ServiceName, *rest: Any) -> Path:
        if name == WEB:
            raise ZeroDivisionError("division by zero")
        return Path.line((DEV, STAGING, PROD))

    monkeypatch.setattr(world.asker, "path", fail)


def test_a_bug_met_at_one_service_leaves_it_unknown_and_no_other(
    depending: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    depending.memory.records[(WEB, DEV)] = record(DEV, V2, proofs=(proof(V1),))
    assert depending.cell(DEV, API).depends == ((WEB, True),)
    with monkeypatch.context() as patched, capture_logs():
        meets_a_bug(depending, patched)
        assert depending.cell(DEV, API).depends == ((WEB, None),), (
            "no answer, and not the former one"
        )
        left = depending.cell(DEV)
        assert left.record is not None and not left.record_known, "fuses count its rejections still"
        assert [m.known for m in left.members] == [False]
        with pytest.raises(TransientError, match="a bug of ours: ZeroDivisionError"):
            depending.gatherer.seen(WEB)
    assert depending.cell(DEV, API).depends == ((WEB, True),)
    assert depending.gatherer.seen(WEB) == depending.gatherer.facts[WEB]


def test_a_bug_met_at_the_first_look_leaves_the_environments_that_are_known_to_be_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.memory.records[(WEB, DEV)] = record(DEV)
    world.asker.snapshot.pins[(PROD, WEB)] = None
    meets_a_bug(world, monkeypatch)
    with capture_logs():
        assert not world.cell(DEV).record_known
        assert not world.cell(PROD).record_known


# What a service depends on.


def test_a_dependency_is_met_by_its_release_whatever_its_values(depending: World) -> None:
    assert depending.cell(DEV, API).depends == ((WEB, False),)
    depending.memory.records[(WEB, DEV)] = record(DEV, V2, proofs=(proof(V1),))
    assert depending.cell(DEV, API).depends == ((WEB, True),)
    assert depending.cell(STAGING, API).depends == ((WEB, False),)


def test_what_was_only_adopted_meets_no_dependency(depending: World) -> None:
    adopted = proof(V1, opens_gates=False)
    depending.memory.records[(WEB, DEV)] = record(DEV, V1, proofs=(adopted,))
    assert depending.cell(DEV, API).depends == ((WEB, False),)


def test_of_a_dependency_that_is_not_known_nothing_is_said(depending: World) -> None:
    depending.memory.unreadable.add((WEB, DEV))
    assert depending.cell(DEV, API).depends == ((WEB, None),)
    unknown = World(Asker(api=("nobody",)))
    assert unknown.cell(DEV, API).depends == ((ServiceName("nobody"), None),)
    unasked = World(Asker(api=("web",)))
    unasked.asker.answer = Ask(None, None, None, reason=Reason.ORPHANED, message="gone")
    assert unasked.cell(DEV, API).depends == ((WEB, None),)


def test_it_is_known_at_the_first_look_whatever_the_order() -> None:
    both = World(Asker(api=("web",), zoo=("api",)))
    assert both.cell(DEV, API).depends == ((WEB, False),)
    assert both.cell(DEV, ServiceName("zoo")).depends == ((API, False),)


def test_who_depends_on_a_service_is_looked_at_when_it_changes(depending: World) -> None:
    assert depending.gatherer.dependents(WEB) == {API}
    assert depending.gatherer.dependents(API) == set()
    depending.gatherer.use(None)
    assert depending.gatherer.dependents(WEB) == set()
