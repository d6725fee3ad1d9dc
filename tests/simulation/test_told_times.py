"""The times that `explain` tells are those at which it indeed goes on, with nobody touching anything."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reconciler.core import reporting
from reconciler.errors import Unreachable
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.times import from_rfc3339
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import World, image, pins

GOOD, NEWER = "1.0.0", "1.1.0"
BAD = ("1.2.0", "1.3.0")
WEB = ServiceName("web")
TURN_S = 0.5
"""A turn follows at once, and what it writes is seen by the world's own clock."""


def explained(world: World, environment: str) -> dict[str, Any]:
    """Returns what the daemon's page says of web in an environment."""
    view = world.engine.view
    found = reporting.explain(view, WEB, EnvironmentName(environment)) if view is not None else {}
    rows = found.get("environments")
    return dict(rows[0]) if rows else {"phase": "", "next": None, "gates": []}


def told(world: World, environment: str, gate: str | None = None) -> datetime | None:
    """Returns the time that is told of a gate, or of what comes next."""
    row = explained(world, environment)
    found = [g for g in row["gates"] if g["name"] == gate] if gate else [row["next"]]
    at = found[0]["next_check_at"] if found and found[0] else None
    return from_rfc3339(at) if at else None


def admitted(world: World, environment: str) -> str | None:
    record = world.record(environment)
    return record.admitted.release.version if record and record.admitted else None


def proven_world() -> World:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    return world


def assert_it_was_then(world: World, at: datetime | None) -> None:
    assert at is not None
    late_s = (world.clock.now() - at).total_seconds()
    assert 0.0 <= late_s <= TURN_S


def test_the_end_of_a_soak_opens_the_gate_of_the_next_environment() -> None:
    world = proven_world()
    world.git.merge(pins(NEWER))
    assert world.until(lambda: told(world, "staging", "ProvenBefore") is not None)
    at = told(world, "staging", "ProvenBefore")
    assert at == told(world, "dev") and not world.proven("dev", NEWER)
    # A page that is asked for later, of the same turn, tells the same.
    world.pass_(1)
    assert told(world, "staging", "ProvenBefore") == at
    assert world.until(lambda: admitted(world, "staging") == NEWER)
    assert_it_was_then(world, at)


def test_a_blown_fuse_is_whole_again_when_it_says_so() -> None:
    world = proven_world()
    for version in BAD:
        world.git.merge(pins(version, Fate.CRASH))
        assert world.until(lambda v=version: is_taken_back(world, v))  # type: ignore[misc]
    world.git.merge(pins(NEWER))
    assert world.until(lambda: told(world, "dev", "FuseIntact") is not None)
    at = told(world, "dev", "FuseIntact")
    record = world.record("dev")
    assert record is not None and at is not None
    oldest = min(r.rejected_at for r in record.rejections)
    assert (at - oldest).total_seconds() == 3600.0
    # A command that has just come knows it as well; time flies while no daemon is there to see it.
    world.kill()
    world.clock.advance((at - world.clock.now()).total_seconds() - 45.0)
    world.engine = world.start("another")
    assert world.until(lambda: told(world, "dev", "FuseIntact") == at, 40)
    assert world.until(lambda: admitted(world, "dev") == NEWER, 60)
    assert_it_was_then(world, at)


def is_taken_back(world: World, version: str) -> bool:
    record = world.record("dev")
    found = (
        [r for r in record.rejections if r.revision.release.version == version] if record else []
    )
    return (
        bool(found)
        and found[0].rolled_back_at is not None
        and found[0].revert.pushed_at is not None
    )


def test_what_could_not_be_applied_is_tried_again_when_it_says_so() -> None:
    world = proven_world()
    tries: list[datetime] = []

    def refuse(holder: str, asked: str, verb: str, kind: str) -> None:
        if (asked, verb, kind) == ("dev-1", "apply", "Deployment"):
            tries.append(world.clock.now())
            raise Unreachable("cluster dev-1", "apply failed", "HTTP 500")

    world.before = refuse
    world.git.merge(pins(NEWER))
    assert world.until(lambda: len(tries) == 5)
    # What is told of the fifth may stand for a moment longer.
    assert world.until(lambda: (at := told(world, "dev")) is not None and at > world.clock.now())
    row, at = explained(world, "dev")["next"], told(world, "dev")
    assert row["reason"] == "Progressing" and "HTTP 500" in row["message"]
    assert world.until(lambda: len(tries) == 6)
    assert_it_was_then(world, at)


def test_a_daemon_that_waits_for_the_lease_tells_no_time_that_it_has_not_measured() -> None:
    world = proven_world()
    world.git.merge(pins(NEWER))
    assert world.until(lambda: told(world, "dev") is not None)
    world.engine = world.start("two")
    assert world.until(lambda: explained(world, "dev")["phase"] == "Soaking", 3)
    assert told(world, "dev") is None and told(world, "staging", "ProvenBefore") is None
    assert "its soak is not over" in explained(world, "dev")["summary"]
    assert image(NEWER) == world.image("dev-1")
