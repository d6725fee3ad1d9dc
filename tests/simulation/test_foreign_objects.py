"""Objects that somebody else made are not written over until the pin says so, wherever they are found."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.events import EventKind
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Propagation
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import FLEET, MANIFESTS, POLICY, World, image, pins

GOOD, NEXT = "1.0.0", "1.1.0"

CONFIG = ObjectRef("v1", "ConfigMap", "web", "web")
THEIRS = {"greeting": "mine"}
OURS = {"greeting": "hello"}

LINE = POLICY.replace("DRIFT", "correct")
WITHOUT_PROD_3 = {
    "fleet.yaml": FLEET.replace(", {name: prod-3}", ""),
    "policies/line.yaml": LINE.replace(", prod-3]", "]"),
}
WITH_PROD_3 = {"fleet.yaml": FLEET, "policies/line.yaml": LINE}
OVERWRITTEN = {p: t + "adopt: overwrite\n" for p, t in pins(GOOD).items() if "/prod/" in p}
AFTER_PROOF_S = 70
"""By then its watch window is over as well."""


def config(world: World, cluster: str, ref: ObjectRef = CONFIG) -> Any:
    found = world.clusters[cluster].client().get(ref)
    return found["data"] if found is not None else None


def put(world: World, cluster: str, data: dict[str, str], name: str = "web") -> None:
    meta = {"name": name, "namespace": "web"}
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


@pytest.mark.parametrize("undone", [OVERWRITTEN, None], ids=["the pin says so", "it is taken away"])
def test_a_cluster_that_is_named_later_is_not_written_over(
    smaller: World, undone: dict[str, str] | None
) -> None:
    world = smaller
    put(world, "prod-3", THEIRS)
    world.git.merge(WITH_PROD_3)
    world.pass_(AFTER_PROOF_S)
    assert config(world, "prod-3") == THEIRS and world.image("prod-3") is None
    (message,) = held(world, "prod")
    assert "prod-3: ConfigMap" in message and "data.greeting" in message
    assert "adopt: overwrite" in message
    if undone is None:
        delete(world, "prod-3", CONFIG)
    else:
        world.git.merge(undone)
    assert world.until(lambda: world.image("prod-3") == image(GOOD), limit_s=60)
    assert config(world, "prod-3") == OURS


def test_a_daemon_that_is_started_again_leaves_it_alone_as_well(smaller: World) -> None:
    world = smaller
    put(world, "prod-3", THEIRS)
    world.git.merge(WITH_PROD_3)
    assert world.until(lambda: bool(held(world, "prod")))
    world.kill()
    world.engine = world.start("two")
    world.pass_(AFTER_PROOF_S)
    assert config(world, "prod-3") == THEIRS and world.image("prod-3") is None


def test_what_is_equal_is_taken_over_with_what_is_not_there_yet(smaller: World) -> None:
    put(smaller, "prod-3", OURS)
    smaller.git.merge(WITH_PROD_3)
    assert smaller.until(lambda: smaller.image("prod-3") == image(GOOD))
    assert held(smaller, "prod") == []


def test_the_others_go_on_beside_it(smaller: World) -> None:
    world = smaller
    put(world, "prod-3", THEIRS)
    world.git.merge(WITH_PROD_3)
    assert world.until(lambda: bool(held(world, "prod")))
    client = world.clusters["prod-1"].client()
    found = client.get(CONFIG)
    assert found is not None
    client.replace({**found, "data": {"greeting": "by hand"}}, subresource=None)
    assert world.until(lambda: config(world, "prod-1") == OURS)
    world.git.merge(pins(NEXT))
    assert world.until(lambda: world.image("prod-2") == image(NEXT))
    world.pass_(AFTER_PROOF_S)
    assert not world.proven("prod", NEXT), "it is one of those that the proof is about"
    assert config(world, "prod-3") == THEIRS


def test_a_way_back_does_not_wait_for_it_and_writes_nothing_over(smaller: World) -> None:
    world = smaller
    put(world, "prod-3", THEIRS)
    world.git.merge(WITH_PROD_3)
    assert world.until(lambda: bool(held(world, "prod")))
    world.fates[("prod-1", NEXT)] = Fate.CRASH
    world.git.merge(pins(NEXT))
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    assert world.image("prod-1") == image(GOOD)
    world.pass_(AFTER_PROOF_S)
    assert config(world, "prod-3") == THEIRS and world.image("prod-3") is None


@pytest.mark.parametrize("drift", ["correct", "report"])
def test_an_object_that_a_later_release_is_the_first_to_name_is_not_written_over(
    drift: str,
) -> None:
    world = World(drift=drift)
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    put(world, "staging-1", THEIRS, "more")
    more = MANIFESTS.split("---")[0].replace("name: web", "name: more")
    world.git.merge({**pins(NEXT), "services/web/more.yaml": more})
    assert world.until(lambda: world.proven("dev", NEXT))
    world.pass_(AFTER_PROOF_S)
    assert config(world, "staging-1", ObjectRef("v1", "ConfigMap", "web", "more")) == THEIRS
    assert world.image("staging-1") == image(GOOD), "a revision is applied whole or not at all"
    assert held(world, "staging") and not world.told(EventKind.REJECTED)
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("dev", GOOD) and world.proven("staging", GOOD))
