"""Approvals in the whole daemon: a release waits for somebody else's commit, and only for that of its own revision."""

from __future__ import annotations

from reconciler.core.identity import absence
from reconciler.model.events import EventKind
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.schema.edit import set_approved
from tests.fakes.tombstones import EVERY, TOMBSTONE, TOMBSTONES, begun, gone, left
from tests.fakes.world import CLUSTERS, POLICY, World, image, pin, pins

GOOD, NEWER = "1.0.0", "1.1.0"
ADA, BOB = "Ada <ada@example.com>", "Bob <bob@example.com>"
PIN = "environments/prod/web.yaml"


def approved(world: World, version: str) -> dict[str, str]:
    """Returns prod's pin of a version with the word that what it asks for now is approved."""
    view = world.engine.view
    assert view is not None
    cells = view.services[ServiceName("web")].facts.cells
    wanted = next(c.ask.wanted for c in cells if c.environment == EnvironmentName("prod"))
    assert wanted is not None and wanted.release.version == version
    return {PIN: f"{pin(version)}approved: {{revision: '{wanted.id}', by: somebody}}\n"}


def held(world: World) -> str:
    """Returns why prod waits."""
    view = world.engine.view
    assert view is not None
    (hold,) = view.services[ServiceName("web")].of(EnvironmentName("prod"))
    return hold.message


def test_prod_waits_for_the_word_of_another_than_who_pinned_it() -> None:
    world = World()
    rules = POLICY.replace("DRIFT", "report").replace(
        "  prod:\n", "  prod:\n    approval: required\n"
    )
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge({"policies/line.yaml": rules, **pins(NEWER)}, author=ADA)
    assert world.until(lambda: world.proven("staging", NEWER))
    world.pass_(10)
    world.git.merge(approved(world, NEWER), author=ADA)
    world.pass_(10)
    assert {world.image(name) for name in CLUSTERS["prod"]} == {image(GOOD)}
    told = [e.message for e in world.told(EventKind.HELD) if e.reason == "WaitingForApproval"]
    assert "nobody has approved" in told[0]
    assert held(world) == f"{ADA} has pinned it and approved it"
    world.git.merge({PIN: pin(NEWER)}, author=ADA)
    world.pass_(5)
    world.git.merge(approved(world, NEWER), author=BOB)
    assert world.until(lambda: world.proven("prod", NEWER))
    # What goes back to what is proven there asks nobody.
    world.git.merge({PIN: pin(GOOD)}, author=ADA)
    assert world.until(lambda: world.image("prod-1") == image(GOOD), 30)


def test_a_tombstone_waits_for_a_word_of_its_own_and_not_for_that_on_one_before() -> None:
    rules = POLICY.replace("DRIFT", "report").replace(
        "  prod:\n", "  prod:\n    approval: required\n"
    )
    world = begun()
    world.git.merge({"policies/line.yaml": rules, **TOMBSTONES}, author=ADA)
    assert world.until(lambda: gone(world, "staging"))
    revision = absence(CommitId("c" * 40)).id
    word = f"approved: {{revision: '{revision}', by: bob}}\n"
    world.git.merge({PIN: TOMBSTONE + word}, author=BOB)
    assert world.until(lambda: gone(world, "prod"))
    world.git.merge({**pins(GOOD), PIN: pin(GOOD) + word}, author=ADA)
    assert world.until(lambda: all(world.image(name) == image(GOOD) for name in EVERY), 30)
    # No more than half of an environment goes within an hour.
    world.pass_(4000)
    world.git.merge({**TOMBSTONES, PIN: TOMBSTONE + word}, author=ADA)
    assert world.until(lambda: gone(world, "staging"))
    world.pass_(60)
    assert all(left(world, name) for name in CLUSTERS["prod"])
    assert "asked for it anew" in held(world)
    view = world.engine.view
    assert view is not None
    cells = view.services[ServiceName("web")].facts.cells
    approval = next(c.ask.approval for c in cells if c.environment == EnvironmentName("prod"))
    assert approval is not None
    there = world.git.read(PIN)
    anew = set_approved(PIN, there, revision, "bob", asked_in=approval.asked_since)
    world.git.merge({PIN: anew}, author=BOB)
    assert world.until(lambda: gone(world, "prod"))
