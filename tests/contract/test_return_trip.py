"""What is said to come back, and not, is what a real API server lets through: each kind, out and back again."""

from __future__ import annotations

import copy
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from reconciler.core.fixed_fields import FIXED
from reconciler.core.return_trip import one_ways
from reconciler.errors import Refused
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import KubeApi
from tests.conftest import PLANES
from tests.contract.kube_bases import BASES, CLUSTER_SCOPED, Object
from tests.contract.kube_changes import CHANGES, DROP
from tests.contract.kube_fronts import Front, real

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Front:
    return real(request.getfixturevalue(PLANES)["dev-1"], tmp_path_factory.mktemp("trip"))


def _id(case: tuple[str, dict[str, Any]]) -> str:
    kind, changes = case
    said = ", ".join(f"{path} {'left out' if v is DROP else v}" for path, v in changes.items())
    return f"{kind}: {said}"[:100]


@pytest.mark.parametrize(("kind", "changes"), CHANGES, ids=map(_id, CHANGES))
def test_what_comes_back_is_what_the_server_lets_go_out_and_back(
    kind: str, changes: dict[str, Any], server: Front
) -> None:
    old = _named(BASES[kind], server.api)
    new = _changed(old, changes)
    server.api.apply(old, force=True, dry_run=False)
    _as_in_use(old, server)
    is_refused = _refuses(server.api, new) or _goes_and_is_refused_back(new, old, server)
    assert bool(one_ways([new], [old])) is is_refused


def test_every_kind_of_the_table_is_tried_with_each_of_its_fields() -> None:
    tried = {(_group(BASES[kind]), BASES[kind]["kind"], path) for kind, c in CHANGES for path in c}
    named = {
        (group, kind, field.path) for (group, kind), fields in FIXED.items() for field in fields
    }
    sources = {(g, k, p) for g, k, p in named if k == "PersistentVolume" and p != "spec.volumeMode"}
    missing = {
        one
        for one in named - sources
        if not any(t[:2] == one[:2] and t[2].startswith(one[2]) for t in tried)
    }
    # What cannot be written over a Job or a claim that is in use by hand.
    assert missing <= {
        ("batch", "Job", "spec.selector"),
        ("", "PersistentVolumeClaim", "spec.volumeName"),
        ("", "PersistentVolumeClaim", "spec.dataSourceRef"),
    }


def _group(obj: Object) -> str:
    return str(obj["apiVersion"]).rpartition("/")[0]


def _named(base: Object, api: KubeApi) -> Object:
    """Returns an object of the test's own, in a namespace of its own."""
    space = f"trip-{uuid.uuid4().hex[:8]}"
    obj: Object = copy.deepcopy(base)
    name = f"things.{space}.example.com" if obj["kind"] == "CustomResourceDefinition" else space
    obj["metadata"] = {"name": name}
    if obj["kind"] not in CLUSTER_SCOPED:
        api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
        obj["metadata"]["namespace"] = space
    return dict(_filled(obj, {"SPACE": space, "GROUP": f"{space}.example.com"}))


def _filled(tree: Any, words: Mapping[str, str]) -> Any:
    if isinstance(tree, dict):
        return {key: _filled(value, words) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_filled(item, words) for item in tree]
    return words.get(tree, tree) if isinstance(tree, str) else tree


def _changed(old: Object, changes: Mapping[str, Any]) -> Object:
    new: Object = copy.deepcopy(old)
    for path, value in changes.items():
        *above, last = path.split(".")
        at = new
        for name in above:
            at = at.setdefault(name, {})
        if value is DROP:
            del at[last]
        else:
            at[last] = copy.deepcopy(value)
    return new


def _refuses(api: KubeApi, obj: Object) -> bool:
    try:
        api.apply(obj, force=True, dry_run=True)
    except Refused:
        return True
    return False


def _goes_and_is_refused_back(new: Object, old: Object, server: Front) -> bool:
    server.api.apply(new, force=True, dry_run=False)
    _as_in_use(new, server)
    return _refuses(server.api, old)


def _as_in_use(obj: Object, server: Front) -> None:
    """Has a claim bound and as large as it asks to be, and a definition established, as controllers would."""
    if obj["kind"] == "PersistentVolumeClaim":
        _class_that_lets_grow(obj, server.api)
        _with_status(
            obj,
            server,
            lambda live: {
                **live,
                "status": {
                    "phase": "Bound",
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": obj["spec"]["resources"]["requests"]["storage"]},
                },
            },
        )
    if obj["kind"] == "CustomResourceDefinition":
        until_s = time.monotonic() + 30.0
        while not _is_established(server.api, obj):
            assert time.monotonic() < until_s
            time.sleep(0.05)


def _class_that_lets_grow(claim: Object, api: KubeApi) -> None:
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": claim["metadata"]["namespace"]},
        "provisioner": "example.com/a",
        "allowVolumeExpansion": True,
    }
    api.apply(storage_class, force=True, dry_run=False)


def _with_status(obj: Object, server: Front, change: Callable[[KubeObject], KubeObject]) -> None:
    live = server.api.get(ObjectRef.of(obj))
    assert live is not None
    server.api.replace(change(live), subresource="status")


def _is_established(api: KubeApi, obj: Object) -> bool:
    live = api.get(ObjectRef.of(obj)) or {}
    conditions = (live.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
