"""Environments side by side: what fails in one comes back there, and goes on beside it."""

from __future__ import annotations

from reconciler.model.events import EventKind
from reconciler.model.names import EnvironmentName
from reconciler.model.path import Path, Step
from reconciler.simulated.behaviour import Fate, digest_for
from tests.fakes.world import CLUSTERS, POLICY, World, pins

GOOD, BAD = "1.0.0", "1.1.0"
DEV, STAGING, PROD = (EnvironmentName(name) for name in CLUSTERS)
FORKED = POLICY.replace("DRIFT", "report").replace("  prod:\n", "  prod:\n    after: [dev]\n")
"""staging and prod each come after dev."""


def forked() -> World:
    """Returns a fleet on which a first release is proven everywhere."""
    world = World()
    world.git.merge({**pins(GOOD), "policies/line.yaml": FORKED})
    assert world.until(lambda: all(world.proven(e, GOOD) for e in CLUSTERS))
    return world


def is_asked_for(world: World, environment: str, version: str) -> bool:
    text = world.git.read(f"environments/{environment}/web.yaml").decode()
    return digest_for(Fate.READY, version) in text


def test_a_release_that_fails_in_one_goes_on_in_the_other() -> None:
    world = forked()
    world.fates[("staging-1", BAD)] = Fate.CRASH
    world.git.merge(pins(BAD))
    assert world.until(lambda: world.proven("prod", BAD))
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    world.pass_(60)
    assert world.proven("prod", BAD) and not world.proven("staging", BAD)
    asked = {e: is_asked_for(world, e, BAD) for e in CLUSTERS}
    assert asked == {"dev": True, "staging": False, "prod": True}
    record = world.record("staging")
    assert record is not None and record.rejections[0].environments == (STAGING,)
    assert len(world.told(EventKind.REJECTED)) == 1


def test_a_way_back_needs_no_git_to_know_what_lies_beside_it() -> None:
    world = forked()
    world.fates[("staging-1", BAD)] = Fate.CRASH
    world.git.merge(pins(BAD))
    new = digest_for(Fate.READY, BAD)
    assert world.until(lambda: str(world.image("staging-1")).endswith(new))
    world.kill()
    begun = world.record("prod")
    assert begun is not None and begun.rollout is not None
    assert begun.rollout.path == Path((Step(DEV), Step(STAGING, (DEV,)), Step(PROD, (DEV,))))
    world.git.is_down = True
    world.start("two")
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    record = world.record("staging")
    assert record is not None and record.rejections[0].environments == (STAGING,)
