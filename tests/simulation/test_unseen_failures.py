"""A failure that begins while nobody looks: acted on where the record says that it is not proven yet, else told."""

from __future__ import annotations

from reconciler.model.events import PAGE, EventKind
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import World, image, pins

GOOD, NEXT = "1.0.0", "1.1.0"
WATCH_S = 60.0
"""`watch_for_s` of the world's policy."""


def crash(world: World, cluster: str, version: str) -> None:
    """Makes the Pods of a cluster crash from now on."""
    store = world.clusters[cluster].store
    kind = store.served("v1", "Pod")
    assert kind is not None
    world.fates[cluster, version] = Fate.CRASH
    for pod in store.peek(kind, "web"):
        store.delete(kind, "web", pod["metadata"]["name"])


def away(world: World, cluster: str, *, for_s: float) -> None:
    """Ends the daemon, lets a cluster's Pods crash, and starts another one so much later."""
    world.kill()
    world.pass_(1)
    crash(world, cluster, NEXT)
    world.pass_(for_s)
    world.engine = world.start("one")


def rolls_out(world: World, environment: str) -> bool:
    record = world.record(environment)
    return record is not None and record.rollout is not None


def begun() -> World:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge({"environments/dev/web.yaml": pins(NEXT)["environments/dev/web.yaml"]})
    return world


def told_as_failing(world: World) -> bool:
    return any(
        event.reason == "FailingAfterProof" and PAGE in event.detail
        for event in world.told(EventKind.HELD)
    )


def test_within_its_watch_it_is_taken_back_when_somebody_looks_again() -> None:
    world = begun()
    assert world.until(lambda: world.proven("dev", NEXT))
    away(world, "dev-1", for_s=WATCH_S / 3)
    assert world.until(lambda: world.image("dev-1") == image(GOOD))


def test_what_began_within_its_watch_and_is_seen_after_it_is_only_told() -> None:
    world = begun()
    assert world.until(lambda: world.proven("dev", NEXT))
    away(world, "dev-1", for_s=2 * WATCH_S)
    assert world.until(lambda: told_as_failing(world))
    world.pass_(30)
    assert world.image("dev-1") == image(NEXT) and not world.told(EventKind.REJECTED)


def test_what_is_not_proven_is_taken_back_however_late_that_is() -> None:
    world = begun()
    assert world.until(lambda: world.image("dev-1") == image(NEXT) and rolls_out(world, "dev"))
    away(world, "dev-1", for_s=60 * WATCH_S)
    assert world.until(lambda: world.image("dev-1") == image(GOOD))
    assert not told_as_failing(world)
