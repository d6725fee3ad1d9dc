"""A few scenarios in whatever order tasks come, with a daemon that is killed somewhere in them.

`SIM_SEEDS` says how many orders are tried; each seed replays exactly.
"""

from __future__ import annotations

import os
import random

import pytest

from reconciler.model.events import EventKind
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, World, image, pin, pins

GOOD, BAD, NEWER = "1.0.0", "1.1.0", "1.2.0"
SEEDS = range(2, 2 + int(os.environ.get("SIM_SEEDS", "2")))


def killed_somewhere(world: World, seed: int, within_s: float) -> None:
    """Kills the daemon at a moment that the seed chooses, and starts another."""
    world.pass_(random.Random(seed).uniform(0.0, within_s))
    world.kill()
    world.engine = world.start("two")


def reverts(world: World) -> int:
    log = world.git.log(world.git.branches["main"], path=None, most=100)
    return sum("Reconciler-Action: revert" in facts.message for facts in log)


def waves(world: World, version: str) -> dict[str, float]:
    """Returns when each cluster was first given a version."""
    first: dict[str, float] = {}
    for name, cluster in world.clusters.items():
        for written in cluster.audit:
            if written.kind == "Deployment" and written.verb == "apply":
                containers = written.obj["spec"]["template"]["spec"]["containers"]
                if containers[0]["image"] == image(version):
                    first.setdefault(name, written.at.timestamp())
    return first


@pytest.mark.parametrize("seed", SEEDS)
def test_a_release_goes_everywhere_in_order(seed: int) -> None:
    world = World(seed=seed)
    world.git.merge(pins(GOOD))
    killed_somewhere(world, seed, 40.0)
    assert world.until(lambda: world.proven("prod", GOOD), 240)
    when = waves(world, GOOD)
    assert set(when) == {name for names in CLUSTERS.values() for name in names}
    assert when["dev-1"] < when["staging-1"] < when["prod-1"]
    assert when["prod-1"] < min(when["prod-2"], when["prod-3"])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bad_release_comes_back_out_once(seed: int) -> None:
    world = World(seed=seed)
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD), 240)
    world.git.merge(pins(BAD, Fate.CRASH))
    killed_somewhere(world, seed, 12.0)
    assert world.until(lambda: reverts(world) > 0, 240)
    assert world.until(lambda: world.image("dev-1") == image(GOOD), 240)
    world.pass_(60)
    assert reverts(world) == 1
    assert b"1.1.0" in world.git.read("quarantine/web.yaml")
    for name in ("staging-1", *CLUSTERS["prod"]):
        images = {
            written.obj["spec"]["template"]["spec"]["containers"][0]["image"]
            for written in world.clusters[name].audit
            if written.kind == "Deployment" and written.verb == "apply"
        }
        assert images == {image(GOOD)}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fleet_with_a_cluster_that_comes_and_goes_ends_up_as_asked_for(seed: int) -> None:
    world = World(seed=seed)
    chance = random.Random(seed)
    world.git.merge(pins(GOOD))
    names = sorted(world.clusters)
    for version in (NEWER, "1.3.0", "1.4.0"):
        flapping = world.clusters[chance.choice(names)]
        world.git.merge({f"environments/{e}/web.yaml": pin(version) for e in CLUSTERS})
        world.pass_(chance.uniform(0.0, 20.0))
        flapping.faults.is_down = True
        world.pass_(chance.uniform(1.0, 20.0))
        flapping.faults.is_down = False
        world.pass_(chance.uniform(0.0, 20.0))
    assert world.until(lambda: world.proven("prod", "1.4.0"), 400)
    assert {world.image(name) for name in names} == {image("1.4.0")}
    assert not world.told(EventKind.REJECTED)
