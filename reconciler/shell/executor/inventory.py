"""Which objects a service owns in a cluster, written down before they are made."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from reconciler.errors import InvalidInput
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.times import from_rfc3339, rfc3339
from reconciler.ports.kube import KubeApi
from reconciler.shell.executor.orders import CellKey

INVENTORY_LABEL = "reconciler.dev/inventory"


@dataclass(frozen=True, slots=True)
class Inventory:
    """The objects of one service and environment in one cluster.

    Attributes:
        version: resourceVersion of what was read; empty before it was first written.
        pruned: When objects were deleted by it, and how many, within the last hour.
    """

    refs: frozenset[ObjectRef]
    version: str = ""
    pruned: tuple[tuple[datetime, int], ...] = ()

    def pruned_since(self, at: datetime) -> int:
        """Returns how many objects were deleted by it since some moment."""
        return sum(count for when, count in self.pruned if when >= at)


class Inventories:
    """Inventories of one cluster, each a ConfigMap in the reconciler's own namespace."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    def load(self, key: CellKey) -> Inventory:
        """Returns what is written down; none at all where nothing was ever delivered.

        Raises:
            InvalidInput: It cannot be read; then nothing may be deleted by it.
        """
        found = self._api.get(self._ref(key))
        if found is None:
            return Inventory(frozenset())
        return Inventory(_refs(found), str(found["metadata"]["resourceVersion"]), _pruned(found))

    def save(self, key: CellKey, wanted: Inventory, was: Inventory) -> Inventory:
        """Writes what is owned from now on; Conflict when it is not as it was read."""
        if was.version and (wanted.refs, wanted.pruned) == (was.refs, was.pruned):
            return was
        obj = self._object(key, wanted)
        if was.version:
            obj["metadata"]["resourceVersion"] = was.version
            stored = self._api.replace(obj, subresource=None)
        else:
            stored = self._api.create(obj)
        return replace(wanted, version=str(stored["metadata"]["resourceVersion"]))

    def _object(self, key: CellKey, wanted: Inventory) -> dict[str, Any]:
        rows = [
            {"apiVersion": r.api_version, "kind": r.kind, "namespace": r.namespace, "name": r.name}
            for r in sorted(wanted.refs)
        ]
        pruned = [{"at": rfc3339(at), "count": count} for at, count in wanted.pruned]
        ref = self._ref(key)
        return {
            "apiVersion": ref.api_version,
            "kind": ref.kind,
            "metadata": {
                "name": ref.name,
                "namespace": ref.namespace,
                "labels": {INVENTORY_LABEL: "true"},
            },
            "data": {
                "objects": json.dumps(rows, separators=(",", ":")),
                "pruned": json.dumps(pruned, separators=(",", ":")),
            },
        }

    def _ref(self, key: CellKey) -> ObjectRef:
        service, environment = key
        return ObjectRef("v1", "ConfigMap", self._namespace, f"inventory-{service}.{environment}")


def _refs(obj: KubeObject) -> frozenset[ObjectRef]:
    try:
        rows = json.loads(obj["data"]["objects"])
        return frozenset(
            ObjectRef(row["apiVersion"], row["kind"], row["namespace"], row["name"]) for row in rows
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(obj, error) from error


def _pruned(obj: KubeObject) -> tuple[tuple[datetime, int], ...]:
    try:
        rows = json.loads(obj["data"].get("pruned") or "[]")
        return tuple((from_rfc3339(row["at"]), int(row["count"])) for row in rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(obj, error) from error


def _unreadable(obj: KubeObject, error: Exception) -> InvalidInput:
    meta = obj["metadata"]
    return InvalidInput(
        f"ConfigMap/{meta.get('namespace')}/{meta.get('name')}",
        "the inventory cannot be read",
        f"{type(error).__name__}: {error}",
        "delete it; the next delivery writes it again, and what only it named stays in the cluster",
    )
