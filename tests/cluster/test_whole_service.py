"""Services of many kinds of objects: applied in the order that they need, and pruned behind guards.

What is checked is the API server's audit log, not our word. One cluster is enough to see it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.objects import KubeObject
from tests.cluster.audit import proven_at, received_at
from tests.cluster.fleet import Fleet, fleet, holds_for
from tests.contract.kube_fronts import config_map, real
from tests.contract.kube_objects import Object, definition, ref, thing
from tests.controlplane.cluster import ControlPlane
from tests.system import envrepo

GOOD, NEXT = "1.0.0", "1.1.0"
CLUSTER = "dev-1"
QUIET_S = 3.0

LAYERS = (
    {"customresourcedefinitions"},
    {"namespaces"},
    {"serviceaccounts", "roles", "rolebindings"},
    {"configmaps", "secrets", "persistentvolumeclaims"},
    {"services"},
    {"deployments", "statefulsets"},
    {"things"},
)
"""What must be there before the next is applied."""

VOLUME = {
    "accessModes": ["ReadWriteOnce"],
    "storageClassName": "",
    "capacity": {"storage": "1Gi"},
    "hostPath": {"path": "/nowhere"},
}
"""For the one claim; whoever claims it names it."""

GUARDED = {
    "CustomResourceDefinition",
    "Namespace",
    "PersistentVolumeClaim",
    "StatefulSet",
}


@pytest.fixture
def made(planes: dict[str, ControlPlane], tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose daemon is not started; what lies outside of its namespaces goes at the end, too."""
    plane = planes[CLUSTER]
    with fleet(planes, tmp_path) as it:
        volumes = "/api/v1/persistentvolumes"
        plane.request("POST", volumes, obj("", "v1", "PersistentVolume", it.name, spec=VOLUME))
        yield it
        claim = f"/api/v1/namespaces/{it.name}/persistentvolumeclaims/{it.name}"
        # No controller here takes these off, and they would hold what bears them for ever.
        for path in filter(plane.find, (claim, f"{volumes}/{it.name}")):
            plane.request("PATCH", path, {"metadata": {"finalizers": None}})
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for path in (
            f"{volumes}/{it.name}",
            f"{crds}/things.{it.name}.example.com",
            f"/api/v1/namespaces/{it.name}-more",
        ):
            if plane.find(path) is not None:
                plane.request("DELETE", path)


def test_objects_are_applied_in_the_order_that_they_need_and_go_only_behind_guards(
    made: Fleet, tmp_path: Path
) -> None:
    few, many = f"few-{made.name}", f"many-{made.name}"
    services = (made.service, few, many)
    objects = more(made)
    left_out = {
        f"services/{made.service}/more.yaml": objects,
        f"services/{few}/more.yaml": config_maps(few, 4),
        f"services/{many}/more.yaml": config_maps(many, 21),
    }
    named = [
        f"{o['kind']}/{o['metadata']['name']}" for o in objects if "namespace" not in o["metadata"]
    ]
    text = envrepo.service(made.name) + f"cluster_scoped: {json.dumps(named)}\n"
    files = envrepo.env_repo(services, made.name, policy_text=envrepo.policy(soak_s=0.3))
    files[f"services/{made.service}/service.yaml"] = text.encode()
    files[f"services/{many}/kept.yaml"] = manifest(config_maps("kept", 20))
    files |= {path: manifest(every) for path, every in left_out.items()}
    made.merge({**files, **pins(services, GOOD)}, "the env repo")
    made.daemon.start()
    made.daemon.until(lambda: all_proven(made, services, GOOD), "all of it is proven")
    in_layers(made, {obj["metadata"]["name"] for obj in objects} | {made.service})

    api = real(made.planes[CLUSTER], tmp_path).api
    was = {ref(obj): api.get(ref(obj)) for obj in objects}
    assert None not in was.values()
    made.merge({**dict.fromkeys(left_out), **pins(services, NEXT)}, "release 1.1.0")
    made.daemon.until(lambda: all_proven(made, services, NEXT), "the next release is proven")
    gone = {one for one in was if one.kind not in GUARDED}
    made.daemon.until(lambda: not any(api.get(one) for one in gone), "what may go is gone")
    made.daemon.until(lambda: told(made, few) and told(made, many), "what may not go is told")
    holds_for(QUIET_S, lambda: made.daemon.is_running)

    deletes = {}
    for entry in made.writes(CLUSTER):
        if entry["verb"] == "delete" and entry["objectRef"].get("namespace") != made.namespace:
            assert received_at(entry) > proven_at(made, "dev", NEXT)
            asked = entry["requestObject"]["preconditions"]
            deletes[asked["uid"]] = asked["resourceVersion"]
    metas = [seen["metadata"] for one, seen in was.items() if one in gone and seen is not None]
    assert deletes == {meta["uid"]: meta["resourceVersion"] for meta in metas}
    kept = [one for one in was if one.kind in GUARDED]
    assert all(api.get(one) for one in kept)
    assert sorted(told(made, made.service)) == sorted(
        f'{one}: {one.kind} is only deleted with `reconciler.dev/prune: "true"` from the env repo'
        for one in kept
    )
    assert {text.partition(": ")[2] for text in told(made, few)} == {
        "4 of 7 objects would go at once, which is more than half"
    }
    assert {text.partition(": ")[2] for text in told(made, many)} == {
        "21 objects would go at once, and 20 are allowed"
    }


