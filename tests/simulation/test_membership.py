"""Clusters that join, drain and leave, in virtual time."""

from __future__ import annotations

import pytest

from reconciler.model.actions import Hold
from reconciler.model.events import EventKind
from reconciler.model.fleet import ClusterState
from reconciler.model.objects import ObjectRef
from reconciler.model.reasons import Reason
from reconciler.ports.kube import Propagation
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import FLEET, POLICY, World, image, pins

OLD, BAD, NEW = "1.0.0", "1.1.0", "2.0.0"
COUNTED = POLICY.replace("DRIFT", "report").replace("[[prod-1], [prod-2, prod-3]]", "[1, 100%]")
"""No wave names a cluster, so that each can go."""


def fleet(**states: str) -> dict[str, str]:
    """Returns fleet.yaml with the states of some clusters; `prod_3` is prod-3, and "gone" takes it out."""
    text = FLEET
    for name, state in states.items():
        plain = f"{{name: {name.replace('_', '-')}}}"
        stated = f"{{name: {name.replace('_', '-')}, state: {state}}}"
        text = text.replace(f", {plain}", "" if state == "gone" else f", {stated}")
    return {"fleet.yaml": text}


def hold_in(world: World, environment: str = "prod") -> Hold:
    assert world.engine.view is not None
    (planned,) = world.engine.view.services.values()
    found = [a for a in planned.actions if a.environment == environment and isinstance(a, Hold)]
    assert len(found) == 1
    return found[0]


def reason_in(world: World, environment: str = "prod") -> Reason | None:
    view = world.engine.view
    if view is None or not view.services:
        return None
    (planned,) = view.services.values()
    found = [a for a in planned.actions if a.environment == environment and isinstance(a, Hold)]
    return found[0].reason if found else None


def left(world: World) -> list[str]:
    return [*world.engine.heads.head.left]


def writes_to_web(world: World, cluster: str) -> int:
    return sum(w.kind == "Deployment" for w in world.clusters[cluster].audit)


@pytest.fixture
def world() -> World:
    """A release is proven everywhere, but for a third cluster of prod that is not there yet."""
    world = World()
    world.git.merge({**fleet(prod_3="gone"), "policies/line.yaml": COUNTED, **pins(OLD)})
    assert world.until(lambda: world.proven("prod", OLD))
    world.pass_(5)
    return world


@pytest.fixture
def whole() -> World:
    """A release is proven everywhere."""
    world = World()
    world.git.merge({"policies/line.yaml": COUNTED, **pins(OLD)})
    assert world.until(lambda: world.proven("prod", OLD))
    world.pass_(5)
    return world


def test_one_that_joins_gets_what_is_proven_and_then_counts(world: World) -> None:
    world.git.merge(fleet(prod_3="joining"))
    assert world.until(lambda: world.image("prod-3") == image(OLD))
    assert world.until(lambda: reason_in(world) is Reason.SETTLED)
    world.git.merge(pins(NEW))
    assert world.until(lambda: world.proven("prod", NEW))
    record = world.record("prod")
    assert record is not None and record.proofs[0].members == ("prod-1", "prod-2")
    assert world.until(lambda: world.image("prod-3") == image(NEW))
    world.git.merge({**fleet(), **pins("3.0.0")})
    assert world.until(lambda: world.proven("prod", "3.0.0"))
    record = world.record("prod")
    assert record is not None and record.proofs[0].members == ("prod-1", "prod-2", "prod-3")


def test_one_that_joins_and_fails_is_told_and_rejects_nothing(world: World) -> None:
    world.fates[("prod-3", OLD)] = Fate.CRASH
    world.git.merge(fleet(prod_3="joining"))
    assert world.until(lambda: reason_in(world) is Reason.FAILING_AFTER_PROOF)
    assert "prod-3" in hold_in(world).message
    world.pass_(120)
    assert not world.told(EventKind.REJECTED)
    assert [world.image(f"prod-{n}") for n in (1, 2)] == [image(OLD)] * 2


