"""Objects that somebody else made are not written over until the pin says so, wherever they are found."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.events import EventKind
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Propagation
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import FLEET, POLICY, World, image, pins

GOOD, NEXT = "1.0.0", "1.1.0"

CONFIG = ObjectRef("v1", "ConfigMap", "web", "web")
THEIRS = {"greeting": "mine"}

WITHOUT_PROD_3 = {
    "fleet.yaml": FLEET.replace(", {name: prod-3}", ""),
    "policies/line.yaml": POLICY.replace("DRIFT", "correct").replace(", prod-3]", "]"),
}
WITH_PROD_3 = {"fleet.yaml": FLEET, "policies/line.yaml": POLICY.replace("DRIFT", "correct")}


def config(world: World, cluster: str) -> Any:
    found = world.clusters[cluster].client().get(CONFIG)
    return found["data"] if found is not None else None


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


@pytest.fixture
def smaller() -> World:
    """A fleet that does not name prod-3 yet, on which a release is proven everywhere."""
    world = World(drift="correct")
    world.git.merge({**WITHOUT_PROD_3, **pins(GOOD)})
    assert world.until(lambda: world.proven("prod", GOOD))
    assert world.image("prod-3") is None
    return world


def test_what_a_person_takes_away_by_hand_is_no_reason_to_wait_any_longer() -> None:
    world = World()
    put(world, "dev-1", THEIRS)
    world.git.merge(pins(GOOD))
    world.pass_(60)
    assert held(world, "dev") and world.image("dev-1") is None
    delete(world, "dev-1", CONFIG)
    assert world.until(lambda: world.proven("dev", GOOD))


def test_a_cluster_that_is_named_later_is_looked_at_before_it_is_given_anything(
    smaller: World,
) -> None:
    world = smaller
    put(world, "prod-3", THEIRS)
    world.git.merge(WITH_PROD_3)
    world.pass_(120)
    assert config(world, "prod-3") == THEIRS
    assert world.image("prod-3") is None and world.service_record("prod-3") is None
    (message,) = held(world, "prod")
    assert "prod-3" in message and "adopt: overwrite" in message
    edits = {p: t + "adopt: overwrite\n" for p, t in pins(GOOD).items() if "/prod/" in p}
    world.git.merge(edits)
    assert world.until(lambda: world.image("prod-3") == image(GOOD))
    assert config(world, "prod-3") == {"greeting": "hello"}


def test_the_others_go_on_beside_a_cluster_with_foreign_objects(smaller: World) -> None:
    world = smaller
    put(world, "prod-3", THEIRS)
    world.git.merge(WITH_PROD_3)
    assert world.until(lambda: bool(held(world, "prod")))
    client = world.clusters["prod-1"].client()
    found = client.get(CONFIG)
    assert found is not None
    client.replace({**found, "data": {"greeting": "by hand"}}, subresource=None)
    assert world.until(lambda: config(world, "prod-1") == {"greeting": "hello"})
    assert config(world, "prod-3") == THEIRS


@pytest.mark.parametrize("data", [None, {"greeting": "hello"}], ids=["empty", "equal"])
def test_a_cluster_without_foreign_objects_is_given_what_is_proven(
    smaller: World, data: dict[str, str] | None
) -> None:
    if data is not None:
        put(smaller, "prod-3", data)
    smaller.git.merge(WITH_PROD_3)
    if data is None:
        assert smaller.until(lambda: smaller.image("prod-3") == image(GOOD))
        return
    smaller.pass_(60)
    assert smaller.image("prod-3") is None, "a part of it is there, and nobody knows whose"
    assert held(smaller, "prod")


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


def test_a_record_that_is_lost_on_one_cluster_is_made_again(smaller: World) -> None:
    delete(smaller, "prod-2", record_of("prod"))
    assert smaller.until(lambda: smaller.service_record("prod-2") is not None)
    smaller.git.merge(pins(NEXT))
    assert smaller.until(lambda: smaller.proven("prod", NEXT))
    assert held(smaller, "prod") == []
