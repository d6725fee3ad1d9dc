"""What `kubectl describe promotionrecord` shows of a release that came and went."""

from __future__ import annotations

from typing import Any

from reconciler.model.objects import ObjectRef
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, World, pins

RECORD = ObjectRef("reconciler.dev/v1alpha1", "PromotionRecord", "reconciler-system", "web.dev")


def announced(world: World, cluster: str = "dev-1") -> list[dict[str, Any]]:
    """Returns the Events of a cluster, as they came."""
    client = world.clusters[cluster].client()
    found = client.list("v1", "Event", namespace="reconciler-system", label_selector="")
    return sorted(map(dict, found.items), key=lambda e: int(e["metadata"]["resourceVersion"]))


def failed_in_dev() -> World:
    """Returns a world where a bad release was taken back."""
    world = World()
    world.git.merge(pins("1"))
    assert world.until(lambda: world.proven("prod", "1"))
    world.git.merge(pins("2", Fate.CRASH))
    assert world.until(lambda: "RevertPushed" in {e["reason"] for e in announced(world)})
    world.pass_(10)
    return world


def test_a_record_has_the_story_of_its_releases() -> None:
    world = failed_in_dev()
    of_dev = [e for e in announced(world) if e["involvedObject"]["name"] == "web.dev"]
    story = [e["reason"] for e in of_dev if e["reason"] not in {"Held", "Failed"}]
    assert story[:2] == ["Admitted", "Proven"]
    assert story[2:4] == ["Admitted", "Rejected"]
    assert sorted(story[4:]) == ["RevertPushed", "RolledBack"]
    record = world.clusters["dev-1"].client().get(RECORD)
    assert record is not None
    assert {e["involvedObject"]["uid"] for e in of_dev[-3:]} == {record["metadata"]["uid"]}


def test_only_the_home_has_them() -> None:
    world = failed_in_dev()
    away = {name for names in CLUSTERS.values() for name in names} - {"dev-1"}
    assert [announced(world, name) for name in sorted(away)] == [[]] * len(away)


def test_a_daemon_that_is_started_again_tells_nothing_twice() -> None:
    world = failed_in_dev()
    before = len(announced(world))
    world.kill()
    world.engine = world.start("two")
    world.pass_(60)
    assert len(announced(world)) == before