def test_one_that_joins_in_the_middle_of_a_roll_out_gets_what_was_proven_before(
    world: World,
) -> None:
    world.git.merge(pins(NEW))
    assert world.until(lambda: world.image("prod-1") == image(NEW))
    world.git.merge(fleet(prod_3="joining"))
    assert world.until(lambda: world.image("prod-3") == image(OLD))
    assert world.until(lambda: world.proven("prod", NEW))
    assert world.until(lambda: world.image("prod-3") == image(NEW))


def test_one_that_drains_keeps_what_it_has_is_missed_by_nobody_and_leaves(whole: World) -> None:
    whole.git.merge(fleet(prod_3="draining"))
    whole.pass_(5)
    before = writes_to_web(whole, "prod-3")
    whole.git.merge(pins(NEW))
    assert whole.until(lambda: whole.proven("prod", NEW))
    assert whole.until(lambda: reason_in(whole) is Reason.SETTLED)
    assert whole.image("prod-3") == image(OLD)
    assert writes_to_web(whole, "prod-3") == before
    whole.clusters["prod-3"].faults.is_down = True
    whole.git.merge(pins("3.0.0"))
    assert whole.until(lambda: whole.proven("prod", "3.0.0"))
    assert whole.until(lambda: reason_in(whole) is Reason.SETTLED)
    whole.git.merge(fleet(prod_3="gone"))
    whole.pass_(40)
    assert reason_in(whole) is Reason.SETTLED
    assert whole.engine.view is not None and not whole.engine.view.unreachable


def test_one_that_is_gone_without_having_drained_is_an_orphan(whole: World) -> None:
    whole.git.merge(fleet(prod_3="gone"))
    assert whole.until(lambda: reason_in(whole) is Reason.ORPHANED)


@pytest.mark.parametrize("restarts", [False, True])
def test_that_it_left_is_remembered(whole: World, restarts: bool) -> None:
    whole.git.merge(fleet(prod_3="draining"))
    whole.pass_(5)
    if restarts:
        # It is taken out while nobody looks.
        whole.kill()
        whole.git.merge(fleet(prod_3="gone"))
        whole.engine = whole.start("two")
    else:
        whole.git.merge(fleet(prod_3="gone"))
        whole.pass_(5)
        whole.kill()
        whole.engine = whole.start("two")
    assert whole.until(lambda: reason_in(whole) is Reason.SETTLED)
    assert left(whole) == ["prod-3"]
    # Named again, it has not left any more; and gone then without a word, it is an orphan.
    whole.git.merge(fleet())
    whole.pass_(10)
    assert left(whole) == []
    whole.git.merge(fleet(prod_3="gone"))
    assert whole.until(lambda: reason_in(whole) is Reason.ORPHANED)


def test_a_roll_out_under_way_does_without_one_that_begins_to_drain(whole: World) -> None:
    whole.git.merge(pins(NEW))
    assert whole.until(lambda: whole.image("prod-1") == image(NEW))
    whole.clusters["prod-3"].faults.is_down = True
    whole.pass_(30)
    assert not whole.proven("prod", NEW)
    whole.git.merge(fleet(prod_3="draining"))
    assert whole.until(lambda: whole.proven("prod", NEW))


def test_a_roll_out_whose_clusters_all_drain_begins_anew_on_those_that_are_active(
    whole: World,
) -> None:
    for name in ("prod-2", "prod-3"):
        whole.clusters[name].faults.is_down = True
    whole.git.merge({**fleet(prod_2="draining", prod_3="draining"), **pins(NEW)})
    assert whole.until(lambda: whole.image("prod-1") == image(NEW))
    for name in ("prod-2", "prod-3"):
        whole.clusters[name].faults.is_down = False
    only_first_drains = fleet()["fleet.yaml"].replace(
        "{name: prod-1}", "{name: prod-1, state: draining}"
    )
    whole.git.merge({"fleet.yaml": only_first_drains})
    assert whole.until(lambda: whole.proven("prod", NEW))
    record = whole.record("prod")
    assert record is not None and record.proofs[0].members == ("prod-2", "prod-3")


