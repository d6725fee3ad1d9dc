"""Objects that the checks of a cluster's API write, and how they wait for what comes of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.errors import NotServed
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import Propagation
from tests.contract.kube_fronts import Front

WAIT_S = 30.0
"""What a busy machine's controllers may take; they need a fraction of a second."""

Object = dict[str, Any]
Write = Callable[[KubeObject], KubeObject]


def config_map(space: str, name: str = "one", **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": space, "labels": {"a": "b"}},
        "data": data,
    }


def deployment(space: str, *, replicas: int | None = 2, image: str = "example.com/a:1") -> Object:
    spec: Object = {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {
                "containers": [{"name": "a", "image": image, "env": [{"name": "X", "value": "1"}]}]
            },
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": space},
        "spec": spec,
    }


def definition(group: str, plural: str = "things", kind: str = "Thing") -> Object:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {"size": {"type": "integer", "minimum": 1, "maximum": 9}},
            }
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def define(front: Front, request: pytest.FixtureRequest, **spec: Any) -> str:
    """Defines a kind with a spec of this schema until the test ends, and returns its group."""
    crd = defining(**spec)
    group = str(crd["spec"]["group"])
    stored = front.api.create(crd)
    request.addfinalizer(lambda: delete(front, stored))

    def is_served() -> bool:
        try:
            front.api.list(f"{group}/v1", "Thing", namespace=None, label_selector="")
        except NotServed:
            return False
        return True

    until(front, is_served)
    return group


def defining(**spec: Any) -> Object:
    crd = definition(f"g{uuid.uuid4().hex[:8]}.example.com")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"].update(spec)
    return crd


def thing(space: str, group: str, **spec: Any) -> Object:
    return {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "one", "namespace": space},
        "spec": spec,
    }


def ref(obj: KubeObject) -> ObjectRef:
    return ObjectRef.of(obj)


def delete(front: Front, obj: KubeObject, *, version: bool = False) -> None:
    meta = obj["metadata"]
    front.api.delete(
        ref(obj),
        uid=meta["uid"],
        resource_version=meta["resourceVersion"] if version else "",
        propagation=Propagation.BACKGROUND,
    )


def until(front: Front, holds: Callable[[], bool]) -> None:
    """Waits until something holds, and lets the simulated controllers work."""
    end = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < end, "it never came about"
        front.step()
        time.sleep(0.02)


def ways(front: Front) -> dict[str, Write]:
    """Returns the ways to give a new object to a cluster."""
    return {
        "create": front.api.create,
        "apply": lambda obj: front.api.apply(obj, force=False, dry_run=False),
        "dry run": lambda obj: front.api.apply(obj, force=False, dry_run=True),
    }
