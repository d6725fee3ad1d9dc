"""A rejection is written before the roll-back starts, and the roll-back before Git: by what was written where."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.errors import TransientError
from reconciler.model.events import EventKind
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import World, Write, image, pins

GOOD, BAD = "1.0.0", "1.1.0"
HOME, STAGING = "dev-1", "staging-1"


@pytest.fixture
def world() -> World:
    """A fleet on which a release is in staging that crashes there, and nobody has seen it yet."""
    made = World()
    made.git.merge(pins(GOOD))
    assert made.until(lambda: made.proven("prod", GOOD))
    made.fates[STAGING, BAD] = Fate.CRASH
    made.git.merge(pins(BAD))
    assert made.until(lambda: made.image(STAGING) == image(BAD))
    made.writes.clear()
    return made


def first(world: World, is_meant: Callable[[Write], bool]) -> int:
    """Returns the place of the first write of a kind among all that were made, to whichever cluster."""
    return next(n for n, write in enumerate(world.writes) if is_meant(write))


def rejects(cluster: str, kind: str) -> Callable[[Write], bool]:
    """Whether a write puts the rejection into a record of staging."""

    def is_meant(write: Write) -> bool:
        written = write.written
        if (write.cluster, written.kind, written.name) != (cluster, kind, "web.staging"):
            return False
        return bool(written.obj["spec"].get("rejections") or written.obj["spec"].get("rejection"))

    return is_meant


def puts_back(write: Write) -> bool:
    """Whether a write gives staging's Deployment the image that was proven there."""
    if (write.cluster, write.written.kind) != (STAGING, "Deployment"):
        return False
    containers = write.written.obj["spec"]["template"]["spec"]["containers"]
    return str(containers[0]["image"]) == image(GOOD)


def test_the_home_has_the_rejection_before_anything_is_put_back(world: World) -> None:
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    objects = ("Deployment", "ConfigMap", "Service")
    rejected = first(world, rejects(HOME, "PromotionRecord"))
    touched = first(world, lambda w: w.cluster == STAGING and w.written.kind in objects)
    assert rejected < touched <= first(world, puts_back)


def test_without_the_home_the_clusters_own_record_has_the_rejection_first(world: World) -> None:
    world.clusters[HOME].faults.is_down = True
    assert world.until(lambda: world.image(STAGING) == image(GOOD))
    assert first(world, rejects(STAGING, "ServiceRecord")) < first(world, puts_back)
    assert not [w for w in world.writes if w.cluster == HOME]


def test_the_clusters_are_put_back_before_git_is_written_to(world: World) -> None:
    until_s = world.clock.monotonic_s() + 20

    def meet(holder: str, cluster: str, verb: str, kind: str) -> None:
        is_put_back = (cluster, verb, kind) == (STAGING, "apply", "Deployment")
        if is_put_back and world.clock.monotonic_s() < until_s:
            raise TransientError("Deployment web/web", "it cannot be written", "try again")

    world.before = meet
    put_back: list[bool] = []
    world.git.before_push = lambda: put_back.append(any(map(puts_back, world.writes)))
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    assert put_back and all(put_back)