def turns_bad(world: World, cluster: str) -> None:
    """Lets what is proven on a cluster fail there, as it would with a slow leak."""
    world.fates[(cluster, BAD)] = Fate.CRASH
    client = world.clusters[cluster].client()
    for pod in client.list("v1", "Pod", namespace="web", label_selector="").items:
        meta = pod["metadata"]
        client.delete(
            ObjectRef.of(pod),
            uid=meta["uid"],
            resource_version=meta["resourceVersion"],
            propagation=Propagation.BACKGROUND,
        )


@pytest.mark.parametrize("is_away", [False, True])
def test_one_that_drains_with_a_bad_release_goes_back_and_holds_nothing_up(
    whole: World, is_away: bool
) -> None:
    whole.git.merge(pins(BAD))
    assert whole.until(lambda: whole.proven("prod", BAD))
    whole.git.merge(fleet(prod_3="draining"))
    whole.pass_(5)
    whole.clusters["prod-3"].faults.is_down = is_away
    turns_bad(whole, "prod-2")
    assert whole.until(lambda: bool(whole.told(EventKind.REVERT_PUSHED)), 40)
    assert [whole.image(f"prod-{n}") for n in (1, 2)] == [image(OLD)] * 2
    whole.clusters["prod-3"].faults.is_down = False
    assert whole.until(lambda: whole.image("prod-3") == image(OLD))
    assert whole.until(lambda: reason_in(whole) is Reason.SETTLED)
    record = whole.service_record("prod-3")
    assert record is not None and not record.returning


def test_one_that_drains_with_an_older_release_stays_with_it_on_a_way_back(whole: World) -> None:
    whole.git.merge(fleet(prod_3="draining"))
    whole.git.merge(pins("1.0.5"))
    assert whole.until(lambda: whole.proven("prod", "1.0.5"))
    whole.pass_(5)
    before = writes_to_web(whole, "prod-3")
    whole.git.merge(pins(BAD))
    assert whole.until(lambda: whole.proven("prod", BAD))
    turns_bad(whole, "prod-2")
    assert whole.until(lambda: whole.image("prod-2") == image("1.0.5"))
    whole.pass_(20)
    assert whole.image("prod-3") == image(OLD)
    assert writes_to_web(whole, "prod-3") == before


def test_without_git_the_home_remembers_who_drains(whole: World) -> None:
    whole.git.merge(fleet(prod_3="draining"))
    whole.git.merge(pins(BAD))
    assert whole.until(lambda: whole.proven("prod", BAD))
    whole.pass_(5)
    whole.kill()
    whole.git.is_down = True
    whole.engine = whole.start("two")
    assert whole.until(lambda: whole.engine.heads.head.draining == ("prod-3",))
    turns_bad(whole, "prod-2")
    assert whole.until(lambda: whole.image("prod-2") == image(OLD))
    assert whole.engine.view is not None
    (planned,) = whole.engine.view.services.values()
    states = {str(m.cluster): m.state for c in planned.facts.cells for m in c.members}
    assert states["prod-3"] is ClusterState.DRAINING


def test_one_that_drains_and_leaves_in_the_middle_of_a_roll_out_is_not_missed(whole: World) -> None:
    whole.git.merge(pins(NEW))
    assert whole.until(lambda: whole.image("prod-1") == image(NEW))
    whole.clusters["prod-3"].faults.is_down = True
    whole.git.merge(fleet(prod_3="draining"))
    whole.pass_(3)
    whole.git.merge(fleet(prod_3="gone"))
    assert whole.until(lambda: whole.proven("prod", NEW))


def test_a_home_that_drained_and_left_is_still_missed(whole: World) -> None:
    kept = fleet()["fleet.yaml"].replace("[{name: dev-1}]", "[{name: dev-1}, {name: dev-2}]")
    for state in ("draining", "gone"):
        drains = kept.replace("{name: dev-1}", "{name: dev-1, state: draining}")
        gone = kept.replace("{name: dev-1}, ", "")
        whole.git.merge({"fleet.yaml": drains if state == "draining" else gone})
        whole.pass_(5)
    assert left(whole) == ["dev-1"]
    whole.clusters["dev-1"].faults.is_down = True
    whole.pass_(60)
    assert whole.engine.view is not None and "dev-1" in whole.engine.view.unreachable
