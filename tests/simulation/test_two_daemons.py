"""Two daemons alive at once, the first of them stalled past its lease: one revert, no harm, nothing set back."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from reconciler.model.events import EventKind
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, World, Write, image, pin, pins

GOOD, BAD, NEWER = "1.0.0", "1.1.0", "1.2.0"
STAGING = "staging-1"
RECORDS = ("PromotionRecord", "ServiceRecord")
SEEDS = range(2, 2 + int(os.environ.get("SIM_SEEDS", "2")))
"""Each chooses another order of tasks, and another moment to stall; it replays exactly."""


def two_daemons(seed: int) -> World:
    """Returns a fleet on which a first release is proven, with a second daemon beside the one that leads."""
    world = World(seed=seed, drift="correct")
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.fates[STAGING, BAD] = Fate.CRASH
    world.start("two")
    world.pass_(5)
    assert {write.holder for write in world.writes} == {"one"}, "a standby writes nothing"
    return world


def moves(writes: list[Write]) -> set[str]:
    """Returns who changed a record or an object; what was accepted of Git is everybody's to write down."""
    return {w.holder for w in writes if w.written.kind != "Lease" and not is_head(w)}


def is_head(write: Write) -> bool:
    return (write.written.kind, write.written.name) == ("ConfigMap", "reconciler-head")


def led_by_two(world: World) -> bool:
    return any(e.message == "two leads" for e in world.told(EventKind.LEADING))


def reverts(world: World) -> int:
    log = world.git.log(world.git.branches["main"], path=None, most=100)
    return sum("Reconciler-Action: revert" in facts.message for facts in log)


def names(writes: list[Write]) -> Iterator[tuple[tuple[str, str, str], int, str]]:
    """Yields the epoch and the holder of each write to a record, and which record it was, in order."""
    for write in writes:
        written = write.written
        if written.kind in RECORDS:
            spec = written.obj["spec"]
            which = (write.cluster, written.kind, written.name)
            yield which, spec["epoch"], spec["holder"]


def never_set_back(world: World) -> None:
    """No record's epoch ever sinks, nor does its holder change within one; each writes in its own name."""
    last: dict[tuple[str, str, str], tuple[int, str]] = {}
    for which, epoch, holder in names(world.writes):
        was_epoch, was_holder = last.get(which, (0, ""))
        assert epoch >= was_epoch
        assert epoch > was_epoch or holder == was_holder
        last[which] = (epoch, holder)
    for write in world.writes:
        if write.written.kind in RECORDS:
            assert write.written.obj["spec"]["holder"] == write.holder


def no_harm(world: World, *, since: int) -> None:
    """What was bad in staging is back, nobody else was given it, and the stalled one did nothing more."""
    assert reverts(world) == 1
    assert world.image(STAGING) == image(GOOD)
    assert world.image("dev-1") == image(BAD), "dev, where it is healthy, keeps it"
    given = [
        write.cluster
        for write in world.writes
        if write.written.kind == "Deployment"
        and write.written.obj["spec"]["template"]["spec"]["containers"][0]["image"] == image(BAD)
    ]
    assert not set(given) & set(CLUSTERS["prod"])
    assert moves(world.writes[since:]) <= {"two"}
    never_set_back(world)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leader_that_is_stalled_past_its_lease_and_goes_on_changes_nothing(seed: int) -> None:
    world = two_daemons(seed)
    world.git.merge(pins(BAD))
    # From before dev has it until it crashes in staging, or was put back there.
    world.pass_(random.Random(seed).uniform(0.0, 14.0))
    world.stall("one")
    assert world.until(lambda: led_by_two(world), 40)
    taken_over = len(world.writes)
    assert world.until(lambda: reverts(world) > 0, 120)
    assert world.until(lambda: world.image(STAGING) == image(GOOD), 120)
    world.resume("one")
    world.pass_(60)
    no_harm(world, since=taken_over)
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.proven("prod", NEWER), 240)
    never_set_back(world)
    assert moves(world.writes[taken_over:]) == {"two"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stalled_leader_that_goes_on_while_the_other_puts_back_changes_nothing(
    seed: int,
) -> None:
    world = two_daemons(seed)
    world.git.merge(pins(BAD))
    assert world.until(lambda: world.image(STAGING) == image(BAD))
    world.stall("one")
    assert world.until(lambda: led_by_two(world), 40)
    world.pass_(random.Random(seed).uniform(0.0, 3.0))
    world.resume("one")
    assert world.until(lambda: reverts(world) > 0, 120)
    world.pass_(60)
    assert reverts(world) == 1
    assert world.image(STAGING) == image(GOOD)
    assert all(world.image(cluster) == image(GOOD) for cluster in CLUSTERS["prod"])
    never_set_back(world)


def hang_admission(world: World, seconds: float, merged: dict[str, str]) -> list[int]:
    """Lets the admission to staging by `one` hang, and all else that it asks of the home meanwhile.

    Returns:
        How many writes there were as the admission was on its way; filled when it is.
    """
    asked: list[int] = []
    until_s = 0.0

    def meet(holder: str, cluster: str, verb: str, kind: str) -> None:
        nonlocal until_s
        if (holder, cluster) != ("one", "dev-1"):
            return
        is_admission = (verb, kind) == ("update", "PromotionRecord") and is_proven_in_dev(world)
        if is_admission and not asked:
            asked.append(len(world.writes))
            until_s = world.clock.monotonic_s() + seconds
            world.git.merge(merged, "wait")
        world.pass_(max(0.0, until_s - world.clock.monotonic_s()))

    world.before = meet
    return asked


def is_proven_in_dev(world: World) -> bool:
    told = [(e.environment, e.revision and e.revision.release.version) for e in world.events]
    proven = [
        about for about, e in zip(told, world.events, strict=True) if e.kind is EventKind.PROVEN
    ]
    return ("dev", BAD) in proven


def test_an_admission_that_hung_past_the_lease_is_followed_by_nothing_of_the_one_who_made_it() -> (
    None
):
    world = two_daemons(1)
    world.git.merge(pins(BAD))
    paused = {"environments/staging/web.yaml": pin(BAD) + "paused: true\n"}
    asked = hang_admission(world, 20.0, paused)
    assert world.until(lambda: bool(asked) and led_by_two(world), 60)
    world.pass_(30)
    (began,) = asked
    late = [w for w in world.writes[began:] if w.holder == "one" and not is_head(w)]
    # An Event may have hung as the admission did, and decides nothing.
    late = [w for w in late if w.written.kind != "Event"]
    assert [(w.written.kind, w.written.name) for w in late] == [("PromotionRecord", "web.staging")]
    assert world.image(STAGING) == image(GOOD)
    # Whoever leads now goes on from what the record says, and by what Git says now.
    assert any(e.reason == "Paused" for e in world.told(EventKind.HELD))
    world.git.merge(pins(BAD), "go on")
    assert world.until(lambda: reverts(world) > 0, 120)
    world.pass_(30)
    no_harm(world, since=len(world.writes))
