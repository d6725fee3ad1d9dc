"""Tombstones of the service `web` in a small world, and what is left of it."""

from __future__ import annotations

from reconciler.core.holding import told
from reconciler.core.phase import Phase, phase_of
from reconciler.model.actions import Hold
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import ObjectRef
from reconciler.model.reasons import Reason
from tests.fakes.world import CLUSTERS, World, pins

GOOD = "1.0.0"
TOMBSTONE = "release: absent\nreason: it is over\n"
TOMBSTONES = {f"environments/{e}/web.yaml": TOMBSTONE for e in CLUSTERS}
EVERY = [name for names in CLUSTERS.values() for name in names]
OWNED = (
    ObjectRef("v1", "ConfigMap", "web", "web"),
    ObjectRef("apps/v1", "Deployment", "web", "web"),
    ObjectRef("v1", "Service", "web", "web"),
)


def left(world: World, cluster: str) -> list[str]:
    client = world.clusters[cluster].client()
    return [ref.kind for ref in OWNED if client.get(ref) is not None]


def gone(world: World, environment: str) -> bool:
    record = world.record(environment)
    return (
        record is not None
        and record.admitted is not None
        and record.admitted.absent
        and any(p.revision.absent and p.opens_gates for p in record.proofs)
    )


def hold(world: World, environment: str, service: str = "web") -> tuple[Reason, str, bool]:
    view = world.engine.view
    assert view is not None
    action = told(view.services[ServiceName(service)].of(EnvironmentName(environment)))
    assert isinstance(action, Hold), action
    return action.reason, action.message, action.page


def phase(world: World, environment: str) -> Phase:
    view = world.engine.view
    assert view is not None
    planned = view.services[ServiceName("web")]
    cell = next(c for c in planned.facts.cells if c.environment == environment)
    return phase_of(cell, planned.of(cell.environment))


def begun(*, drift: str = "report", files: dict[str, str | None] | None = None) -> World:
    world = World(drift=drift)
    world.git.merge({**pins(GOOD), **(files or {})})
    assert world.until(lambda: world.proven("prod", GOOD))
    return world
