"""What is live on one cluster, as the watches have last told it; indexed by name and by owner."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from reconciler.core.assembly import ENVIRONMENT_LABEL, SERVICE_LABEL
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import Change, WatchEvent
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.executor.suspending import tell_suspension

Kind = tuple[str, str]
"""apiVersion and kind."""

PODS: Kind = ("v1", "Pod")
REPLICA_SETS: Kind = ("apps/v1", "ReplicaSet")
LOOKED_THROUGH = (PODS, REPLICA_SETS)
"""Made by the cluster's controllers, without our labels, so every one of them is watched."""

_OWNER_STEPS_MAX = 3
"""Pod, ReplicaSet, Deployment; a longer chain is not one that we look through."""


class Watched(Protocol):
    """One kind under watch."""

    @property
    def is_fresh(self) -> bool:
        """Whether it has been listed whole and heard of lately."""
        ...

    @property
    def heard_s(self) -> float | None:
        """Monotonic time of the last word; None before the first list."""
        ...

    @property
    def fresh_until_s(self) -> float:
        """Monotonic time at which it is fresh no more, unless more is heard."""
        ...


StartWatch = Callable[[Kind, str, Callable[[WatchEvent], None], Callable[[], None]], Watched]
"""Starts a watch of a kind under a label selector: the first callback is handed every change, the
second is called when what was seen counts again, after the first list and after a gap."""


