"""A first install that fails has nothing to go back to: it stops, it is rejected, and it stays for a person."""

from __future__ import annotations

from reconciler.model.events import EventKind
from reconciler.model.objects import ObjectRef
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, World, image, pins

BAD, NEWER = "1.0.0", "1.1.0"
REFS = (
    ObjectRef("v1", "ConfigMap", "web", "web"),
    ObjectRef("apps/v1", "Deployment", "web", "web"),
    ObjectRef("v1", "Service", "web", "web"),
)


def failed_at_first() -> World:
    """Returns a fleet whose first release has crashed in dev."""
    world = World()
    world.fates["dev-1", BAD] = Fate.CRASH
    world.git.merge(pins(BAD))
    assert world.until(lambda: bool(world.told(EventKind.REJECTED)))
    return world


def deletes(world: World) -> list[str]:
    return [w.kind for c in world.clusters.values() for w in c.audit if w.verb == "delete"]


def test_a_first_install_that_fails_stops_and_its_objects_and_pin_stay() -> None:
    world = failed_at_first()
    pinned = {path: text.encode() for path, text in pins(BAD).items()}
    world.pass_(120)
    client = world.clusters["dev-1"].client()
    assert all(client.get(ref) is not None for ref in REFS)
    assert world.image("dev-1") == image(BAD)
    assert all(world.image(name) is None for e in ("staging", "prod") for name in CLUSTERS[e])
    assert deletes(world) == []
    assert {path: world.git.read(path) for path in pinned} == pinned
    assert not world.told(EventKind.ROLLED_BACK)
    held = [e for e in world.told(EventKind.HELD) if e.reason == "NothingProven"]
    assert held and ("page", "true") in held[0].detail


def test_a_first_install_that_fails_is_quarantined_in_git() -> None:
    world = failed_at_first()
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    world.pass_(60)
    message = world.git.commit_facts(world.git.branches["main"]).message
    assert "Reconciler-Action: quarantine" in message
    assert b"CrashLoopBackOff" in world.git.read("quarantine/web.yaml")
    record = world.record("dev")
    assert record is not None
    (rejection,) = record.rejections
    assert rejection.restore_to is None
    assert rejection.revert.commit == world.git.branches["main"]
    assert len(world.told(EventKind.REVERT_PUSHED)) == 1


def test_a_better_release_takes_the_place_of_a_first_one_that_failed() -> None:
    world = failed_at_first()
    world.pass_(60)
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.proven("prod", NEWER))
    assert all(world.image(name) == image(NEWER) for name in world.clusters)


def test_a_first_install_that_failed_stays_stopped_after_a_restart() -> None:
    world = failed_at_first()
    world.kill()
    world.engine = world.start("two")
    world.pass_(120)
    assert world.image("dev-1") == image(BAD)
    assert world.image("staging-1") is None
    assert deletes(world) == []
    assert len(world.told(EventKind.REJECTED)) == 1


def lifted(world: World) -> None:
    """A person lifts what the quarantine holds, with a reason."""
    text = world.git.read("quarantine/web.yaml").decode()
    world.git.merge({"quarantine/web.yaml": f"{text.rstrip()}\n  lifted: the node broke\n"})


def test_a_first_install_whose_rejection_is_lifted_is_tried_once_more() -> None:
    world = failed_at_first()
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    del world.fates["dev-1", BAD]
    lifted(world)
    assert world.until(lambda: world.proven("prod", BAD))


def test_a_first_install_that_fails_again_once_lifted_is_stopped_again() -> None:
    world = failed_at_first()
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    lifted(world)
    assert world.until(lambda: len(world.told(EventKind.REVERT_PUSHED)) == 2)
    world.pass_(120)
    assert len(world.told(EventKind.REJECTED)) == 2
    assert all(world.image(name) is None for e in ("staging", "prod") for name in CLUSTERS[e])
