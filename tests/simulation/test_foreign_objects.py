"""What was live before the daemon, and clusters whose record is lost."""

from __future__ import annotations

from reconciler.model.events import EventKind
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Propagation
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import World, image, pins

GOOD, NEXT = "1.0.0", "1.1.0"

CONFIG = ObjectRef("v1", "ConfigMap", "web", "web")
THEIRS = {"greeting": "mine"}


def put(world: World, cluster: str, data: dict[str, str]) -> None:
    meta = {"name": "web", "namespace": "web"}
    world.clusters[cluster].client().create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}
    )


def delete(world: World, cluster: str, ref: ObjectRef) -> None:
    client = world.clusters[cluster].client()
    found = client.get(ref)
    assert found is not None
    meta = found["metadata"]
    client.delete(
        ref,
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        propagation=Propagation.BACKGROUND,
    )


def record_of(environment: str) -> ObjectRef:
    kind = ("reconciler.dev/v1alpha1", "ServiceRecord")
    return ObjectRef(*kind, "reconciler-system", f"web.{environment}")


def held(world: World, environment: str) -> list[str]:
    return [
        event.message
        for event in world.told(EventKind.HELD)
        if (event.reason, event.environment) == ("AdoptionDiffers", environment)
    ]


def test_what_a_person_takes_away_by_hand_is_no_reason_to_wait_any_longer() -> None:
    world = World()
    put(world, "dev-1", THEIRS)
    world.git.merge(pins(GOOD))
    world.pass_(60)
    assert held(world, "dev") and world.image("dev-1") is None
    delete(world, "dev-1", CONFIG)
    assert world.until(lambda: world.proven("dev", GOOD))


def test_a_cluster_that_lost_its_record_is_put_back_too() -> None:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.fates[("staging-1", NEXT)] = Fate.CRASH
    world.git.merge(pins(NEXT))
    assert world.until(lambda: bool(world.told(EventKind.REJECTED)))
    world.kill()
    assert world.image("staging-1") == image(NEXT)
    delete(world, "staging-1", record_of("staging"))
    world.engine = world.start("two")
    assert world.until(lambda: world.image("staging-1") == image(GOOD))


def test_a_record_that_is_lost_on_one_cluster_is_made_again() -> None:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    delete(world, "prod-2", record_of("prod"))
    assert world.until(lambda: world.service_record("prod-2") is not None)
    world.git.merge(pins(NEXT))
    assert world.until(lambda: world.proven("prod", NEXT))
    assert held(world, "prod") == []
