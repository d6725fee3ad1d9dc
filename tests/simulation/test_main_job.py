"""The main job in virtual time: a pin merged, a release proven, a bad one taken back."""

from __future__ import annotations

import pytest

from reconciler.errors import Denied
from reconciler.model.events import EventKind
from reconciler.model.health import HealthStatus
from reconciler.model.names import CommitId
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Propagation
from reconciler.simulated.behaviour import Fate, digest_for
from reconciler.simulated.store import Store
from tests.fakes.world import CLUSTERS, World, image, pin, pins

DEPLOYMENT = ObjectRef("apps/v1", "Deployment", "web", "web")
GOOD, BAD = "1.0.0", "1.1.0"
ALL = [cluster for names in CLUSTERS.values() for cluster in names]


@pytest.fixture
def world() -> World:
    """A fleet on which a first release is proven everywhere."""
    return proven_world()


def proven_world(**options: object) -> World:
    world = World(**options)  # type: ignore[arg-type]
    world.git.merge(pins(GOOD))
    assert world.until(lambda: world.proven("prod", GOOD))
    return world


def forget(store: Store, kind: str) -> None:
    """Deletes every record of a kind."""
    found = store.served("reconciler.dev/v1alpha1", kind)
    if found is None:
        return
    for obj in store.listed(found, None)[0]:
        store.delete(found, obj["metadata"]["namespace"], obj["metadata"]["name"])


def bad_in_staging(world: World) -> None:
    """Merges a release that is well in dev and crashes in staging, by a value that only staging has."""
    edits = pins(BAD)
    edits["environments/staging/web.yaml"] = pin(BAD, Fate.CRASH)
    edits["environments/prod/web.yaml"] = pin(BAD, Fate.CRASH)
    edits["environments/dev/web.yaml"] = pin(BAD, Fate.CRASH)
    world.git.merge(edits, "release 1.1.0")


def first_delivery(world: World, cluster: str, version: str) -> float | None:
    """Returns when a version's Deployment was first written to a cluster, by its own audit."""
    for written in world.clusters[cluster].audit:
        if written.kind == "Deployment" and written.verb == "apply":
            containers = written.obj["spec"]["template"]["spec"]["containers"]
            if containers[0]["image"] in (image(version), image(version, Fate.CRASH)):
                return (written.at - world.clock.now()).total_seconds() + world.clock.monotonic_s()
    return None


def test_a_merged_pin_reaches_every_cluster_in_order(world: World) -> None:
    when = {name: first_delivery(world, name, GOOD) for name in ALL}
    assert all(at is not None for at in when.values())
    dev, staging = when["dev-1"], when["staging-1"]
    prod = [when[name] for name in CLUSTERS["prod"]]
    assert dev < staging < prod[0] < prod[1]  # type: ignore[operator]
    assert prod[1] == pytest.approx(prod[2], abs=1)
    # Each waited for the soak of the one before.
    assert staging - dev >= 5 and prod[0] - staging >= 5 and prod[1] - prod[0] >= 5  # type: ignore[operator]


def test_a_release_that_crashes_goes_back_and_out_of_git(world: World) -> None:
    bad_in_staging(world)
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    assert world.image("dev-1") == image(GOOD)
    assert first_delivery(world, "staging-1", BAD) is None
    for environment in CLUSTERS:
        text = world.git.read(f"environments/{environment}/web.yaml").decode()
        assert digest_for(Fate.READY, GOOD) in text
        assert text.startswith("# who: the web team")
        assert "# the tag" in text
    message = world.git.commit_facts(world.git.branches["main"]).message
    assert "Reconciler-Action: revert" in message
    assert "exit code 1" in message
    record = world.record("dev")
    assert record is not None and record.rejections[0].revert.commit == world.git.branches["main"]


def test_a_rejected_release_does_not_come_back_when_it_is_pinned_again(world: World) -> None:
    bad_in_staging(world)
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    bad_in_staging(world)
    world.pass_(60)
    assert world.image("dev-1") == image(GOOD)
    assert len(world.told(EventKind.REJECTED)) == 1


