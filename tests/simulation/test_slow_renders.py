"""While some services take as long to render as they may, the others move as they always do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.core.phase import Phase, phase_of
from reconciler.errors import TransientError
from reconciler.model.env_repo import SourceKind
from reconciler.model.events import EventKind
from reconciler.model.facts import Cell
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.model.reasons import Reason
from reconciler.shell.coordinator import SWEEP_S
from reconciler.shell.rendering import AGAIN_MAX_S
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, MANIFESTS, SERVICE, World, pin, pins

GOOD, BAD, NEXT = "1.0.0", "1.1.0", "1.2.0"
LIMIT_S = 30.0
SLOW = "slow.yaml"
"""A service that holds this takes as long as a build may."""


class SlowBuilder(ServiceBuilder):
    """Lets time pass over what is slow, which is then ended unless it is left to succeed."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.is_ended = True
        self.began_s: list[float] = []

    def build(
        self, kind: SourceKind, files: Mapping[str, bytes], environment: EnvironmentName
    ) -> tuple[KubeObject, ...]:
        if SLOW in files:
            self.began_s.append(self._world.clock.monotonic_s())
            self._world.pass_(LIMIT_S)
            if self.is_ended:
                raise TransientError("kustomization .", "the render was ended", "it took too long")
        return super().build(kind, files, environment)


def started() -> tuple[World, SlowBuilder]:
    """Returns a fleet with one proven service, whose daemon meets slow ones from now on."""
    world = World(drift="correct")
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.kill()
    builder = SlowBuilder(world)
    world.builder = builder
    world.engine = world.start("two")
    world.pass_(LIMIT_S)
    assert phase(world, "web", "prod") is Phase.PROVEN
    return world, builder


def slow(*names: str, version: str = GOOD) -> dict[str, str]:
    """Returns the files of services that are slow in every environment."""
    files: dict[str, str] = {}
    for name in names:
        text = MANIFESTS.replace("name: web", f"name: {name}").replace("app: web", f"app: {name}")
        files |= {
            f"services/{name}/service.yaml": SERVICE,
            f"services/{name}/web.yaml": text,
            f"services/{name}/{SLOW}": "",
            **{f"environments/{e}/{name}.yaml": pin(version) for e in CLUSTERS},
        }
    return files


def cell(world: World, name: str, environment: str) -> Cell:
    view = world.engine.view
    assert view is not None
    cells = view.services[ServiceName(name)].facts.cells
    return next(c for c in cells if c.environment == environment)


def phase(world: World, name: str, environment: str) -> Phase:
    view = world.engine.view
    assert view is not None
    actions = view.services[ServiceName(name)].actions
    return phase_of(
        cell(world, name, environment),
        tuple(action for action in actions if action.environment == environment),
    )


def took_s(world: World, files: Mapping[str, str], version: str, kind: EventKind) -> float:
    """Returns the seconds from a merge to when something of `web` is told of staging."""
    began, told = world.clock.now(), len(world.events)
    world.git.merge({**pins(version), **files})
    # What is slow keeps a test from looking, and nobody else.
    world.pass_(3 * LIMIT_S)
    at = next(
        e.at
        for e in world.events[told:]
        if (e.kind, e.service, e.environment) == (kind, "web", "staging")
    )
    return (at - began).total_seconds()


def test_a_release_is_as_fast_beside_a_slow_service() -> None:
    alone_s = took_s(started()[0], {}, NEXT, EventKind.PROVEN)
    world, builder = started()
    beside_s = took_s(world, slow("a1"), NEXT, EventKind.PROVEN)
    assert len(builder.began_s) > 1
    assert beside_s == pytest.approx(alone_s, abs=2.0)


def test_a_failing_release_is_taken_back_as_fast_while_all_builders_are_busy() -> None:
    worlds = [started()[0] for _ in range(2)]
    for world in worlds:
        world.fates["staging-1", BAD] = Fate.CRASH
    alone_s, beside_s = (
        took_s(world, files, BAD, EventKind.ROLLED_BACK)
        for world, files in zip(worlds, ({}, slow("x1", "x2", "x3")), strict=True)
    )
    assert beside_s == pytest.approx(alone_s, abs=2.0)