def in_layers(made: Fleet, names: set[str]) -> None:
    """Checks in which order objects of these names came to be there."""
    first: dict[tuple[str, ...], str] = {}
    for entry in made.writes(CLUSTER):
        ref = entry["objectRef"]
        is_its = ref["name"] in names and ref.get("namespace") != made.namespace
        if is_its and entry["responseStatus"]["code"] < 300:
            place = (ref["resource"], ref.get("namespace", ""), ref["name"])
            first.setdefault(place, ref["resource"])
    order = [next(n for n, layer in enumerate(LAYERS) if r in layer) for r in first.values()]
    assert order == sorted(order), list(first)
    assert set(first.values()) == set().union(*LAYERS)


def more(made: Fleet) -> tuple[Object, ...]:
    """Returns objects of a service beside its workload; what needs others stands before them."""
    name, group = made.name, f"{made.name}.example.com"
    rbac = "rbac.authorization.k8s.io"
    account = {"kind": "ServiceAccount", "name": name, "namespace": name}
    role = {"apiGroup": rbac, "kind": "Role", "name": name}
    template = {
        "metadata": {"labels": {"app": "kept"}},
        "spec": {"containers": [{"name": "a", "image": envrepo.image_name(made.service)}]},
    }
    stateful = {
        "selector": {"matchLabels": {"app": "kept"}},
        "serviceName": "a",
        "template": template,
    }
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    reads = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    return (
        thing(name, group, size=1),
        obj(name, "apps/v1", "StatefulSet", spec=stateful),
        obj(name, "v1", "PersistentVolumeClaim", spec=claim),
        obj(name, "v1", "Secret", stringData={"a": "b"}),
        obj(f"{name}-more", "v1", "ConfigMap", name, data={"a": "b"}),
        obj(name, f"{rbac}/v1", "RoleBinding", roleRef=role, subjects=[account]),
        obj(name, f"{rbac}/v1", "Role", rules=[reads]),
        obj(name, "v1", "ServiceAccount"),
        obj("", "v1", "Namespace", f"{name}-more"),
        definition(group),
    )


def obj(namespace: str, api_version: str, kind: str, name: str = "", **rest: Any) -> Object:
    where = {"namespace": namespace} if namespace else {}
    metadata = {"name": name or namespace, **where}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def config_maps(name: str, count: int) -> tuple[Object, ...]:
    return tuple({**config_map(""), "metadata": {"name": f"{name}-{n}"}} for n in range(count))


def manifest(objects: Iterable[KubeObject]) -> bytes:
    """Returns objects as a file of the env repo."""
    return "---\n".join(f"{json.dumps(obj)}\n" for obj in objects).encode()


def pins(services: Iterable[str], version: str) -> dict[str, bytes | None]:
    return {
        path: text
        for service in services
        for path, text in envrepo.pins(service, version, environments=["dev"]).items()
    }


def all_proven(made: Fleet, services: Iterable[str], version: str) -> bool:
    cells = [made.daemon.cell(service, "dev") for service in services]
    return all(cell and (cell["last_proven"] or {}).get("version") == version for cell in cells)


def told(made: Fleet, service: str) -> list[str]:
    """Returns what was said of each object of a service that was kept."""
    return [str(told["message"]) for told in made.daemon.logged("PruneHeld", service=service)]
