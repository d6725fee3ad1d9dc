"""What every controller of a simulated cluster does to the stored objects: look, make Pods, delete, write a status."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from reconciler.model.times import rfc3339
from reconciler.ports.clock import Clock
from reconciler.simulated.kinds import Kind
from reconciler.simulated.store import Store

Object = dict[str, Any]

MANAGER = "kube-controller-manager"

SET_HASH = "controller-revision-hash"
"""The label of a StatefulSet's or a DaemonSet's Pods that tells their template."""

_SHOWN_AT_ZERO = {
    "DaemonSet": frozenset(
        {"currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"}
    ),
    "Job": frozenset({"ready", "terminating"}),
    "ReplicaSet": frozenset({"replicas"}),
    "StatefulSet": frozenset({"availableReplicas", "collisionCount", "replicas"}),
}
"""Counts that a kind's status has even when they are 0; all others are left out then.

Source: k8s.io/api v0.37.2, `apps/v1/types.go` and `batch/v1/types.go`.
"""


class Hands:
    """The hands of one cluster's controllers.

    A controller's step sees all that it writes, so that it may write over what it has just read.

    Args:
        store: The cluster's objects.
        clock: Time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._named = 0

    @property
    def now(self) -> str:
        """The present moment, to the second, as objects have it."""
        return rfc3339(self._clock.now().replace(microsecond=0))

    def listed(self, api_version: str, kind: str, namespace: str | None = None) -> list[Object]:
        """Returns the stored objects of a kind, which nobody may change in place."""
        return self._store.peek(self._kind(api_version, kind), namespace)

    def fresh(self, obj: Object) -> Object | None:
        """Returns an object as it is now, or None where it is gone."""
        found = self.listed(obj["apiVersion"], obj["kind"], obj["metadata"]["namespace"])
        name = obj["metadata"]["name"]
        return next((o for o in found if o["metadata"]["name"] == name), None)

    def owned(self, api_version: str, kind: str, owner: Object) -> list[Object]:
        """Returns the objects of a kind that belong to an owner."""
        uid = owner["metadata"]["uid"]
        return [
            obj
            for obj in self.listed(api_version, kind, owner["metadata"]["namespace"])
            if any(r["uid"] == uid for r in obj["metadata"].get("ownerReferences") or ())
        ]

    def pods(self, owner: Object) -> list[Object]:
        """Returns the Pods of an owner."""
        return self.owned("v1", "Pod", owner)

    def create(self, obj: Object) -> Object:
        """Creates an object."""
        return self._store.create(obj, MANAGER)

    def create_pod(self, owner: Object, labels: dict[str, str], name: str = "") -> None:
        """Creates a Pod of an owner's template.

        Args:
            owner: Its owner.
            labels: Beside the template's own.
            name: The owner's and a suffix by default.
        """
        self._named += 1
        template = owner["spec"]["template"]
        meta = template.get("metadata") or {}
        self.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name or f"{owner['metadata']['name']}-{_suffix(self._named)}",
                    "namespace": owner["metadata"]["namespace"],
                    "labels": {**(meta.get("labels") or {}), **labels},
                    "annotations": meta.get("annotations") or {},
                    "ownerReferences": [owner_of(owner)],
                },
                "spec": {**template["spec"], "nodeName": "node-0"},
            }
        )

    def delete(self, pod: Object) -> None:
        """Deletes a Pod."""
        meta = pod["metadata"]
        self._store.delete(self._kind("v1", "Pod"), meta["namespace"], meta["name"])

    def replace(self, obj: Object) -> Object:
        """Writes over an object."""
        return self._store.replace({**obj, "metadata": _unversioned(obj)}, MANAGER)

    def write_status(self, obj: Object, status: Object, manager: str = MANAGER) -> None:
        """Writes an object's status where it says something else."""
        shown = _SHOWN_AT_ZERO.get(obj["kind"], frozenset())
        now = {k: v for k, v in status.items() if v != 0 or k in shown}
        if obj.get("status") != now:
            self._store.replace(
                {**obj, "metadata": _unversioned(obj), "status": now},
                manager,
                subresource="status",
            )

    def _kind(self, api_version: str, kind: str) -> Kind:
        found = self._store.served(api_version, kind)
        assert found is not None
        return found


def owner_of(obj: Object) -> Object:
    """Returns the reference of what belongs to an object."""
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def digest(template: Object) -> str:
    """Returns what tells a template from others."""
    text = json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def is_ready(pod: Object) -> bool:
    """Whether a Pod's Ready condition is true."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def phase(pod: Object) -> str:
    """Returns the phase of a Pod; a new one is pending."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _suffix(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:5]


def _unversioned(obj: Object) -> Object:
    return {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
