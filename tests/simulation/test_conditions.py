"""Conditions in the whole daemon: looked at with the facts of now, for whatever waits, and by nobody else."""

from __future__ import annotations

from reconciler.model.names import EnvironmentName, ServiceName
from tests.fakes.memory_conditions import MemoryConditions
from tests.fakes.world import CLUSTERS, POLICY, World, image, pin, pins

GOOD, NEWER = "1.0.0", "1.1.0"
PIN = "environments/prod/web.yaml"


def rules(*conditions: tuple[str, str, str]) -> str:
    """Returns a policy whose prod has conditions: name, expression and message."""
    lines = "".join(
        f"      - {{name: {name}, expression: '{expression}', message: {message}}}\n"
        for name, expression, message in conditions
    )
    text = POLICY.replace("DRIFT", "report")
    return text.replace("  prod:\n", f"  prod:\n    conditions:\n{lines}")


def held(world: World) -> str:
    """Returns why prod waits."""
    view = world.engine.view
    assert view is not None
    holds = view.services[ServiceName("web")].of(EnvironmentName("prod"))
    return " ".join(f"{hold.reason} {hold.message}" for hold in holds)


def runs(world: World, version: str) -> bool:
    return {world.image(name) for name in CLUSTERS["prod"]} == {image(version)}


def test_prod_waits_for_a_time_of_day_and_goes_on_by_itself() -> None:
    world = World()
    late = ("late", 'now >= timestamp("2026-01-01T00:20:00Z")', "not before twenty past")
    world.git.merge({"policies/line.yaml": rules(late), **pins(GOOD)})
    assert world.until(lambda: world.proven("staging", GOOD))
    world.pass_(60)
    assert held(world) == "ConditionNotMet not before twenty past"
    assert world.until(lambda: world.proven("prod", GOOD), 1300)
    assert world.clock.now().minute >= 20


def test_a_condition_is_about_the_revision_and_the_clusters_of_now() -> None:
    world = World()
    few = ("few", "has(values.replicas) && values.replicas < 5", "five are too many")
    well = (
        "well",
        "clusters.all(c, c.reachable == true && c.labels.size() == 0)",
        "all must answer",
    )
    world.git.merge({"policies/line.yaml": rules(few, well), **pins(GOOD)})
    assert world.until(lambda: world.proven("staging", GOOD))
    world.pass_(60)
    assert held(world) == "ConditionNotMet five are too many"
    world.git.merge({PIN: pin(GOOD) + "values: {replicas: 3}\n"})
    assert world.until(lambda: world.proven("prod", GOOD))


def test_what_comes_to_nothing_holds_and_says_why() -> None:
    world = World()
    odd = ("odd", 'values.tier == "a"', "only tier a")
    world.git.merge({"policies/line.yaml": rules(odd), **pins(GOOD)})
    assert world.until(lambda: world.proven("staging", GOOD))
    world.pass_(120)
    assert held(world).startswith("ConditionUnknown only tier a: ") and "tier" in held(world)
    assert world.record("prod") is None or not world.proven("prod", GOOD)


def test_what_goes_back_is_looked_at_by_no_condition() -> None:
    world = World()
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.proven("prod", NEWER))
    never = ("never", "false", "never again")
    world.git.merge({"policies/line.yaml": rules(never), **pins(GOOD)})
    assert world.until(lambda: runs(world, GOOD), 30)


def test_nothing_is_evaluated_where_nothing_waits() -> None:
    world = World()
    ready = ("ready", "true", "never told")
    world.git.merge({"policies/line.yaml": rules(ready), **pins(GOOD)})
    assert world.until(lambda: world.proven("prod", GOOD))
    world.pass_(120)
    assert isinstance(world.conditions, MemoryConditions)
    world.conditions.asked.clear()
    world.pass_(600)
    assert world.conditions.asked == []