class LiveObjects:
    """Our objects of one cluster, and the Pods and ReplicaSets below them.

    Written to by the watches and read by the executor, each in a thread of its own.

    Args:
        cluster: Its name.
        start: Starts a watch.
        on_change: Told of each cell whose objects changed.
        on_fresh: Called when a kind has been listed, or is heard of again after a gap.
    """

    def __init__(
        self,
        cluster: ClusterName,
        start: StartWatch,
        on_change: Callable[[CellKey], None],
        on_fresh: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._start = start
        self._on_change = on_change
        self._on_fresh = on_fresh
        self._lock = threading.RLock()
        self._watched: dict[Kind, Watched] = {}
        self._objects: dict[ObjectRef, KubeObject] = {}
        self._by_uid: dict[str, KubeObject] = {}
        self._children: dict[str, dict[ObjectRef, KubeObject]] = {}

    def watch(self, kinds: Iterable[Kind]) -> None:
        """Sees to it that kinds are watched from now on."""
        for kind in sorted(kinds):
            with self._lock:
                if kind in self._watched:
                    continue
                selector = "" if kind in LOOKED_THROUGH else SERVICE_LABEL
                self._watched[kind] = self._start(kind, selector, self._note, self._on_fresh)

    def is_fresh(self, kinds: Iterable[Kind]) -> bool:
        """Whether all of these have been listed and heard of lately; one not watched has not."""
        with self._lock:
            watched = [self._watched.get(kind) for kind in kinds]
        return all(w is not None and w.is_fresh for w in watched)

    def stale(self) -> frozenset[Kind]:
        """Returns the watched kinds of which nothing was heard lately, or not yet."""
        with self._lock:
            watched = list(self._watched.items())
        return frozenset(kind for kind, one in watched if not one.is_fresh)

    def heard_s(self, kinds: Iterable[Kind]) -> float:
        """Returns when all of some watched kinds were last heard of."""
        with self._lock:
            heard = [self._watched[kind].heard_s for kind in kinds if kind in self._watched]
        return min((s if s is not None else float("-inf") for s in heard), default=float("-inf"))

    def fresh_until_s(self) -> float:
        """Returns when the first of the kinds that are fresh now is fresh no more."""
        with self._lock:
            fresh = [one.fresh_until_s for one in self._watched.values() if one.is_fresh]
        return min(fresh, default=float("inf"))

    def get(self, ref: ObjectRef) -> KubeObject | None:
        """Returns what was last seen of an object, or None; only `is_fresh` makes None mean gone."""
        with self._lock:
            return self._objects.get(ref)

    def get_of(self, obj: KubeObject) -> KubeObject | None:
        """Returns what was last seen of the object that another one, such as a manifest, names."""
        return self.get(ObjectRef.of(obj))

    def family(self, obj: KubeObject) -> tuple[KubeObject, ...]:
        """Returns everything below an object by owner: its ReplicaSets and its Pods."""
        found: list[KubeObject] = []
        with self._lock:
            uids = [str(obj["metadata"].get("uid", ""))]
            for _ in range(_OWNER_STEPS_MAX):
                children = [c for uid in uids for c in self._children.get(uid, {}).values()]
                found.extend(children)
                uids = [str(c["metadata"].get("uid", "")) for c in children]
        return tuple(found)

    def note_written(self, obj: KubeObject) -> None:
        """Takes the server's answer to a write of ours, unless a watch has told of a later one."""
        with self._lock:
            was = self._objects.get(ObjectRef.of(obj))
            if was is None or _version(was) < _version(obj):
                self._put(obj)

    def _note(self, event: WatchEvent) -> None:
        if event.change is Change.BOOKMARK:
            return
        obj = _slim(event.object)
        with self._lock:
            cell = self._cell_of(obj)
            ref = ObjectRef.of(obj)
            was = self._objects.get(ref)
            if event.change is Change.DELETED:
                # Of what was made again since, a late word of the former one's end says nothing.
                if was is None or _version(was) <= _version(obj):
                    self._drop(ref)
            elif was is None or _uid(was) != _uid(obj) or _version(was) <= _version(obj):
                self._put(obj)
        if cell is not None:
            self._on_change(cell)

    def _put(self, obj: KubeObject) -> None:
        ref = ObjectRef.of(obj)
        tell_suspension(obj, self._objects.get(ref), cluster=self._cluster)
        self._drop(ref)
        self._objects[ref] = obj
        self._by_uid[_uid(obj)] = obj
        owner = _owner_uid(obj)
        if owner:
            self._children.setdefault(owner, {})[ref] = obj

    def _drop(self, ref: ObjectRef) -> None:
        was = self._objects.pop(ref, None)
        if was is None:
            return
        self._by_uid.pop(_uid(was), None)
        owner = _owner_uid(was)
        siblings = self._children.get(owner, {})
        siblings.pop(ref, None)
        if not siblings:
            self._children.pop(owner, None)

    def _cell_of(self, obj: KubeObject) -> CellKey | None:
        above: KubeObject | None = obj
        for _ in range(_OWNER_STEPS_MAX):
            if above is None:
                return None
            cell = cell_of(above)
            if cell is not None:
                return cell
            above = self._by_uid.get(_owner_uid(above))
        return None


def cell_of(obj: KubeObject) -> CellKey | None:
    """Returns the service and environment that an object's labels name, or None."""
    labels = obj["metadata"].get("labels") or {}
    service, environment = labels.get(SERVICE_LABEL), labels.get(ENVIRONMENT_LABEL)
    if not service or not environment:
        return None
    return ServiceName(str(service)), EnvironmentName(str(environment))


def _slim(obj: KubeObject) -> KubeObject:
    """Pods and ReplicaSets are many, and of those that controllers make nobody asks who wrote what."""
    is_made = (obj.get("apiVersion"), obj.get("kind")) in LOOKED_THROUGH and cell_of(obj) is None
    if not is_made:
        return obj
    metadata = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    return {**obj, "metadata": metadata}


def _uid(obj: KubeObject) -> str:
    return str(obj["metadata"].get("uid", ""))


def _owner_uid(obj: KubeObject) -> str:
    owners = obj["metadata"].get("ownerReferences") or []
    return next((str(o.get("uid", "")) for o in owners if o.get("controller")), "")


def _version(obj: KubeObject) -> int:
    """resourceVersions of one kind can be compared as numbers.

    Source: Kubernetes 1.35, KEP-5504 "Comparable Resource Version".
    """
    text = str(obj["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0
