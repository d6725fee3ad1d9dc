"""What may be the platform's is unknown: it holds, it pages when it is late, and it takes nothing back."""

from __future__ import annotations

import pytest

from reconciler.model.events import PAGE, Event, EventKind
from reconciler.simulated.behaviour import Fate, Pace
from tests.fakes.world import World, image, pins

GOOD, NEW = "1.0.0", "1.1.0"
DEADLINE_S = 60.0
"""The world's policy's."""


def released(fate: Fate, *, pace: Pace | None = None) -> World:
    """Returns a fleet with a proven release, to which a new one has come that meets a fate in dev."""
    world = World(pace=pace or Pace())
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.fates["dev-1", NEW] = fate
    world.git.merge(pins(NEW))
    assert world.until(lambda: world.image("dev-1") == image(NEW), 20)
    return world


def held(world: World) -> list[Event]:
    """Returns the holds of dev since the new release came there."""
    admitted = [e.at for e in world.told(EventKind.ADMITTED) if e.environment == "dev"]
    return [
        e for e in world.told(EventKind.HELD) if e.environment == "dev" and e.at >= admitted[-1]
    ]


def is_taken_back(world: World) -> bool:
    """Whether anything was done about the new release: in the records, in Git or on the cluster."""
    log = world.git.log(world.git.branches["main"], path=None, most=100)
    return (
        bool(world.told(EventKind.REJECTED))
        or any("Reconciler-Action" in facts.message for facts in log)
        or set(world.git.branches) != {"main"}
        or world.image("dev-1") != image(NEW)
    )


def why_rejected(world: World) -> tuple[str, int | None, int | None]:
    """Returns the reason of dev's rejection, and the exit code and restarts of its first evidence."""
    record = world.record("dev")
    assert record is not None
    (found,) = record.rejections
    return found.reason, found.evidence[0].exit_code, found.evidence[0].restarts


@pytest.mark.parametrize("fate", [Fate.NO_IMAGE, Fate.DENIED], ids=lambda fate: fate.value)
def test_an_image_that_is_not_there_or_not_for_us_is_taken_back_at_once(fate: Fate) -> None:
    world = released(fate)
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)), 30)
    assert world.image("dev-1") == image(GOOD) and why_rejected(world)[0] in {
        "ErrImagePull",
        "ImagePullBackOff",
    }
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)), 30)


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        pytest.param(Fate.THROTTLED, "429 Too Many Requests", id="a registry that throttles"),
        pytest.param(Fate.PULL_TIMEOUT, "DeadlineExceeded", id="a pull that takes too long"),
        pytest.param(Fate.UNSCHEDULABLE, "Insufficient cpu", id="no room on any node"),
        pytest.param(
            Fate.NEVER_READY, "1 of 2 replicas", id="Pods that run and say nothing of a cause"
        ),
    ],
)
def test_it_holds_for_as_long_as_it_lasts_and_goes_on_when_it_is_over(
    fate: Fate, words: str
) -> None:
    world = released(fate, pace=Pace(pull_every_s=4))
    world.pass_(DEADLINE_S - 15)
    # Just after it was applied it may be told before it was looked at.
    assert {e.reason for e in held(world)} - {"ClusterUnknown"} == {"Progressing"}
    world.pass_(150)
    late = held(world)[-1]
    assert (late.reason, PAGE in late.detail) == ("ProgressDeadline", True)
    assert "in time" in late.message and words in late.message
    assert not is_taken_back(world)
    assert world.image("staging-1") == image(GOOD)
    del world.fates["dev-1", NEW]
    assert world.until(lambda: world.proven("prod", NEW))
    assert not is_taken_back(world)


def test_one_exit_of_pods_that_then_run_is_no_failure() -> None:
    world = released(Fate.ONE_EXIT)
    assert world.until(lambda: world.proven("prod", NEW))
    assert not is_taken_back(world)


@pytest.mark.parametrize(
    ("fate", "reason", "exit_code"),
    [(Fate.CRASH, "CrashLoopBackOff", 1), (Fate.OOM, "OOMKilled", 137)],
)
def test_one_restart_is_too_little_and_two_are_enough(
    fate: Fate, reason: str, exit_code: int
) -> None:
    world = released(fate, pace=Pace(crash_every_s=15))
    world.pass_(25)
    assert not is_taken_back(world), "it was restarted once"
    assert held(world)[-1].reason == "Progressing"
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)), 20)
    assert why_rejected(world) == (reason, exit_code, 2)


def test_one_restart_is_enough_where_it_is_still_not_ready_at_the_deadline() -> None:
    world = released(Fate.OOM, pace=Pace(crash_every_s=0.8 * DEADLINE_S))
    world.pass_(DEADLINE_S - 5)
    assert not is_taken_back(world)
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)), 20)
    assert why_rejected(world) == ("Exited", 137, 1)