def test_only_the_failing_and_later_environments_are_reverted() -> None:
    world = proven_world()
    # The Deployment of staging alone is broken by its values: no image, only an environment's own part.
    edits: dict[str, str] = dict(pins(BAD))
    world.git.merge(edits)
    assert world.until(lambda: world.proven("dev", BAD))
    crash = world.clusters["staging-1"]
    world.until(lambda: first_delivery(world, "staging-1", BAD) is not None)
    _crash_pods(world, crash.name)
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    assert world.image("dev-1") == image(BAD)
    assert world.image("staging-1") == image(GOOD)
    assert all(first_delivery(world, name, BAD) is None for name in CLUSTERS["prod"])
    assert digest_for(Fate.READY, BAD) in world.git.read("environments/dev/web.yaml").decode()
    for environment in ("staging", "prod"):
        text = world.git.read(f"environments/{environment}/web.yaml").decode()
        assert digest_for(Fate.READY, GOOD) in text


def _crash_pods(world: World, cluster: str) -> None:
    """Makes the Pods of the new image crash on one cluster alone, as a bad node image would not."""
    store = world.clusters[cluster].store
    kind = store.served("v1", "Pod")
    assert kind is not None

    def crash() -> float:
        for pod in store.listed(kind, "web")[0]:
            if pod["spec"]["containers"][0]["image"] != image(BAD):
                continue
            status = {
                **pod.get("status", {}),
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
            store.replace({**pod, "status": status}, "kubelet", subresource="status")
        return 0.05

    world.runner.spawn("a kubelet", crash)


def test_a_cluster_goes_back_without_git_and_with_a_new_process(world: World) -> None:
    bad_in_staging(world)
    assert world.until(lambda: first_delivery(world, "dev-1", BAD) is not None)
    world.git.is_down = True
    world.engine.heads.step()
    # The old process is gone, and the new one has nothing but the clusters: Git gives no commit.
    world.kill()
    world.engine = world.start("two")
    assert world.until(lambda: world.image("dev-1") == image(GOOD), 120)
    assert not world.told(EventKind.REVERT_PUSHED)
    world.git.is_down = False
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)), 120)


def test_a_push_that_loses_a_race_is_made_again_on_the_new_head(world: World) -> None:
    raced: list[str] = []

    def race() -> None:
        if not raced:
            raced.append(world.git.merge({"README.md": "hello"}, "somebody was first"))

    world.git.before_push = race
    bad_in_staging(world)
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    assert raced and world.git.is_ancestor(CommitId(raced[0]), world.git.branches["main"])
    assert world.git.read("README.md") == b"hello"
    assert _count_reverts(world) == 1


def test_a_pin_that_was_replaced_is_left_alone_and_the_part_is_quarantined(world: World) -> None:
    raced: list[str] = []

    def race() -> None:
        if not raced:
            raced.append(world.git.merge(pins("1.2.0"), "a newer release"))

    world.git.before_push = race
    bad_in_staging(world)
    assert world.until(lambda: bool(world.told(EventKind.REVERT_PUSHED)))
    assert digest_for(Fate.READY, "1.2.0") in world.git.read("environments/dev/web.yaml").decode()
    assert _count_reverts(world) == 0
    assert b"1.1.0" in world.git.read("quarantine/web.yaml")
    assert world.until(lambda: world.proven("prod", "1.2.0"))


def _count_reverts(world: World) -> int:
    log = world.git.log(world.git.branches["main"], path=None, most=100)
    return sum("Reconciler-Action: revert" in facts.message for facts in log)


def test_a_refused_push_ends_up_on_a_branch_for_a_person(world: World) -> None:
    world.git.refuse = lambda branch: "protected" if branch == "main" else ""
    bad_in_staging(world)
    assert world.until(lambda: bool(world.told(EventKind.REVERT_REFUSED)))
    world.pass_(90)
    (branch,) = [name for name in world.git.branches if name.startswith("reconciler/revert-web-")]
    record = world.record("dev")
    assert record is not None
    assert record.rejections[0].revert.branch == branch
    assert record.rejections[0].revert.commit is None
    # A person merges it, which is seen with the next HEAD: that is fetched every other second.
    world.git.branches["main"] = world.git.branches[branch]

    def landed() -> bool:
        now = world.record("dev")
        return now is not None and now.rejections[0].revert.commit is not None

    assert world.until(landed, 4)


