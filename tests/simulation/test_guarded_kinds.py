"""Of the kinds that nobody can render again, a release deletes what the env repo let go, and nothing else."""

from __future__ import annotations

from reconciler.core.pruning import PRUNE_ANNOTATION
from reconciler.model.events import EventKind
from reconciler.model.objects import ObjectRef
from tests.fakes.world import CLUSTERS, MANIFESTS, POLICY, World, pins

GOOD, NEXT = "1.0.0", "1.1.0"
CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: NAME, annotations: {ANNOTATION}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
"""
NAMES = [name for names in CLUSTERS.values() for name in names]


def claim(name: str, annotation: str = "") -> str:
    return CLAIM.replace("NAME", name).replace("ANNOTATION", annotation)


def has(world: World, cluster: str, name: str) -> bool:
    ref = ObjectRef("v1", "PersistentVolumeClaim", "web", name)
    return world.clusters[cluster].client().get(ref) is not None


def annotate_by_hand(world: World, cluster: str, name: str) -> None:
    """Leaves on a cluster what `kubectl annotate` does."""
    store = world.clusters[cluster].store
    kind = store.served("v1", "PersistentVolumeClaim")
    assert kind is not None
    obj = store.get(kind, "web", name)
    obj["metadata"].setdefault("annotations", {})[PRUNE_ANNOTATION] = "true"
    store.replace(obj, "kubectl-annotate")


def test_what_the_env_repo_let_go_goes_and_what_a_person_annotated_stays() -> None:
    world = World()
    text = claim("kept") + claim("released", f'{PRUNE_ANNOTATION}: "true"') + MANIFESTS
    # A claim that goes takes with it what it holds: that is asked for once more, unless the policy accepts it.
    accepts = POLICY.replace("DRIFT", "report, irreversible: accept", 2)
    accepts = accepts.replace("    drift: DRIFT", "    drift: report\n    irreversible: accept")
    world.git.merge({"policies/line.yaml": accepts})
    world.git.merge({"services/web/web.yaml": text, **pins(GOOD)})
    assert world.until(lambda: world.proven("prod", GOOD))
    for cluster in NAMES:
        annotate_by_hand(world, cluster, "kept")
    world.git.merge({"services/web/web.yaml": MANIFESTS, **pins(NEXT)})
    assert world.until(lambda: world.proven("prod", NEXT))
    assert world.until(lambda: not any(has(world, cluster, "released") for cluster in NAMES))
    world.pass_(30)
    assert all(has(world, cluster, "kept") for cluster in NAMES)
    told = world.told(EventKind.PRUNE_HELD)
    assert {event.environment for event in told} == set(CLUSTERS)
    for event in told:
        assert "kept" in event.message and "from the env repo" in event.message
