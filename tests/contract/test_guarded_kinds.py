"""What lets an object of a guarded kind go: the annotation as we applied it, whoever else wrote it, on every front."""

from __future__ import annotations

import pytest

from reconciler.core.pruning import PRUNE_ANNOTATION, plan_prune
from tests.contract.kube_fronts import Front, kubectl
from tests.contract.kube_objects import Object, ref


def claim(space: str, annotation: Object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "a", "namespace": space, "annotations": annotation},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": space,
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def annotate_by_hand(front: Front, space: str) -> None:
    """By the real kubectl, where there is something that it can connect to."""
    if front.kubeconfig is not None:
        asked = ("pvc", "a", "-n", space, "--overwrite", f"{PRUNE_ANNOTATION}=true")
        kubectl(front.kubeconfig, "annotate", *asked)
        return
    found = dict(front.api.get(ref(claim(space, {}))) or {})
    metadata = found["metadata"]
    annotations = {**metadata.get("annotations", {}), PRUNE_ANNOTATION: "true"}
    front.somebody_replaces({**found, "metadata": {**metadata, "annotations": annotations}})


BY_HAND = "by hand"


@pytest.mark.parametrize(
    ("case", "steps", "goes"),
    [
        ("it was applied", ["true"], True),
        ("another word was applied", ["false"], False),
        ("a person wrote it", [None, BY_HAND], False),
        ("a person wrote it over another word", ["false", BY_HAND], False),
        ("a person wrote it, and then it was applied", [None, BY_HAND, "true"], True),
        ("it was applied, and left out later", ["true", None], False),
        ("a person holds on to it", [None, BY_HAND, "true", None], False),
    ],
)
def test_only_what_was_applied_lets_an_object_go(
    case: str, steps: list[str | None], goes: bool, front: Front, space: str
) -> None:
    one = ref(claim(space, {}))
    for step in steps:
        if step == BY_HAND:
            annotate_by_hand(front, space)
            continue
        annotation = {} if step is None else {PRUNE_ANNOTATION: step}
        front.api.apply(claim(space, {"a": "b", **annotation}), force=False, dry_run=False)
    found = front.api.get(one)
    assert found is not None
    if BY_HAND in steps:
        assert found["metadata"]["annotations"][PRUNE_ANNOTATION] == "true"
    plan = plan_prune({one}, (), live=lambda _: found, is_ours=lambda _: True)
    assert plan.delete == ((one,) if goes else ()), case
    assert bool(plan.kept) is not goes, case