def test_drift_is_put_right_where_the_policy_says_so() -> None:
    world = proven_world(drift="correct")
    _edit(world, replicas=5)
    assert world.until(lambda: bool(world.told(EventKind.DRIFT_CORRECTED)), 10)
    assert _replicas(world) == 2
    (event,) = world.told(EventKind.DRIFT_CORRECTED)
    assert dict(event.detail) == {
        "object": "Deployment/web/web",
        "field": "spec.replicas",
        "manager": "kubectl-edit",
    }


def test_drift_is_only_told_where_the_policy_says_report(world: World) -> None:
    _edit(world, replicas=5)
    assert world.until(lambda: bool(world.told(EventKind.DRIFT_SEEN)), 10)
    world.pass_(30)
    assert _replicas(world) == 5
    assert not world.told(EventKind.DRIFT_CORRECTED)


def test_a_suspended_object_is_left_alone() -> None:
    world = proven_world(drift="correct")
    _edit(world, replicas=5, until="2026-01-01T01:00:00Z")
    world.pass_(30)
    assert _replicas(world) == 5


def _edit(world: World, *, replicas: int, until: str = "") -> None:
    store = world.clusters["dev-1"].store
    kind = store.served("apps/v1", "Deployment")
    assert kind is not None
    found = store.get(kind, "web", "web")
    found["spec"]["replicas"] = replicas
    if until:
        found["metadata"].setdefault("annotations", {})["reconciler.dev/suspend-until"] = until
    store.replace(found, "kubectl-edit")


def _replicas(world: World) -> int:
    found = world.clusters["dev-1"].client().get(DEPLOYMENT)
    assert found is not None
    return int(found["spec"]["replicas"])


def test_one_cluster_that_refuses_connections_holds_only_its_own_wave(world: World) -> None:
    world.clusters["prod-2"].faults.is_down = True
    world.git.merge(pins(BAD))
    assert world.until(lambda: world.image("prod-3") == image(BAD))
    assert world.image("prod-1") == image(BAD)
    world.pass_(30)
    assert not world.proven("prod", BAD)
    assert not world.told(EventKind.REJECTED)
    assert any(e.cluster == "prod-2" for e in world.told(EventKind.CLUSTER_UNREACHABLE))
    world.clusters["prod-2"].faults.is_down = False
    assert world.until(lambda: world.proven("prod", BAD))


