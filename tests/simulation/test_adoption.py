"""What was live before the reconciler came: it is taken over as it is, and goes on with the next release."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.errors import Unreachable
from reconciler.model.events import EventKind
from reconciler.model.objects import ObjectRef
from reconciler.simulated.behaviour import Fate
from reconciler.simulated.http_front import ClusterServer
from tests.contract.kube_fronts import kubectl
from tests.fakes.world import CLUSTERS, MANIFESTS, POLICY, World, image, pins

GOOD, NEXT = "1.0.0", "1.1.0"
CONFIG = ObjectRef("v1", "ConfigMap", "web", "web")
MORE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: more}
data: {left: out}
---
"""
LET_GO = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: more, annotations: {reconciler.dev/prune: "true"}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
"""
LIVE = MANIFESTS.replace("hello}", "hello, bye: bye}")
LATER = {"services/web/web.yaml": MANIFESTS, **pins(NEXT)}
"""A release with another image that leaves a field out."""


def objects(version: str, manifests: str = LIVE) -> Iterator[dict[str, Any]]:
    """Yields what a person applies of a version, who has never heard of us."""
    for obj in yaml.safe_load_all(manifests):
        obj["metadata"]["namespace"] = "web"
        if obj["kind"] == "Deployment":
            obj["spec"]["template"]["spec"]["containers"][0]["image"] = image(version)
        yield obj


def apply_by_hand(world: World, cluster: str, version: str, manifests: str = LIVE) -> None:
    """Leaves on a cluster what `kubectl apply` does."""
    client, store = world.clusters[cluster].client(), world.clusters[cluster].store
    for obj in objects(version, manifests):
        found = client.get(ObjectRef.of(obj))
        write = store.create if found is None else store.replace
        write({**(found or {}), **obj}, "kubectl-client-side-apply")


def config(world: World, cluster: str) -> Any:
    found = world.clusters[cluster].client().get(CONFIG)
    return found["data"] if found is not None else None


def told(world: World, kind: EventKind, environment: str) -> list[str]:
    return [e.reason for e in world.told(kind) if e.environment == environment]


def adopted() -> World:
    """A fleet on which everything was there already."""
    world = World(drift="report")
    for names in CLUSTERS.values():
        for name in names:
            apply_by_hand(world, name, GOOD)
    world.git.merge({"services/web/web.yaml": LIVE, **pins(GOOD)})
    assert world.until(lambda: world.proven("prod", GOOD))
    for environment in CLUSTERS:
        assert told(world, EventKind.ADOPTED, environment)
    return world


def undelivered(manifests: str = LIVE) -> World:
    """Staging has been adopted, cannot be written to, and is asked for the next release."""
    world = World(drift="report")
    apply_by_hand(world, "staging-1", GOOD, manifests)
    world.before = lambda holder, cluster, verb, kind: _refuse(cluster, verb, kind)
    # What holds data is asked for once more, unless the policy accepts that it is lost.
    accepts = POLICY.replace("DRIFT}", "report, irreversible: accept}").replace("DRIFT", "report")
    world.git.merge({"policies/line.yaml": accepts})
    world.git.merge({"services/web/web.yaml": manifests, **pins(GOOD)})
    assert world.until(lambda: bool(told(world, EventKind.ADOPTED, "staging")))
    assert world.until(lambda: world.proven("dev", GOOD))
    world.git.merge(LATER)
    assert world.until(lambda: world.proven("dev", NEXT))
    world.pass_(30)
    assert told(world, EventKind.ADMITTED, "staging")
    assert world.image("staging-1") == image(GOOD)
    return world


def _refuse(cluster: str, verb: str, kind: str) -> None:
    """Every delivery begins with its record."""
    if (cluster, verb, kind) == ("staging-1", "create", "ServiceRecord"):
        raise Unreachable(cluster, "it cannot be written", "no answer")


def mend(world: World) -> None:
    world.before = lambda *asked: None


def test_the_release_after_an_adoption_reaches_every_cluster_and_removes_what_it_leaves_out() -> (
    None
):
    world = adopted()
    assert config(world, "prod-2") == {"greeting": "hello", "bye": "bye"}
    world.git.merge(LATER)
    assert world.until(lambda: world.proven("prod", NEXT))
    assert not world.told(EventKind.APPLY_FAILED)
    for names in CLUSTERS.values():
        for name in names:
            assert world.image(name) == image(NEXT) and config(world, name) == {"greeting": "hello"}


def test_what_is_applied_by_hand_after_an_adoption_is_drift_and_holds_the_next_release() -> None:
    world = adopted()
    apply_by_hand(world, "dev-1", GOOD, LIVE.replace("greeting: hello", "greeting: by hand"))
    assert world.until(lambda: bool(world.told(EventKind.DRIFT_SEEN)))
    world.git.merge(LATER)
    world.pass_(60)
    assert config(world, "dev-1")["greeting"] == "by hand" and world.image("dev-1") == image(GOOD)
    assert "FieldConflict" in told(world, EventKind.APPLY_FAILED, "dev")


@pytest.mark.parametrize("how", [("apply",), ("apply", "--server-side"), ("create",)], ids=" ".join)
def test_what_the_real_kubectl_made_is_adopted_and_goes_on(
    how: tuple[str, ...], tmp_path: Path
) -> None:
    world, path = World(drift="report"), tmp_path / "kubeconfig"
    with ClusterServer(world.clusters["dev-1"].store, token="") as server:
        path.write_text(json.dumps(server.kubeconfig("dev-1")))
        kubectl(path, *how, "-f", "-", text=yaml.safe_dump_all(objects(GOOD)))
    world.git.merge({"services/web/web.yaml": LIVE, **pins(GOOD)})
    assert world.until(lambda: world.proven("dev", GOOD))
    assert told(world, EventKind.ADOPTED, "dev")
    world.git.merge(LATER)
    assert world.until(lambda: world.proven("dev", NEXT))
    assert not world.told(EventKind.APPLY_FAILED)
    assert world.image("dev-1") == image(NEXT) and config(world, "dev-1") == {"greeting": "hello"}


def test_what_was_adopted_and_never_delivered_goes_on_with_the_next_release() -> None:
    world = undelivered()
    mend(world)
    assert world.until(lambda: world.proven("staging", NEXT))
    assert "AdoptionDiffers" not in told(world, EventKind.HELD, "staging")
    assert world.image("staging-1") == image(NEXT)
    assert config(world, "staging-1") == {"greeting": "hello"}


def test_what_is_neither_what_was_adopted_nor_what_is_asked_for_is_not_written_over() -> None:
    world = undelivered()
    apply_by_hand(world, "staging-1", GOOD, LIVE.replace("greeting: hello", "greeting: by hand"))
    mend(world)
    world.pass_(60)
    assert "AdoptionDiffers" in told(world, EventKind.HELD, "staging")
    assert config(world, "staging-1") == {"greeting": "by hand", "bye": "bye"}
    assert world.image("staging-1") == image(GOOD)
    apply_by_hand(world, "staging-1", GOOD)
    assert world.until(lambda: world.proven("staging", NEXT))


def test_what_a_person_made_equal_to_what_is_asked_for_is_taken_over_too() -> None:
    world = undelivered()
    apply_by_hand(world, "staging-1", NEXT, MANIFESTS)
    mend(world)
    assert world.until(lambda: world.proven("staging", NEXT))


def test_what_was_adopted_and_never_delivered_can_be_gone_back_to() -> None:
    world = undelivered()
    world.fates[("staging-1", NEXT)] = Fate.CRASH
    mend(world)
    assert world.until(lambda: bool(told(world, EventKind.ROLLED_BACK, "staging")))
    assert world.image("staging-1") == image(GOOD)
    assert config(world, "staging-1") == {"greeting": "hello", "bye": "bye"}


@pytest.mark.parametrize("more", [MORE, LET_GO], ids=["", "and of a guarded kind"])
def test_what_was_adopted_and_is_not_in_the_next_release_is_pruned(more: str) -> None:
    ref = ObjectRef("v1", next(yaml.safe_load_all(more))["kind"], "web", "more")
    world = undelivered(more + LIVE)
    client = world.clusters["staging-1"].client()
    assert client.get(ref) is not None
    mend(world)
    assert world.until(lambda: world.proven("staging", NEXT))
    assert world.until(lambda: client.get(ref) is None)
