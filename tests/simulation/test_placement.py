"""`placement:` in virtual time: a service goes to the clusters whose labels it asks for, and to no other."""

from __future__ import annotations

import pytest

from reconciler.cli.comparing import rendered
from reconciler.cli.looking import Look
from reconciler.errors import Denied
from reconciler.model.actions import Hold
from reconciler.model.events import EventKind
from reconciler.model.reasons import Reason
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import FLEET, SERVICE, World, image, pins

PLACED = f"{SERVICE}placement: {{match_labels: {{region: eu}}}}\n"
ONE_AND_THREE = ("dev-1", "staging-1", "prod-1", "prod-3")


def fleet(*in_europe: str) -> str:
    text = FLEET
    for cluster in in_europe:
        text = text.replace(f"{{name: {cluster}}}", f"{{name: {cluster}, labels: {{region: eu}}}}")
    return text


def hold_in_prod(world: World) -> Hold:
    assert world.engine.view is not None
    (planned,) = world.engine.view.services.values()
    cell = next(c for c in planned.facts.cells if c.environment == "prod")
    (hold,) = planned.of(cell.environment)
    assert isinstance(hold, Hold)
    return hold


def members_in_prod(world: World) -> set[str]:
    assert world.engine.view is not None
    (planned,) = world.engine.view.services.values()
    return {
        str(m.cluster) for c in planned.facts.cells if c.environment == "prod" for m in c.members
    }


def wrote_web(world: World, cluster: str) -> bool:
    return any(written.kind == "Deployment" for written in world.clusters[cluster].audit)


@pytest.fixture
def world() -> World:
    """A release is proven on two of the three clusters of prod."""
    world = World()
    files = {"fleet.yaml": fleet(*ONE_AND_THREE), "services/web/service.yaml": PLACED}
    world.git.merge({**files, **pins("1.0.0")})
    assert world.until(lambda: world.proven("prod", "1.0.0"))
    world.pass_(5)  # every executor has written down what came of it
    return world


def test_it_goes_to_the_clusters_with_the_labels_and_is_proven_there(world: World) -> None:
    assert [world.image(c) for c in ONE_AND_THREE] == [image("1.0.0")] * 4
    assert not wrote_web(world, "prod-2")
    record = world.record("prod")
    assert record is not None and record.proofs[0].members == ("prod-1", "prod-3")


def test_a_wave_with_none_of_its_clusters_is_no_wave(world: World) -> None:
    world.git.merge({"fleet.yaml": fleet("dev-1", "staging-1", "prod-3"), **pins("2.0.0")})
    assert world.until(lambda: world.image("prod-3") == image("2.0.0"))
    record = world.record("prod")
    assert record is not None and record.rollout is not None
    assert record.rollout.policy.waves == (("prod-3",),)


def test_a_bad_release_comes_back_and_touches_no_other_cluster(world: World) -> None:
    world.git.merge(pins("2.0.0", Fate.CRASH))
    assert world.until(lambda: b"1.0.0" in world.git.read("environments/dev/web.yaml"))
    assert [world.image(c) for c in ONE_AND_THREE] == [image("1.0.0")] * 4
    assert not wrote_web(world, "prod-2")


def test_a_cluster_that_gets_the_label_gets_what_is_proven(world: World) -> None:
    world.git.merge({"fleet.yaml": fleet(*ONE_AND_THREE, "prod-2")})
    assert world.until(lambda: world.image("prod-2") == image("1.0.0"))


def test_what_a_cluster_could_not_take_in_time_it_is_not_given_once_its_label_is_gone(
    world: World,
) -> None:
    is_refused = True

    def meet(holder: str, cluster: str, verb: str, kind: str) -> None:
        if is_refused and cluster == "prod-2" and kind == "ServiceRecord" and verb == "create":
            raise Denied("ServiceRecord on prod-2", "cannot be made", "HTTP 403, Forbidden")

    world.before = meet
    world.git.merge({"fleet.yaml": fleet(*ONE_AND_THREE, "prod-2")})
    assert world.until(lambda: bool(world.told(EventKind.APPLY_FAILED)))
    world.git.merge({"fleet.yaml": fleet(*ONE_AND_THREE)})
    assert world.until(lambda: "prod-2" not in members_in_prod(world))
    world.pass_(10)
    is_refused = False
    world.pass_(300)
    assert not wrote_web(world, "prod-2")


def test_where_the_label_is_gone_nothing_is_deleted_or_written_and_it_is_told(world: World) -> None:
    before = len(world.clusters["prod-3"].audit)
    world.git.merge({"fleet.yaml": fleet("dev-1", "staging-1", "prod-1"), **pins("2.0.0")})
    assert world.until(lambda: world.proven("prod", "2.0.0"))
    world.pass_(10)
    assert world.clusters["prod-3"].audit[before:] == []
    assert world.image("prod-1") == image("2.0.0")
    assert world.image("prod-3") == image("1.0.0")
    assert len(world.clusters["prod-3"].audit) == before
    hold = hold_in_prod(world)
    assert hold.reason is Reason.ORPHANED and "prod-3" in hold.message


def test_a_label_that_goes_in_the_middle_of_a_roll_out_holds_it(world: World) -> None:
    world.git.merge(pins("2.0.0"))
    assert world.until(lambda: world.image("prod-1") == image("2.0.0"))
    world.git.merge({"fleet.yaml": fleet("dev-1", "staging-1", "prod-1")})
    world.pass_(30)
    assert not world.proven("prod", "2.0.0")
    hold = hold_in_prod(world)
    assert (hold.reason, hold.page) == (Reason.ORPHANED, True)
    assert "prod-3" in hold.message and "placement" in hold.message
    world.git.merge({"fleet.yaml": fleet(*ONE_AND_THREE)})
    assert world.until(lambda: world.proven("prod", "2.0.0"))


def test_while_service_yaml_is_broken_it_goes_nowhere_new(world: World) -> None:
    world.git.merge({"services/web/service.yaml": f"{PLACED}nonsense: 1\n"})
    world.pass_(30)
    assert members_in_prod(world) == {"prod-1", "prod-3"}
    assert hold_in_prod(world).reason is Reason.INVALID_SERVICE
    assert world.image("prod-2") is None


def test_while_service_yaml_is_broken_what_runs_there_can_still_be_compared(world: World) -> None:
    world.git.merge({"services/web/service.yaml": f"{PLACED}nonsense: 1\n"})
    world.pass_(10)
    view = world.engine.view
    assert view is not None
    (planned,) = view.services.values()
    cell = next(c for c in planned.facts.cells if c.environment == "prod")
    assert cell.record is not None and cell.record.admitted is not None
    seen = Look(world.engine, view)
    admitted = cell.record.admitted
    found = rendered(seen, planned.facts.service, cell, lambda member: admitted)
    assert [cluster for cluster, _ in found] == ["prod-1", "prod-3"]


def test_a_pin_where_no_cluster_has_the_labels_is_held(world: World) -> None:
    world.git.merge({"fleet.yaml": fleet("dev-1", "staging-1")})
    world.pass_(10)
    assert hold_in_prod(world).reason is Reason.INVALID_PIN
    assert "no cluster of prod" in hold_in_prod(world).message
    assert world.image("prod-1") == world.image("prod-3") == image("1.0.0")