@pytest.mark.parametrize(
    ("why", "edits"),
    [
        ("a pin that is gone", {f"environments/{e}/web.yaml": None for e in CLUSTERS}),
        (
            "a service's folder that is gone",
            {"services/web/service.yaml": None, "services/web/web.yaml": None},
        ),
        ("a manifest that cannot be read", {"services/web/web.yaml": "{["}),
        ("a service file that cannot be read", {"services/web/service.yaml": "nonsense"}),
        ("a fleet that cannot be read", {"fleet.yaml": "environments: ["}),
        (
            "an environment that is gone",
            {"fleet.yaml": "environments: [{name: dev, clusters: [{name: dev-1}]}]"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_is_deleted_for(why: str, edits: dict[str, str | None], world: World) -> None:
    del why
    world.git.merge(edits)
    world.pass_(60)
    assert all(world.image(name) == image(GOOD) for name in ALL)
    assert not [w for c in world.clusters.values() for w in c.audit if w.verb == "delete"]


def test_nothing_is_deleted_when_lists_are_forbidden(world: World) -> None:
    def forbid(verb: str, kind: str) -> None:
        if verb in ("list", "watch"):
            raise Denied(kind, "it cannot be listed", "forbidden")

    world.clusters["dev-1"].faults.before = forbid
    world.clusters["dev-1"].store.forget()
    world.git.merge(pins(BAD))
    world.pass_(120)
    assert not [w for w in world.clusters["dev-1"].audit if w.verb == "delete"]
    assert not world.told(EventKind.REJECTED)


def test_a_rewritten_history_is_not_followed_until_the_operator_says_so(world: World) -> None:
    other = World()
    del other
    world.git.branches["main"] = world.git.orphan()
    world.pass_(30)
    assert all(world.image(name) == image(GOOD) for name in ALL)
    assert world.told(EventKind.HEAD_REFUSED)
    assert "accept_history" in world.told(EventKind.HEAD_REFUSED)[-1].message


def test_an_object_that_is_rendered_no_more_is_deleted_after_the_proof(world: World) -> None:
    manifests = world.git.read("services/web/web.yaml").decode()
    without = "---".join(manifests.split("---")[1:])
    world.git.merge({"services/web/web.yaml": without}, "no ConfigMap any more")
    reference = ObjectRef("v1", "ConfigMap", "web", "web")
    client = world.clusters["prod-3"].client()
    assert world.until(lambda: client.get(reference) is None)
    assert world.until(lambda: bool(world.told(EventKind.PRUNED)))


def test_an_idle_fleet_is_written_to_by_nobody_but_the_lease(world: World) -> None:
    world.pass_(30)
    for cluster in world.clusters.values():
        cluster.audit.clear()
    world.pass_(60)
    kinds = {w.kind for c in world.clusters.values() for w in c.audit}
    assert kinds == {"Lease"}


def test_what_is_live_and_equal_is_adopted_and_observed_before_it_opens_gates() -> None:
    world = proven_world()
    # The home loses everything that was known.
    forget(world.clusters["dev-1"].store, "PromotionRecord")
    world.kill()
    world.engine = world.start("two")
    assert world.until(lambda: bool(world.told(EventKind.ADOPTED)))
    assert world.until(lambda: world.proven("prod", GOOD))
    assert all(world.image(name) == image(GOOD) for name in ALL)


def test_a_stuck_stateful_set_goes_back() -> None:
    world = World()
    text = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  serviceName: store
  replicas: 2
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec:
      containers:
        - {name: store, image: registry.example.com/web}
"""
    world.git.merge({**pins(GOOD), "services/web/web.yaml": text})
    assert world.until(lambda: world.proven("prod", GOOD))
    world.git.merge(pins(BAD, Fate.CRASH))
    assert world.until(lambda: bool(world.told(EventKind.REJECTED)))
    assert world.until(lambda: bool(world.told(EventKind.ROLLED_BACK)))
    assert world.image("dev-1", "store", "StatefulSet") == image(GOOD)


def test_a_foreign_object_is_not_taken_over() -> None:
    world = World()
    client = world.clusters["dev-1"].client()
    client.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "web", "namespace": "web"},
            "data": {"greeting": "mine"},
        }
    )
    world.git.merge(pins(GOOD))
    world.pass_(60)
    found = client.get(ObjectRef("v1", "ConfigMap", "web", "web"))
    assert found is not None and found["data"] == {"greeting": "mine"}
    assert world.image("dev-1") is None
    held = [e for e in world.told(EventKind.HELD) if e.reason == "AdoptionDiffers"]
    assert held and "adopt: overwrite" in held[0].message
    edits = {p: t + "adopt: overwrite\n" for p, t in pins(GOOD).items()}
    world.git.merge(edits)
    assert world.until(lambda: world.proven("dev", GOOD))


def test_the_world_tells_health_and_nothing_unknown_is_healthy(world: World) -> None:
    member = world.engine.clusters.executors["dev-1"].member(("web", "dev"), None)  # type: ignore[index, arg-type]
    assert member.health.status is HealthStatus.CURRENT
    world.clusters["dev-1"].faults.is_down = True
    world.pass_(20)
    member = world.engine.clusters.executors["dev-1"].member(("web", "dev"), None)  # type: ignore[index, arg-type]
    assert not member.known


def test_a_deleted_deployment_is_drift_and_made_again() -> None:
    world = proven_world(drift="correct")
    client = world.clusters["dev-1"].client()
    found = client.get(DEPLOYMENT)
    assert found is not None
    client.delete(
        DEPLOYMENT,
        uid=found["metadata"]["uid"],
        resource_version="",
        propagation=Propagation.BACKGROUND,
    )
    assert world.until(lambda: world.image("dev-1") == image(GOOD), 10)
