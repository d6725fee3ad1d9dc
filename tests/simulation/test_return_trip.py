"""What cannot come back, in virtual time: it waits for a person's word, and is left where it is when it is bad."""

from __future__ import annotations

import pytest

from reconciler.core.gates import shut
from reconciler.model.events import PAGE, EventKind
from reconciler.model.reasons import Reason
from reconciler.schema.edit import set_approved
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import MANIFESTS, POLICY, World, image, pin, pins

JOB = """\
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: migrate, image: registry.example.com/web}]
"""
PIN = "environments/dev/web.yaml"


def proven_world(rule: str = "ask") -> World:
    """A fleet on which version 1 is proven, under a policy that says so of what cannot come back."""
    world = World()
    policy = POLICY.replace("DRIFT}", f"DRIFT, irreversible: {rule}}}").replace("DRIFT", "report")
    world.git.merge({"policies/line.yaml": policy, **pins("1.0.0")})
    assert world.until(lambda: world.proven("prod", "1.0.0"))
    return world


def migrates(world: World, version: str, fate: Fate = Fate.READY) -> None:
    """Merges a release that brings a Job."""
    world.git.merge({"services/web/web.yaml": MANIFESTS + JOB, **pins(version, fate)})


def mends(world: World, version: str) -> None:
    """Merges a release without a Job."""
    world.git.merge({"services/web/web.yaml": MANIFESTS, **pins(version)})


def holds(world: World) -> set[str]:
    return {event.reason for event in world.told(EventKind.HELD)}


def accept(world: World) -> None:
    """Says in dev's pin that what it asks for need not come back."""
    assert world.engine.view is not None
    planned = world.engine.view.services["web"]  # type: ignore[index]
    wanted = planned.facts.cells[0].ask.wanted
    assert wanted is not None
    text = set_approved(PIN, world.git.read(PIN), wanted.id, "Ada", irreversible=True)
    world.git.merge({PIN: text})


@pytest.mark.parametrize("rule", ["ask", "refuse"])
def test_it_goes_nowhere_by_itself(rule: str) -> None:
    world = proven_world(rule)
    migrates(world, "2.0.0")
    world.pass_(30)
    assert world.image("dev-1") == image("1.0.0")
    assert Reason.IRREVERSIBLE in holds(world)
    accept(world)
    world.pass_(30)
    goes = image("2.0.0") if rule == "ask" else image("1.0.0")
    assert world.image("dev-1") == goes


def test_what_can_come_back_waits_for_nobody() -> None:
    world = proven_world("refuse")
    world.git.merge(pins("2.0.0"))
    assert world.until(lambda: world.proven("prod", "2.0.0"))
    assert holds(world).isdisjoint({Reason.IRREVERSIBLE, Reason.RETURN_UNKNOWN})


def test_a_word_is_for_one_environment_and_one_revision() -> None:
    world = proven_world()
    migrates(world, "2.0.0")
    world.pass_(10)
    accept(world)
    assert world.until(lambda: world.proven("dev", "2.0.0"))
    # The next environment asks for itself.
    world.pass_(30)
    assert world.image("staging-1") == image("1.0.0")
    mends(world, "2.0.1")
    assert world.until(lambda: world.proven("dev", "2.0.1"))
    record = world.record("dev")
    assert record is not None
    # That one can come back, to what could not.
    assert [p.irreversible for p in record.proofs[:2]] == [False, True]


def test_bad_means_halt_and_page_and_neither_the_cluster_nor_git_goes_back() -> None:
    world = proven_world("accept")
    migrates(world, "2.0.0", Fate.CRASH)
    assert world.until(lambda: Reason.CANNOT_GO_BACK in holds(world))
    head = world.git.branches["main"]
    world.pass_(120)
    assert world.image("dev-1") == image("2.0.0", Fate.CRASH)
    assert world.git.branches["main"] == head
    record = world.record("dev")
    assert record is not None and record.rejections == ()
    assert not world.told(EventKind.REJECTED)
    paged = {event.reason for event in world.told(EventKind.HELD) if PAGE in event.detail}
    assert Reason.CANNOT_GO_BACK in paged
    # Nothing further has it, and what mends it goes through all.
    assert world.image("staging-1") == image("1.0.0")
    mends(world, "2.0.1")
    assert world.until(lambda: world.proven("prod", "2.0.1"))


def test_a_restart_remembers_that_it_cannot_come_back() -> None:
    world = proven_world("accept")
    migrates(world, "2.0.0", Fate.CRASH)
    assert world.until(lambda: world.image("dev-1") == image("2.0.0", Fate.CRASH))
    world.kill()
    world.engine = world.start("two")
    assert world.until(lambda: Reason.CANNOT_GO_BACK in holds(world))
    world.pass_(60)
    assert world.image("dev-1") == image("2.0.0", Fate.CRASH)


def test_explain_names_what_cannot_come_back() -> None:
    world = proven_world()
    migrates(world, "2.0.0")
    world.pass_(10)
    assert world.engine.view is not None
    planned = world.engine.view.services["web"]  # type: ignore[index]
    (hold,) = planned.of(planned.facts.cells[0].environment)
    (gate,) = (g for g in shut(hold.gates) if g.name == "ReturnTrip")  # type: ignore[union-attr]
    assert "Job/web/migrate: it runs once" in gate.message
    assert pin("2.0.0")
