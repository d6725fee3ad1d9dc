"""Environments that are put into a path, or taken out of it, in virtual time."""

from __future__ import annotations

import pytest

from reconciler.model.actions import Hold
from reconciler.model.events import EventKind
from reconciler.model.reasons import Reason
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import FLEET, POLICY, World, image, pin

OLD, NEW = "1.0.0", "2.0.0"
_POLICY = POLICY.replace("DRIFT", "report")
WHOLE = {"fleet.yaml": FLEET, "policies/line.yaml": _POLICY}
SHORT = {
    "fleet.yaml": FLEET.replace("  - name: staging\n    clusters: [{name: staging-1}]\n", ""),
    "policies/line.yaml": "\n".join(
        line
        for line in _POLICY.replace("dev, staging, prod", "dev, prod").split("\n")
        if "  staging:" not in line
    ),
}
"""Staging is in the fleet of `WHOLE`, and not in this one."""


def pinned(version: str, *environments: str, fate: Fate = Fate.READY) -> dict[str, str]:
    """Returns the pins of some environments."""
    return {f"environments/{name}/web.yaml": pin(version, fate) for name in environments}


def hold_in(world: World, environment: str = "prod") -> Hold | None:
    view = world.engine.view
    assert view is not None
    (planned,) = view.services.values()
    found = [a for a in planned.actions if a.environment == environment and isinstance(a, Hold)]
    return found[0] if found else None


def reason_in(world: World, environment: str = "prod") -> Reason | None:
    hold = hold_in(world, environment)
    return hold.reason if hold is not None else None


@pytest.fixture
def world() -> World:
    """A release is proven in dev and prod, and there is no staging yet."""
    world = World()
    world.git.merge({**SHORT, **pinned(OLD, "dev", "prod")})
    assert world.until(lambda: world.proven("prod", OLD))
    world.pass_(5)
    return world


def writes_to_prod(world: World) -> int:
    return sum(w.kind == "Deployment" for n in (1, 2, 3) for w in world.clusters[f"prod-{n}"].audit)


def test_what_runs_after_one_that_is_put_in_stays_while_it_is_proven_there(world: World) -> None:
    before = writes_to_prod(world)
    world.git.merge({**WHOLE, **pinned(OLD, "staging")})
    assert world.until(
        lambda: reason_in(world) is not None and world.image("staging-1") is not None
    )
    assert reason_in(world) is Reason.SETTLED
    assert world.until(lambda: world.proven("staging", OLD))
    world.pass_(5)
    assert reason_in(world) is Reason.SETTLED and writes_to_prod(world) == before
    world.git.merge(pinned(NEW, "dev", "staging", "prod"))
    assert world.until(lambda: world.proven("staging", NEW))
    assert world.image("prod-1") == image(OLD)
    assert world.until(lambda: world.proven("prod", NEW))


def test_one_that_is_put_in_without_a_pin_holds_those_after_it_in_words(world: World) -> None:
    world.git.merge({**WHOLE, **pinned(NEW, "dev", "prod")})
    assert world.until(lambda: world.proven("dev", NEW))
    world.pass_(30)
    hold = hold_in(world)
    assert hold is not None and hold.reason is Reason.WAITING_FOR_PROOF
    assert "staging" in hold.message
    assert world.image("prod-1") == image(OLD)
    assert not world.told(EventKind.REJECTED)


def test_a_roll_out_stops_where_it_is_until_one_that_is_put_in_has_proven_it(world: World) -> None:
    world.git.merge(pinned(NEW, "dev", "prod"))
    assert world.until(lambda: world.image("prod-1") == image(NEW))
    world.git.merge({**WHOLE, **pinned(OLD, "staging")})
    assert world.until(lambda: world.proven("staging", OLD))
    world.pass_(30)
    assert [world.image(f"prod-{n}") for n in (1, 2, 3)] == [image(NEW), image(OLD), image(OLD)]
    assert reason_in(world) is Reason.WAITING_FOR_PROOF
    world.git.merge(pinned(NEW, "staging"))
    assert world.until(lambda: world.proven("prod", NEW))
    assert world.proven("staging", NEW)


def test_a_release_that_fails_in_one_that_is_put_in_goes_back_where_it_rolls_out_after_it(
    world: World,
) -> None:
    world.git.merge(pinned(NEW, "dev", "prod"))
    assert world.until(lambda: world.image("prod-1") == image(NEW))
    world.fates[("staging-1", NEW)] = Fate.CRASH
    world.git.merge({**WHOLE, **pinned(OLD, "staging")})
    assert world.until(lambda: world.proven("staging", OLD))
    world.git.merge(pinned(NEW, "staging"))
    assert world.until(lambda: bool(world.told(EventKind.REJECTED)))
    assert world.until(lambda: world.image("staging-1") == image(OLD))
    world.pass_(60)
    assert [world.image(f"prod-{n}") for n in (1, 2, 3)] == [image(OLD)] * 3
    assert reason_in(world) is Reason.SETTLED


def test_one_that_is_taken_out_is_left_as_it_is_and_waited_for_no_more(world: World) -> None:
    world.git.merge({**WHOLE, **pinned(OLD, "staging")})
    assert world.until(lambda: world.proven("staging", OLD))
    files = {**SHORT, "environments/staging/web.yaml": None, **pinned(NEW, "dev", "prod")}
    world.git.merge(files)
    assert world.until(lambda: world.proven("prod", NEW))
    assert world.image("staging-1") == image(OLD)


def test_one_that_is_taken_out_in_the_middle_of_a_roll_out_is_left_in_the_middle(
    world: World,
) -> None:
    world.git.merge({**WHOLE, **pinned(OLD, "staging")})
    assert world.until(lambda: world.proven("staging", OLD))
    world.git.merge(pinned(NEW, "dev", "staging", "prod"))
    assert world.until(lambda: world.image("staging-1") == image(NEW))
    world.git.merge({**SHORT, "environments/staging/web.yaml": None})
    assert world.until(lambda: world.proven("prod", NEW))
    assert world.image("staging-1") == image(NEW)
    assert not world.told(EventKind.REJECTED)
