"""A person pins the release before: no page, event or metric calls it proven before the clusters run it."""

from __future__ import annotations

import pytest

from reconciler.core.phase import Phase, phase_of
from reconciler.model.events import PAGE, EventKind
from reconciler.model.health import HealthStatus
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.view import View
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, World, image, pins

GOOD, NEWER = "1.0.0", "1.1.0"
WEB = ServiceName("web")


class Watched:
    """Every turn's view of one environment, held against what its clusters run."""

    def __init__(self, environment: str) -> None:
        self.environment = EnvironmentName(environment)
        self.world = World(on_view=self.look)
        self.phases: list[Phase] = []
        self.too_soon: list[str] = []

    def look(self, view: View) -> None:
        planned = view.services.get(WEB)
        record = self.world.record(self.environment) if planned is not None else None
        if planned is None or record is None or record.admitted is None:
            return
        cell = next(c for c in planned.facts.cells if c.environment == self.environment)
        phase = phase_of(cell, planned.of(self.environment))
        if not self.phases or self.phases[-1] is not phase:
            self.phases.append(phase)
        wanted = image(record.admitted.release.version)
        runs = [self.world.image(name) for name in CLUSTERS[self.environment]]
        well = all(m.health.status is HealthStatus.CURRENT for m in cell.members)
        if phase is Phase.PROVEN and not (set(runs) == {wanted} and well):
            self.too_soon.append(f"{wanted} is told as proven where {runs} run")


def held(world: World, environment: str) -> list[tuple[str, bool]]:
    return [
        (e.reason, PAGE in e.detail)
        for e in world.told(EventKind.HELD)
        if e.environment == environment
    ]


@pytest.mark.parametrize("is_proven", [True, False], ids=["proven", "on its way"])
def test_it_is_told_as_on_its_way_until_they_do(is_proven: bool) -> None:
    seen = Watched("prod")
    world = seen.world
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.image("prod-1") == image(NEWER))
    if is_proven:
        assert world.until(lambda: world.proven("prod", NEWER))
    seen.phases.clear()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.image("prod-1") == image(GOOD))
    world.pass_(30)
    assert seen.phases[-2:] == [Phase.ROLLING_OUT, Phase.PROVEN] and seen.too_soon == []
    assert held(world, "prod")[-2:] == [("Progressing", False), ("Settled", False)]


def test_what_does_not_come_back_in_time_wakes_a_person() -> None:
    seen = Watched("dev")
    world = seen.world
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.proven("prod", NEWER))
    world.fates["dev-1", GOOD] = Fate.UNSCHEDULABLE
    world.git.merge(pins(GOOD))
    world.pass_(120)
    assert held(world, "dev")[-1] == ("ProgressDeadline", True) and seen.too_soon == []
    del world.fates["dev-1", GOOD]
    assert world.until(lambda: held(world, "dev")[-1] == ("Settled", False))
