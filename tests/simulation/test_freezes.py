"""Freezes in the whole daemon: in mid-roll-out, on the way back, and at their end."""

from __future__ import annotations

from datetime import timedelta

from reconciler.model.events import EventKind
from reconciler.model.times import rfc3339
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, FLEET, World, image, pin, pins

GOOD, NEWER = "1.0.0", "1.1.0"


def freeze(world: World, scope: str, seconds: float | None = None, reason: str = "a sale") -> str:
    """Returns a line of `freezes`."""
    at = "" if seconds is None else rfc3339(world.clock.now() + timedelta(seconds=seconds))
    until = f", until: '{at}'" if at else ""
    return f"  - {{scope: {scope}, reason: {reason}{until}}}\n"


def fleet(*lines: str) -> dict[str, str]:
    return {"fleet.yaml": FLEET + ("freezes:\n" + "".join(lines) if lines else "")}


def in_mid_roll_out() -> World:
    """Returns a fleet whose prod has given its first cluster a newer release."""
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.image("prod-1") == image(NEWER))
    return world


def test_a_freeze_in_mid_roll_out_stops_the_next_wave_and_ends_by_itself() -> None:
    world = in_mid_roll_out()
    world.git.merge(fleet(freeze(world, "environment/prod", 60), freeze(world, "fleet", 20)))
    world.pass_(50)
    assert [world.image(name) for name in CLUSTERS["prod"]] == [
        image(NEWER),
        image(GOOD),
        image(GOOD),
    ]
    told = [e for e in world.told(EventKind.HELD) if e.reason == "Frozen"]
    assert told and "environment/prod is frozen until" in told[-1].message
    # Nothing is merged: time alone opens it, and at once.
    assert world.until(lambda: world.image("prod-2") == image(NEWER), 12)
    assert world.until(lambda: world.proven("prod", NEWER))


def test_a_frozen_release_that_fails_comes_back_and_is_reverted_in_git() -> None:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.fates[("prod-1", NEWER)] = Fate.CRASH
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.image("prod-1") == image(NEWER))
    world.git.merge(fleet(freeze(world, "fleet")))
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    assert world.until(lambda: GOOD in world.git.read("environments/prod/web.yaml").decode(), 60)
    assert [world.image(name) for name in CLUSTERS["prod"]] == [image(GOOD)] * 3
    assert world.proven("staging", NEWER)


def test_a_frozen_service_is_repaired_and_another_one_moves() -> None:
    world = World(drift="correct")
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge({**fleet(freeze(world, "service/web")), **pins(NEWER)})
    world.pass_(10)
    store = world.clusters["prod-2"].store
    kind = store.served("apps/v1", "Deployment")
    assert kind is not None
    found = store.get(kind, "web", "web")
    found["spec"]["replicas"] = 7
    store.replace(found, "kubectl-edit")
    assert world.until(lambda: store.get(kind, "web", "web")["spec"]["replicas"] == 2, 60)
    assert world.image("dev-1") == image(GOOD)
    # Taken out of the file, it is thawed.
    world.git.merge(fleet())
    assert world.until(lambda: world.proven("prod", NEWER))


def test_a_pin_that_goes_back_to_what_is_proven_is_not_frozen() -> None:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.proven("prod", NEWER))
    world.git.merge(fleet(freeze(world, "environment/prod")))
    world.pass_(5)
    world.git.merge({"environments/prod/web.yaml": pin(GOOD)})
    assert world.until(lambda: world.image("prod-3") == image(GOOD), 30)