def test_what_is_being_rendered_says_so_and_goes_on_as_soon_as_it_is_there() -> None:
    world, builder = started()
    builder.is_ended = False
    told = len(world.events)
    world.git.merge(slow("a1"))
    world.pass_(LIMIT_S / 2)
    assert cell(world, "a1", "dev").ask.reason is Reason.RENDERING
    assert phase(world, "a1", "dev") is Phase.WAITING
    assert world.until(lambda: world.proven("dev", GOOD, "a1"), limit_s=LIMIT_S)
    # A moment's wait is no news.
    assert Reason.RENDERING.value not in {event.reason for event in world.events[told:]}
    assert world.until(lambda: world.proven("prod", GOOD, "a1"))
    assert len(builder.began_s) == len(CLUSTERS)


def test_an_error_stands_while_it_is_looked_into_again() -> None:
    world, builder = started()
    world.git.merge({**slow("a1"), **dict.fromkeys(_pins("a1", "staging", "prod"))})
    world.pass_(LIMIT_S + 5)
    seen = set()
    for _ in range(int(3 * AGAIN_MAX_S / 5)):
        world.pass_(5)
        seen.add((cell(world, "a1", "dev").ask.reason, phase(world, "a1", "dev")))
    assert seen == {(Reason.SOURCE_UNKNOWN, Phase.HELD)}
    gaps = [
        later - sooner - LIMIT_S
        for sooner, later in zip(builder.began_s, builder.began_s[1:], strict=False)
    ]
    assert len(gaps) >= 2
    for gap in gaps:
        # It is asked for when the fleet is next swept.
        assert AGAIN_MAX_S - 0.1 <= gap <= AGAIN_MAX_S + SWEEP_S + 0.1
    builder.is_ended = False
    assert world.until(lambda: world.proven("dev", GOOD, "a1"), limit_s=AGAIN_MAX_S + 100)


def test_what_a_newer_commit_no_longer_asks_for_is_not_built() -> None:
    world, builder = started()
    # Three builds each, of which the first is begun at once.
    commits: list[dict[str, str | None]] = [
        {**slow("a1"), "services/a1/more.yaml": f"# {number}"} for number in range(3)
    ]
    commits.append({f"services/a1/{SLOW}": None})

    def merge_next() -> float:
        if commits:
            world.git.merge(commits.pop(0))
        return 5.0

    world.runner.spawn("people", merge_next)
    began = world.clock.now()
    world.pass_(3 * LIMIT_S)
    proven = next(e.at for e in world.events if (e.kind, e.service) == (EventKind.PROVEN, "a1"))
    assert (proven - began).total_seconds() < LIMIT_S + 15
    assert len(builder.began_s) == 1


def test_who_depends_on_what_is_being_rendered_goes_on_as_soon_as_that_is_known() -> None:
    world, builder = started()
    builder.is_ended = False
    told = len(world.events)
    depends = {"services/web/service.yaml": f"{SERVICE}depends_on: [a1]\n"}
    one_pin = dict.fromkeys(_pins("a1", "staging", "prod"))
    world.git.merge({**slow("a1"), **one_pin, **depends, **pins(NEXT)})
    world.pass_(LIMIT_S + 30)
    times = {(e.kind, str(e.service)): e.at for e in world.events[told:] if e.environment == "dev"}
    proven, admitted = times[EventKind.PROVEN, "a1"], times[EventKind.ADMITTED, "web"]
    assert (admitted - proven).total_seconds() < 1.0
    words = {e.message for e in world.events[told:] if e.reason == "WaitingForDependency"}
    assert not {message for message in words if "is not known" in message and "in dev" in message}


def test_who_depends_on_what_stood_before_a_restart_goes_on_as_soon_as_that_is_known() -> None:
    world = World()
    depends = {"services/web/service.yaml": f"{SERVICE}depends_on: [a1]\n"}
    world.git.merge({**slow("a1"), **depends, **pins(GOOD)})
    assert world.until(lambda: world.proven("prod", GOOD))
    world.kill()
    builder = SlowBuilder(world)
    world.builder, builder.is_ended = builder, False
    world.git.merge(pins(NEXT))
    began, told = world.clock.now(), len(world.events)
    world.engine = world.start("two")
    world.pass_(3 * LIMIT_S)
    admitted = next(
        e.at
        for e in world.events[told:]
        if (e.kind, e.service, e.environment) == (EventKind.ADMITTED, "web", "dev")
    )
    assert (admitted - began).total_seconds() == pytest.approx(LIMIT_S, abs=2.0)


def _pins(name: str, *environments: str) -> list[str]:
    return [f"environments/{e}/{name}.yaml" for e in environments]
