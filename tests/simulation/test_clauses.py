"""Clauses of the design that need the whole daemon: what waits, what does not, and what is left alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from reconciler.model.events import EventKind
from reconciler.model.facts import Member
from reconciler.model.names import EnvironmentName, RevisionId, ServiceName
from reconciler.model.objects import ObjectRef
from reconciler.model.times import rfc3339
from reconciler.simulated.behaviour import Fate
from tests.fakes.world import CLUSTERS, FLEET, MANIFESTS, POLICY, SERVICE, World, image, pin, pins

GOOD, NEWER, NEWEST = "1.0.0", "1.1.0", "1.2.0"
DEPLOYMENT = ObjectRef("apps/v1", "Deployment", "web", "web")
WEB = ServiceName("web")


def proven_world(**options: Any) -> World:
    """Returns a fleet on which a first release is proven everywhere."""
    world = World(**options)
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    return world


def replicas(world: World, cluster: str) -> int:
    found = world.clusters[cluster].client().get(DEPLOYMENT)
    assert found is not None
    return int(found["spec"]["replicas"])


def edit(world: World, cluster: str, change: Any, ref: ObjectRef = DEPLOYMENT) -> None:
    """Edits an object as a person does."""
    store = world.clusters[cluster].store
    kind = store.served(ref.api_version, ref.kind)
    assert kind is not None
    found = store.get(kind, ref.namespace, ref.name)
    change(found)
    store.replace(found, "kubectl-edit")


def member(world: World, cluster: str) -> Member:
    environment = EnvironmentName(cluster.rpartition("-")[0])
    executor = world.engine.clusters.executors[cluster]  # type: ignore[index]
    return executor.member((WEB, environment), RevisionId(""))


# Values.


def test_values_wait_for_the_release_that_they_were_merged_with_but_immediate_ones_do_not() -> None:
    world = World()
    world.git.merge({"services/web/service.yaml": SERVICE + "immediate: [replicas]\n"})
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    # A release that dev does not have, and more replicas in the same pin.
    asked = pin(NEWER) + "values: {replicas: 4}\n"
    world.git.merge({"environments/prod/web.yaml": asked})
    assert world.until(lambda: all(replicas(world, name) == 4 for name in CLUSTERS["prod"]))
    world.pass_(30)
    assert all(world.image(name) == image(GOOD) for name in CLUSTERS["prod"])
    record = world.record("prod")
    assert record is not None and record.admitted is not None
    assert record.admitted.release.version == GOOD


def test_other_values_wait_with_their_release() -> None:
    world = proven_world()
    world.git.merge({"environments/prod/web.yaml": pin(NEWER) + "values: {replicas: 4}\n"})
    world.pass_(40)
    assert all(replicas(world, name) == 2 for name in CLUSTERS["prod"])


def test_another_label_that_a_value_asks_for_is_rolled_out_like_any_change_of_values() -> None:
    world = proven_world()
    labelled = [f"{{name: {name}, labels: {{size: '3'}}}}" for name in CLUSTERS["prod"]]
    fleet = FLEET.replace("{name: prod-1}, {name: prod-2}, {name: prod-3}", ", ".join(labelled))
    asked = pin(GOOD) + "values: {replicas: '${cluster.labels.size}'}\n"
    world.git.merge({"fleet.yaml": fleet, "environments/prod/web.yaml": asked})
    assert world.until(lambda: all(replicas(world, name) == 3 for name in CLUSTERS["prod"]))
    assert world.until(lambda: world.told(EventKind.PROVEN)[-1].environment == "prod")
    # The second wave's clusters grow, and the first one's has its turn before them all the same.
    first, rest = labelled[0], [one.replace("'3'", "'5'") for one in labelled[1:]]
    world.git.merge({"fleet.yaml": fleet.replace(", ".join(labelled), ", ".join([first, *rest]))})
    assert world.until(lambda: [replicas(world, n) for n in CLUSTERS["prod"]] == [3, 5, 5])


# What an environment that changes often may not forget.


def test_a_slow_environment_takes_what_fast_ones_have_long_left_behind() -> None:
    world = proven_world()
    world.git.merge({f"environments/{e}/web.yaml": pin(NEWER) for e in ("dev", "staging")})
    assert world.until(lambda: world.proven("staging", NEWER))
    for number in range(7):
        later = f"2.{number}.0"
        world.git.merge({f"environments/{e}/web.yaml": pin(later) for e in ("dev", "staging")})
        assert world.until(lambda later=later: world.proven("staging", later))  # type: ignore[misc]
    for environment in ("dev", "staging"):
        record = world.record(environment)
        assert record is not None
        assert NEWER not in {p.revision.release.version for p in record.proofs}
    world.git.merge({"environments/prod/web.yaml": pin(NEWER)})
    assert world.until(lambda: world.proven("prod", NEWER))


# Modes and suspensions.


def test_a_service_that_is_only_observed_is_not_even_repaired() -> None:
    world = proven_world(drift="correct")
    world.git.merge({"services/web/service.yaml": SERVICE + "mode: observe\n"})
    world.pass_(10)
    for cluster in world.clusters.values():
        cluster.audit.clear()
    edit(world, "dev-1", lambda obj: obj["spec"].update(replicas=5))
    world.git.merge(pins(NEWER))
    world.pass_(40)
    assert replicas(world, "dev-1") == 5
    assert world.told(EventKind.DRIFT_SEEN)
    kinds = {w.kind for c in world.clusters.values() for w in c.audit}
    assert kinds <= {"Lease", "ConfigMap"}


def suspension(world: World, seconds: float) -> dict[str, str]:
    until = world.clock.now() + timedelta(seconds=seconds)
    return {
        "reconciler.dev/suspend-until": rfc3339(until),
        "reconciler.dev/suspend-reason": "the forge is on fire",
    }


def note(annotations: dict[str, str]) -> Any:
    def change(obj: Any) -> None:
        obj["metadata"].setdefault("annotations", {}).update(annotations)

    return change


def record_ref(kind: str) -> ObjectRef:
    return ObjectRef("reconciler.dev/v1alpha1", kind, "reconciler-system", "web.dev")


def test_a_suspended_service_record_stops_writes_there_until_its_time_is_over() -> None:
    world = proven_world(drift="correct")
    edit(world, "dev-1", note(suspension(world, 30)), record_ref("ServiceRecord"))
    world.pass_(2)
    assert "the forge is on fire" in str(member(world, "dev-1").suspended)
    edit(world, "dev-1", lambda obj: obj["spec"].update(replicas=5))
    world.git.merge(pins(NEWER))
    world.pass_(20)
    assert (replicas(world, "dev-1"), world.image("dev-1")) == (5, image(GOOD))
    assert world.until(lambda: world.image("dev-1") == image(NEWER), 60)
    assert member(world, "dev-1").suspended is None


def test_a_suspended_promotion_record_stops_its_environment_until_its_time_is_over() -> None:
    world = proven_world(drift="correct")
    edit(world, "dev-1", note(suspension(world, 30)), record_ref("PromotionRecord"))
    world.pass_(2)
    edit(world, "dev-1", lambda obj: obj["spec"].update(replicas=5))
    world.git.merge(pins(NEWER))
    world.pass_(20)
    assert (replicas(world, "dev-1"), world.image("dev-1")) == (5, image(GOOD))
    assert any(e.reason == "Suspended" for e in world.told(EventKind.HELD))
    assert world.until(lambda: world.image("dev-1") == image(NEWER), 90)
    # What a person wrote is still there, whoever has written the record since.
    found = world.clusters["dev-1"].client().get(record_ref("PromotionRecord"))
    assert found is not None
    assert "reconciler.dev/suspend-until" in found["metadata"]["annotations"]


def test_a_suspended_object_holds_the_whole_delivery_even_of_a_new_process() -> None:
    world = proven_world()
    edit(world, "dev-1", note(suspension(world, 60)))
    world.kill()
    world.engine = world.start("two")
    world.git.merge(pins(NEWER))
    world.pass_(40)
    assert world.image("dev-1") == image(GOOD)
    assert not world.told(EventKind.REJECTED)
    failed = [e for e in world.told(EventKind.APPLY_FAILED) if e.reason == "Suspended"]
    assert failed and "the forge is on fire" in failed[0].message
    assert world.until(lambda: world.proven("prod", NEWER))


# Services that need each other.


def test_a_service_waits_for_the_release_that_it_depends_on_and_no_longer() -> None:
    world = proven_world()
    api = {
        "services/api/service.yaml": "source: manifests\npolicy: line\nnamespace: web\n"
        "depends_on: [web]\n",
        "services/api/api.yaml": MANIFESTS.replace("name: web", "name: api").replace(
            "app: web", "app: api"
        ),
        "environments/dev/api.yaml": pin(GOOD),
    }
    world.git.merge(api)
    assert world.until(lambda: world.proven("dev", GOOD, "api"))
    both = {"environments/dev/web.yaml": pin(NEWER), "environments/dev/api.yaml": pin(NEWER)}
    world.git.merge(both)
    assert world.until(lambda: world.proven("dev", NEWER), 60)
    proven_s = world.clock.monotonic_s()
    assert world.image("dev-1", "api") == image(GOOD)
    assert world.until(lambda: world.image("dev-1", "api") == image(NEWER), 60)
    assert world.clock.monotonic_s() - proven_s < 3


# Clusters that come and go.


def test_a_cluster_that_was_away_while_its_release_was_taken_back_goes_straight_to_what_is_proven() -> (
    None
):
    world = proven_world()
    edits = {f"environments/{e}/web.yaml": pin(NEWER) for e in ("dev", "staging")}
    world.git.merge(edits)
    assert world.until(lambda: world.proven("staging", NEWER))
    # prod's first wave takes it, then goes away; the next wave fails.
    world.git.merge({"environments/prod/web.yaml": pin(NEWER)})
    assert world.until(lambda: world.image("prod-2") == image(NEWER))
    world.clusters["prod-3"].faults.is_down = True
    _crash(world, "prod-2")
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    assert world.image("prod-1") == image(GOOD)
    # Something newer is on its way when it comes back.
    newest = pins(NEWEST)
    world.git.merge(newest)
    assert world.until(lambda: world.image("prod-1") == image(NEWEST))
    world.clusters["prod-3"].faults.is_down = False
    assert world.until(lambda: world.image("prod-3") != image(NEWER), 20)
    assert world.until(lambda: world.proven("prod", NEWEST))
    assert world.image("prod-3") == image(NEWEST)


def _crash(world: World, cluster: str) -> None:
    store = world.clusters[cluster].store
    kind = store.served("v1", "Pod")
    assert kind is not None
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [
            {
                "name": "web",
                "ready": False,
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}},
            }
        ],
    }

    def crash() -> float:
        for found in store.listed(kind, "web")[0]:
            if found["spec"]["containers"][0]["image"] == image(NEWER):
                store.replace({**found, "status": status}, "kubelet", subresource="status")
        return 0.05

    world.runner.spawn(f"a kubelet of {cluster}", crash)


def test_a_cluster_that_fleet_yaml_does_not_name_any_more_is_told_of_and_left_alone() -> None:
    world = proven_world(drift="correct")
    fleet = world.git.read("fleet.yaml").decode().replace(", {name: prod-3}", "")
    policy = POLICY.replace("DRIFT", "correct").replace("[prod-2, prod-3]", "[prod-2]")
    world.git.merge({"fleet.yaml": fleet, "policies/line.yaml": policy})
    assert world.until(lambda: any(e.reason == "Orphaned" for e in world.told(EventKind.HELD)), 60)
    world.git.merge(pins(NEWER))
    assert world.until(lambda: world.proven("prod", NEWER))
    assert world.image("prod-3") == image(GOOD)
    assert world.image("prod-2") == image(NEWER)


# What is put back.


def test_what_was_stored_to_go_back_to_and_is_lost_is_rendered_again() -> None:
    world = proven_world()
    cluster = world.clusters["dev-1"]
    kind = cluster.store.served("v1", "Secret")
    assert kind is not None
    world.git.merge(pins(NEWER, Fate.CRASH))
    assert world.until(lambda: world.image("dev-1") == image(NEWER, Fate.CRASH))
    for secret in cluster.store.listed(kind, "reconciler-system")[0]:
        if secret["metadata"]["name"].startswith("stored-"):
            cluster.store.delete(kind, "reconciler-system", secret["metadata"]["name"])
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)), 120)
    assert world.image("dev-1") == image(GOOD)
    assert not any(world.image(name) == image(NEWER, Fate.CRASH) for name in CLUSTERS["prod"])
