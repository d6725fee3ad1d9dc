"""Observe mode: everything is looked at and told, and nothing is written, whenever it is switched on or off."""

from __future__ import annotations

from reconciler.model.events import EventKind
from reconciler.model.fleet import Mode
from tests.fakes.world import World, image, pins
from tests.simulation.test_main_job import BAD, GOOD, forget, proven_world

AT_ONCE_S = 10
"""Everything is planned again by time alone only every 30."""


def test_observe_mode_writes_nothing_at_all() -> None:
    world = World(mode=Mode.OBSERVE)
    world.git.merge(pins(GOOD))
    world.pass_(60)
    assert not [w for c in world.clusters.values() for w in c.audit]
    view = world.engine.view
    assert view is not None and view.services
    told = [e.message for e in world.told(EventKind.HELD) if e.reason == "ModeObserve"]
    assert told == [f"would Admit: every gate is open for {GOOD}"]


def test_the_mode_may_change_while_it_runs_and_counts_at_once() -> None:
    world = World(mode=Mode.OBSERVE)
    world.git.merge(pins(GOOD))
    world.pass_(20)
    world.settings = world.settings.model_copy(update={"mode": Mode.ENFORCE})
    assert world.until(lambda: world.proven("prod", GOOD))
    world.settings = world.settings.model_copy(update={"mode": Mode.OBSERVE})
    world.pass_(5)
    for cluster in world.clusters.values():
        cluster.audit.clear()
    world.git.merge(pins(BAD))
    world.pass_(60)
    assert not [w for c in world.clusters.values() for w in c.audit]
    admitted = len(world.told(EventKind.ADMITTED))
    world.settings = world.settings.model_copy(update={"mode": Mode.ENFORCE})
    assert world.until(lambda: len(world.told(EventKind.ADMITTED)) > admitted, AT_ONCE_S)


def test_observe_mode_compares_what_is_live_and_says_that_it_would_adopt_it() -> None:
    world = proven_world()
    world.kill()
    for cluster in world.clusters.values():
        for kind in ("PromotionRecord", "ServiceRecord"):
            forget(cluster.store, kind)
        cluster.audit.clear()
    world.settings = world.settings.model_copy(update={"mode": Mode.OBSERVE})
    world.engine = world.start("two")
    would = f"would Adopt: adopted {GOOD}: what is live equals the pin"
    assert world.until(lambda: would in {e.message for e in world.told(EventKind.HELD)})
    assert not [w for c in world.clusters.values() for w in c.audit]


def test_what_was_begun_on_a_slow_cluster_applies_nothing_once_it_is_only_observed() -> None:
    world = proven_world()
    asked: list[str] = []

    def stop(holder: str, cluster: str, verb: str, kind: str) -> None:
        # The claim is written, and the next thing would be the inventory and the objects.
        if cluster == "dev-1" and kind == "Secret" and verb == "create":
            asked.append(kind)
            world.settings = world.settings.model_copy(update={"mode": Mode.OBSERVE})

    world.before = stop
    world.git.merge(pins("2.0.0"))
    world.pass_(30)
    assert asked and world.image("dev-1") == image(GOOD)
    world.before = lambda *asked: None
    world.settings = world.settings.model_copy(update={"mode": Mode.ENFORCE})
    assert world.until(lambda: world.image("dev-1") == image("2.0.0"))
