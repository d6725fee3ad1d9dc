"""Services that are moved as one, in virtual time: forward together, and back together while neither is proven."""

from __future__ import annotations

from reconciler.model.events import EventKind
from reconciler.model.reasons import Reason
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, FLEET, World, image, pin
from tests.simulation.test_fuses import GOOD, holds, proven_world, release, restart

NEW = "2.0.0"


def grouped(*others: str) -> World:
    """Returns a fleet on which `cart` and `web`, and others beside them, are proven; the first two are a group."""
    world = proven_world("cart", "web", *others)
    groups = "groups: [{name: shop, services: [cart, web]}]\n"
    world.git.merge({"fleet.yaml": FLEET + groups})
    world.pass_(5)
    return world


def admitted(world: World, environment: str) -> list[tuple[str, float]]:
    """Returns what was let in to an environment, and when, since the groups are there."""
    return [
        (e.service or "", e.at.timestamp())
        for e in world.told(EventKind.ADMITTED)
        if e.environment == environment and e.revision and e.revision.release.version == NEW
    ]


def test_they_are_let_in_at_the_same_moment_in_each_environment() -> None:
    world = grouped()
    world.git.merge(release(NEW, "cart", "web"))
    assert world.until(lambda: all(world.proven("prod", NEW, s) for s in ("cart", "web")))
    for environment in CLUSTERS:
        (one, at), (other, later) = admitted(world, environment)
        assert (one, other) == ("cart", "web")
        assert later - at < 1.0


def test_one_that_is_held_holds_the_other_and_nobody_else() -> None:
    world = grouped("docs")
    edits = release(NEW, "cart", "web", "docs")
    world.git.merge({**edits, "environments/dev/web.yaml": pin(NEW) + "paused: true\n"})
    assert world.until(lambda: world.proven("prod", NEW, "docs"))
    assert world.image("dev-1", "cart") == image(GOOD)
    assert Reason.WAITING_FOR_GROUP in holds(world, "cart")
    world.git.merge({"environments/dev/web.yaml": pin(NEW)})
    assert world.until(lambda: all(world.proven("prod", NEW, s) for s in ("cart", "web")))


def test_one_alone_waits_for_nobody() -> None:
    world = grouped()
    world.git.merge(release(NEW, "cart"))
    assert world.until(lambda: world.proven("prod", NEW, "cart"))
    assert Reason.WAITING_FOR_GROUP not in holds(world, "cart") - {Reason.WAITING_FOR_GROUP}
    assert world.image("dev-1", "web") == image(GOOD)


def test_a_later_environment_waits_until_both_are_proven_before_it() -> None:
    world = grouped()
    world.fates[("staging-1", NEW)] = Fate.READY
    slow = release(NEW, "cart", "web")
    world.git.merge({**slow, "environments/staging/web.yaml": pin(NEW) + "paused: true\n"})
    assert world.until(lambda: all(world.proven("dev", NEW, s) for s in ("cart", "web")))
    world.pass_(60)
    assert world.image("staging-1", "cart") == image(GOOD)
    assert not admitted(world, "prod")


def bad_world() -> World:
    """Merges a release of both, of which the one crashes in dev, and the other is well."""
    world = grouped()
    # The fuse has believed nothing yet, and what fell together long ago is past.
    world.pass_(1)
    world.git.merge({**release(NEW, "cart"), **release(NEW, "web", fate=Fate.CRASH)})
    return world


def test_where_one_is_rejected_one_commit_takes_back_both() -> None:
    world = bad_world()
    assert world.until(lambda: world.told(EventKind.REVERT_PUSHED) != [])
    assert world.until(lambda: world.image("dev-1", "cart") == image(GOOD))
    assert world.image("dev-1", "web") == image(GOOD)
    for environment in CLUSTERS:
        for service in ("cart", "web"):
            text = world.git.read(f"environments/{environment}/{service}.yaml").decode()
            assert f'"{GOOD}"' in text or f"{GOOD}" in text
            assert NEW not in text
    (pushed,) = world.told(EventKind.REVERT_PUSHED)
    assert pushed.service == "web"
    record = world.record("dev", "cart")
    # Nothing is wrong with it: it may come again, with what mends the other.
    assert record is not None and record.rejections == ()
    assert not world.proven("dev", NEW, "cart")
    world.git.merge({**release(NEW, "cart"), **release("2.0.1", "web")})
    assert world.until(lambda: world.proven("prod", "2.0.1", "web"))
    assert world.until(lambda: world.proven("prod", NEW, "cart"))


def test_while_git_is_away_the_other_goes_no_further_and_is_not_proven() -> None:
    world = bad_world()
    assert world.until(lambda: world.told(EventKind.ADMITTED) != [])
    assert world.until(lambda: world.image("dev-1", "web") == image(NEW, Fate.CRASH))
    world.git.is_down = True
    world.pass_(60)
    assert Reason.GROUP_FAILED in holds(world, "cart")
    assert not world.proven("dev", NEW, "cart")
    assert world.image("dev-1", "web") == image(GOOD)
    world.git.is_down = False
    assert world.until(lambda: world.image("dev-1", "cart") == image(GOOD))


def test_a_restart_forgets_neither_the_group_nor_who_was_let_in_together() -> None:
    world = bad_world()
    assert world.until(lambda: world.image("dev-1", "web") == image(NEW, Fate.CRASH))
    restart(world, away_s=3.0)
    assert world.until(lambda: world.image("dev-1", "cart") == image(GOOD))
    assert world.image("dev-1", "web") == image(GOOD)
    assert not world.proven("dev", NEW, "cart")
