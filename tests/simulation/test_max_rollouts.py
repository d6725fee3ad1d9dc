"""`max_rollouts` in virtual time: how many roll out at once, who is next, and whom nobody waits for."""

from __future__ import annotations

import pytest

from reconciler.core.holding import told
from reconciler.model.actions import Admit, Hold
from reconciler.model.events import EventKind
from reconciler.model.fleet import Mode
from reconciler.model.names import EnvironmentName
from reconciler.model.reasons import Reason
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import FLEET, World
from tests.simulation.test_fuses import proven_world, release

NAMES = ("cart", "docs", "mail", "shop", "web")


def limited(world: World, most: int) -> None:
    """Lets so many roll out in dev at once."""
    fleet = FLEET.replace("  - name: dev\n", f"  - name: dev\n    max_rollouts: {most}\n")
    world.git.merge({"fleet.yaml": fleet})


def rolling(world: World) -> set[str]:
    """Returns the services that roll out in dev."""
    found = ((name, world.record("dev", name)) for name in NAMES)
    return {name for name, record in found if record is not None and record.rollout is not None}


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_than_so_many_roll_out_at_once_and_all_come_through(most: int) -> None:
    world = proven_world(*NAMES)
    limited(world, most)
    world.git.merge(release("2.0.0", *NAMES))
    seen: set[int] = set()

    def is_done() -> bool:
        seen.add(len(rolling(world)))
        return all(world.proven("prod", "2.0.0", name) for name in NAMES)

    assert world.until(is_done, 300)
    assert max(seen) == most


def test_who_waits_is_served_before_whoever_comes_later() -> None:
    world = proven_world(*NAMES)
    limited(world, 1)
    world.git.merge(release("2.0.0", "cart", "web"))
    assert world.until(lambda: rolling(world) == {"cart"})
    # It comes first by name, and asks again and again.
    world.git.merge(release("2.0.1", "cart", "docs"))
    assert world.until(lambda: world.proven("dev", "2.0.0", "web"))
    assert world.proven("dev", "2.0.0", "cart")
    assert not any(world.proven("dev", "2.0.1", name) for name in ("cart", "docs"))
    assert world.until(lambda: all(world.proven("dev", "2.0.1", name) for name in ("cart", "docs")))


def test_one_that_is_pinned_again_and_again_keeps_no_place_from_who_waits() -> None:
    """A newer commit comes before the soak is over, each time."""
    world = proven_world(*NAMES)
    limited(world, 1)
    world.git.merge(release("2.0.0", "cart", "web"))
    assert world.until(lambda: rolling(world) == {"cart"})
    for number in range(20):
        world.pass_(4)
        world.git.merge(release(f"2.1.{number}", "cart"))
    assert world.proven("dev", "2.0.0", "web")
    assert world.until(lambda: world.proven("dev", "2.1.19", "cart"))


def test_what_is_held_for_good_keeps_nobody_waiting() -> None:
    world = proven_world(*NAMES)
    limited(world, 1)
    world.git.merge(release("2.0.0", "cart", "web"))
    assert world.until(lambda: rolling(world) == {"cart"})
    path = "environments/dev/cart.yaml"
    world.git.merge({path: release("2.0.0", "cart")[path] + "paused: true\n"})
    assert world.until(lambda: world.proven("dev", "2.0.0", "web"))


def test_a_rejection_frees_the_place_at_once() -> None:
    world = proven_world(*NAMES)
    limited(world, 1)
    world.git.merge({**release("2.0.0", "cart", fate=Fate.CRASH), **release("2.0.0", "web")})
    assert world.until(lambda: world.proven("dev", "2.0.0", "web"))
    assert world.told(EventKind.REJECTED)
    record = world.record("dev", "cart")
    assert record is not None
    assert record.rejections


def test_a_restart_forgets_nobody_who_has_a_place() -> None:
    world = proven_world(*NAMES)
    limited(world, 1)
    world.git.merge(release("2.0.0", *NAMES))
    assert world.until(lambda: len(rolling(world)) == 1)
    world.kill()
    world.clock.advance(20)
    world.engine = world.start("two")
    seen: set[int] = set()

    def is_done() -> bool:
        seen.add(len(rolling(world)))
        return all(world.proven("dev", "2.0.0", name) for name in NAMES)

    assert world.until(is_done, 300)
    assert max(seen) == 1


def test_a_plan_of_a_commit_admits_no_more_than_may_roll_out() -> None:
    world = proven_world(*NAMES)
    limited(world, 2)
    world.settings = world.settings.model_copy(update={"mode": Mode.OBSERVE})
    newest = world.git.merge(release("2.0.0", *NAMES))
    assert world.until(lambda: world.engine.heads.head.commit == newest)
    snapshot = world.engine.heads.head.snapshot
    assert snapshot is not None
    view = world.engine.view_at(snapshot)
    first = [told(planned.of(EnvironmentName("dev"))) for planned in view.services.values()]
    assert sum(isinstance(action, Admit) for action in first) == 2
    assert (
        sum(
            isinstance(action, Hold) and action.reason is Reason.WAITING_FOR_PLACE
            for action in first
        )
        == len(NAMES) - 2
    )
