"""Two services of which one depends on the other: what was let in beside a rejected release goes back with it."""

from __future__ import annotations

from reconciler.model.events import EventKind
from reconciler.simulated.behaviour import Fate
from tests.fakes.tombstones import begun, hold
from tests.fakes.world import CLUSTERS, World, image, pin
from tests.simulation.test_tombstones_beside import service

GOOD, NEXT, FIXED = "1.0.0", "2.0.0", "2.1.0"
SHOP = "2.0.9"
"""The next release of shop; images of one version are one image, and fare alike."""


def crash(world: World, cluster: str, version: str) -> None:
    """Makes the Pods of web on a cluster crash from now on."""
    store = world.clusters[cluster].store
    kind = store.served("v1", "Pod")
    assert kind is not None
    world.fates[cluster, version] = Fate.CRASH
    for pod in store.peek(kind, "web"):
        if pod["metadata"]["labels"]["app"] == "web":
            store.delete(kind, "web", pod["metadata"]["name"])


def both_on(world: World, cluster: str, *versions: str) -> bool:
    return [world.image(cluster, name) for name in ("web", "shop")] == list(map(image, versions))


def begun_with_both() -> World:
    """Returns a world in which the next release of both is proven in dev, that of shop beside that of web."""
    world = begun(files=dict(service("shop", "web")))
    assert world.until(lambda: world.proven("prod", GOOD, "shop"))
    for_both = (("web", NEXT), ("shop", SHOP))
    environments = ("dev", "staging")
    edits = {f"environments/{e}/{n}.yaml": pin(v) for e in environments for n, v in for_both}
    world.git.merge(edits)
    assert world.until(lambda: world.proven("staging", SHOP, "shop"))
    return world


def test_it_goes_back_with_it_at_once_waits_and_goes_on_beside_a_newer_one() -> None:
    world = begun_with_both()
    crash(world, "staging-1", NEXT)
    assert world.until(lambda: world.image("staging-1") == image(GOOD))
    assert world.until(lambda: both_on(world, "staging-1", GOOD, GOOD), 2)
    assert both_on(world, "dev-1", NEXT, SHOP), "where it stands nothing goes back"
    world.pass_(60)
    assert both_on(world, "staging-1", GOOD, GOOD)
    assert hold(world, "staging", "shop")[0] == "DependencyRejected"
    rejected = {(event.service, event.environment) for event in world.told(EventKind.REJECTED)}
    assert rejected == {("web", "staging")}
    assert pin(SHOP) == world.git.read("environments/staging/shop.yaml").decode()

    world.git.merge(
        {f"environments/{e}/web.yaml": pin(FIXED) for e in ("dev", "staging")}, "web 2.1.0"
    )
    assert world.until(lambda: world.proven("staging", FIXED))
    assert world.until(lambda: world.image("staging-1", "shop") == image(SHOP))
    world.pass_(30)
    assert hold(world, "staging", "shop")[0] == "Settled"


def test_a_daemon_that_dies_between_the_two_does_the_rest() -> None:
    world = begun_with_both()
    crash(world, "staging-1", NEXT)

    def is_rejected() -> bool:
        record = world.record("staging")
        return record is not None and bool(record.rejections)

    assert world.until(is_rejected)
    world.kill()
    world.engine = world.start("one")
    assert world.until(lambda: both_on(world, "staging-1", GOOD, GOOD), 30)


def test_it_goes_on_nowhere_later_either() -> None:
    world = begun_with_both()
    crash(world, "staging-1", NEXT)
    assert world.until(lambda: both_on(world, "staging-1", GOOD, GOOD))
    world.pass_(10)
    world.git.merge({"environments/prod/shop.yaml": pin(SHOP)})
    world.pass_(60)
    assert {world.image(name, "shop") for name in CLUSTERS["prod"]} == {image(GOOD)}
    assert hold(world, "prod", "shop")[0] == "DependencyRejected"
