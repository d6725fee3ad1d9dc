"""The home is out of reach while a release fails elsewhere: clusters go back all the same, and it is told later."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model.events import EventKind
from reconciler.model.fleet import Mode
from reconciler.model.objects import ObjectRef
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, World, image, pin, pins

GOOD, BAD, NEWER = "1.0.0", "1.1.0", "1.2.0"
HOME, STAGING = "dev-1", "staging-1"
DEPLOYMENT = ObjectRef("apps/v1", "Deployment", "web", "web")


@pytest.fixture
def world() -> World:
    """A fleet on which a first release is proven everywhere, and where the next one crashes in staging."""
    made = World(drift="correct")
    made.git.merge(pins(GOOD))
    assert made.until(lambda: made.proven("prod", GOOD))
    made.fates[STAGING, BAD] = Fate.CRASH
    return made


def given_to_staging(world: World) -> None:
    """Merges the release that is bad in staging, and waits until it is there and nobody has seen it fail."""
    world.git.merge(pins(BAD))
    assert world.until(lambda: world.image(STAGING) == image(BAD))
    assert not world.told(EventKind.REJECTED)


def edit(world: World, cluster: str, replicas: int) -> None:
    """Scales the Deployment as a person does."""
    store = world.clusters[cluster].store
    kind = store.served("apps/v1", "Deployment")
    assert kind is not None
    found = store.get(kind, "web", "web")
    found["spec"]["replicas"] = replicas
    store.replace(found, "kubectl-edit")


def replicas(world: World, cluster: str) -> int:
    found = world.clusters[cluster].client().get(DEPLOYMENT)
    assert found is not None
    return int(found["spec"]["replicas"])


def reverts(world: World) -> int:
    log = world.git.log(world.git.branches["main"], path=None, most=100)
    return sum("Reconciler-Action: revert" in facts.message for facts in log)


def was_given(world: World, environment: str, version: str) -> bool:
    """Whether any cluster of an environment was ever given a version."""
    return any(
        w.kind == "Deployment"
        and w.verb == "apply"
        and w.obj["spec"]["template"]["spec"]["containers"][0]["image"] == image(version)
        for cluster in CLUSTERS[environment]
        for w in world.clusters[cluster].audit
    )


def settles(world: World) -> None:
    """Once the home is back: the rejection is in its record, and the pins go back by one commit."""
    assert world.until(lambda: reverts(world) > 0)
    assert world.until(lambda: world.image(STAGING) == image(GOOD))
    world.pass_(60)
    record = world.record("staging")
    assert record is not None and record.admitted is not None
    assert record.admitted.release.version == GOOD
    (rejection,) = record.rejections
    assert (rejection.revision.release.version, rejection.reason) == (BAD, "CrashLoopBackOff")
    assert rejection.rolled_back_at is not None
    assert rejection.revert.commit is not None
    assert reverts(world) == 1
    assert world.image(HOME) == image(BAD), "dev, where it is healthy, keeps it"
    assert not was_given(world, "prod", BAD)
    # And the road is open for the next one.
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.proven("prod", NEWER), 240)


def test_what_fails_while_the_home_is_away_goes_back_and_is_brought_home_later(
    world: World,
) -> None:
    given_to_staging(world)
    admitted = len(world.told(EventKind.ADMITTED))
    world.clusters[HOME].faults.is_down = True
    assert world.until(lambda: bool(world.told(EventKind.REJECTED)), 20)
    assert world.until(lambda: world.image(STAGING) == image(GOOD), 3)
    held = world.service_record(STAGING)
    assert held is not None and held.rejection is not None
    assert held.rejection.revision.release.version == BAD
    # Long after nobody leads any more.
    world.pass_(60)
    edit(world, "prod-2", 5)
    assert world.until(lambda: replicas(world, "prod-2") == 2, 3)
    assert len(world.told(EventKind.ADMITTED)) == admitted
    world.clusters[HOME].faults.is_down = False
    settles(world)


def test_what_is_to_be_brought_home_waits_there_too_while_it_only_observes(world: World) -> None:
    given_to_staging(world)
    world.clusters[HOME].faults.is_down = True
    assert world.until(lambda: world.image(STAGING) == image(GOOD), 30)
    world.settings = world.settings.model_copy(update={"mode": Mode.OBSERVE})
    world.pass_(5)
    for cluster in world.clusters.values():
        cluster.audit.clear()
    world.clusters[HOME].faults.is_down = False
    world.pass_(60)
    assert not [w for c in world.clusters.values() for w in c.audit]
    assert reverts(world) == 0
    world.settings = world.settings.model_copy(update={"mode": Mode.ENFORCE})
    settles(world)


def test_what_fails_long_after_nobody_leads_any_more_goes_back_as_fast(world: World) -> None:
    del world.fates[STAGING, BAD]
    world.git.merge(pins(BAD))
    assert world.until(lambda: world.image(STAGING) == image(BAD))
    world.clusters[HOME].faults.is_down = True
    world.pass_(40)
    assert not world.engine.lease.leads
    assert not was_given(world, "prod", BAD), "nothing is admitted by one who does not lead"
    world.fates[STAGING, BAD] = Fate.CRASH
    assert world.until(lambda: world.image(STAGING) == image(GOOD), 5)
    held = world.service_record(STAGING)
    assert held is not None and held.rejection is not None
    world.pass_(40)
    assert reverts(world) == 0, "only one who leads writes to Git"
    world.clusters[HOME].faults.is_down = False
    settles(world)


def test_nothing_moves_forward_while_the_home_is_away(world: World) -> None:
    world.clusters[HOME].faults.is_down = True
    more = pin(GOOD) + "values: {replicas: 4}\n"
    world.git.merge({"environments/prod/web.yaml": more})
    world.pass_(60)
    assert {replicas(world, cluster) for cluster in CLUSTERS["prod"]} == {2}
    world.clusters[HOME].faults.is_down = False
    assert world.until(lambda: {replicas(world, c) for c in CLUSTERS["prod"]} == {4})


def test_no_further_wave_begins_while_the_home_is_away(world: World) -> None:
    del world.fates[STAGING, BAD]
    world.fates["prod-1", BAD] = Fate.NEVER_READY
    world.git.merge(pins(BAD))
    assert world.until(lambda: world.image("prod-1") == image(BAD))
    world.clusters[HOME].faults.is_down = True
    assert world.until(lambda: not world.engine.lease.leads)
    del world.fates["prod-1", BAD]
    world.pass_(30)
    assert {world.image(cluster) for cluster in ("prod-2", "prod-3")} == {image(GOOD)}
    world.clusters[HOME].faults.is_down = False
    assert world.until(lambda: world.proven("prod", BAD))


@pytest.mark.parametrize(
    "when",
    [
        pytest.param(lambda world: True, id="before anybody has seen it fail"),
        pytest.param(lambda world: bool(world.told(EventKind.REJECTED)), id="as it is rejected"),
        pytest.param(lambda world: world.image(STAGING) == image(GOOD), id="after it was put back"),
    ],
)
def test_a_daemon_that_starts_while_the_home_is_away_writes_nothing_and_settles_later(
    when: Callable[[World], bool], world: World
) -> None:
    given_to_staging(world)
    world.clusters[HOME].faults.is_down = True
    assert world.until(lambda: when(world))
    held = world.service_record(STAGING)
    kept = held.rejection if held is not None else None
    world.kill()
    world.engine = world.start("two")
    was = {cluster: world.image(cluster) for cluster in (STAGING, *CLUSTERS["prod"])}
    world.pass_(60)
    # It cannot know in whose name it may write, nor what is proven where.
    assert not [w for w in world.writes if w.holder == "two"]
    assert {cluster: world.image(cluster) for cluster in was} == was
    assert reverts(world) == 0
    world.clusters[HOME].faults.is_down = False
    settles(world)
    if kept is not None:
        record = world.record("staging")
        assert record is not None
        (rejection,) = record.rejections
        assert rejection.rejected_at == kept.rejected_at, "the same fact, found in the cluster"
