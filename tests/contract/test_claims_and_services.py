"""PersistentVolumeClaims and Services: what is said of them, and what becomes of a StatefulSet's own claims."""

from __future__ import annotations

from contextlib import suppress

import pytest

from reconciler.core.health import assess
from reconciler.errors import NotServed
from reconciler.model.health import HealthStatus
from reconciler.model.objects import KubeObject
from tests.contract.kube_fronts import Front
from tests.contract.kube_objects import Object, delete, ref, until

CURRENT = (HealthStatus.CURRENT, "")
IN_PROGRESS = HealthStatus.IN_PROGRESS


def asked(space: str) -> Object:
    """Returns what a claim asks for; its class is the test's own, so that nobody else's volume fits."""
    return {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": space,
        "resources": {"requests": {"storage": "1Gi"}},
    }


def claim(space: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "a", "namespace": space},
        "spec": asked(space),
    }


def service(space: str, type_: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a", "namespace": space},
        "spec": {"type": type_, "selector": {"app": "a"}, "ports": [{"port": 80}]},
    }


def keeper(space: str) -> Object:
    """Returns a StatefulSet with a claim for each of its two Pods."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "a", "namespace": space},
        "spec": {
            "replicas": 2,
            "serviceName": "a",
            "selector": {"matchLabels": {"app": "a"}},
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "a", "image": "example.com/a:1"}]},
            },
            "volumeClaimTemplates": [
                {"metadata": {"name": "data", "labels": {"b": "c"}}, "spec": asked(space)}
            ],
        },
    }


def offer(front: Front, space: str, count: int) -> None:
    """Makes volumes before they are claimed; simulated clusters serve none, and bind every claim."""
    for number in range(count):
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{space}-{number}"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
                "storageClassName": space,
                "hostPath": {"path": f"/nowhere/{space}-{number}"},
            },
        }
        with suppress(NotServed):
            front.api.create(volume)


def found(front: Front, obj: KubeObject) -> KubeObject:
    there = front.api.get(ref(obj))
    assert there is not None
    return there


def judged(front: Front, obj: KubeObject) -> tuple[HealthStatus, str]:
    space = obj["metadata"]["namespace"]
    pods = front.api.list("v1", "Pod", namespace=space, label_selector="").items
    health = assess(found(front, obj), pods)
    return health.status, health.reason


def claims(front: Front, space: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Returns the phase and the labels of each claim, by its name."""
    kind = "PersistentVolumeClaim"
    listing = front.api.list("v1", kind, namespace=space, label_selector="")
    return {
        one["metadata"]["name"]: (one["status"]["phase"], one["metadata"].get("labels") or {})
        for one in listing.items
    }


def test_a_claim_is_in_progress_until_it_is_bound(front: Front, space: str) -> None:
    offer(front, space, 1)
    made = front.api.create(claim(space))
    assert made["status"] == {"phase": "Pending"}
    assert assess(made, ()).reason == "NotBound"
    until(front, lambda: judged(front, claim(space)) == CURRENT)
    assert claims(front, space) == {"a": ("Bound", {})}


def test_a_stateful_set_claims_a_volume_for_each_pod_and_its_claims_outlive_it(
    front: Front, space: str
) -> None:
    offer(front, space, 2)
    obj = keeper(space)
    made = front.api.apply(obj, force=False, dry_run=False)
    until(front, lambda: judged(front, obj) == CURRENT)
    there = {f"data-a-{index}": ("Bound", {"app": "a", "b": "c"}) for index in range(2)}
    assert claims(front, space) == there
    delete(front, made)
    until(
        front,
        lambda: not front.api.list("v1", "Pod", namespace=space, label_selector="").items,
    )
    assert claims(front, space) == there


@pytest.mark.parametrize("type_", ["ClusterIP", "NodePort"])
def test_a_service_without_a_balancer_is_there_at_once(
    type_: str, front: Front, space: str
) -> None:
    made = front.api.create(service(space, type_))
    assert made["status"] == {"loadBalancer": {}}
    assert judged(front, made) == CURRENT


def test_a_service_with_a_balancer_is_in_progress_until_that_has_an_address(
    front: Front, space: str
) -> None:
    made = front.api.create(service(space, "LoadBalancer"))
    assert judged(front, made) == (IN_PROGRESS, "NoLoadBalancer")
    address = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    front.api.replace({**made, "status": address}, subresource="status")
    assert judged(front, made) == CURRENT
