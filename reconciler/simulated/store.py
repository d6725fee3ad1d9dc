"""Stored objects with versions, owners and a log to watch: what an API server keeps in etcd."""

from __future__ import annotations

import copy
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.model.times import rfc3339
from reconciler.ports.clock import Clock
from reconciler.simulated import answers, ownership
from reconciler.simulated.admission import admit, defaulted
from reconciler.simulated.kinds import BUILT_IN, Kind, kinds_of

Object = dict[str, Any]
Key = tuple[str, str, str, str]
"""Group, kind, namespace, name."""

LOG_MAX = 20_000
"""Changes remembered for watches; a real API server keeps about five minutes of them."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One change."""

    version: int
    change: str
    kind: tuple[str, str]
    obj: Object


class Store:
    """The objects of one cluster; every method may be called from any thread.

    Args:
        clock: Stamps objects.
        uids: Makes a UID; deterministic in a simulation.
    """

    def __init__(self, clock: Clock, uids: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._clock = clock
        self._uids = uids
        self.changed = threading.Condition(threading.RLock())
        self._objects: dict[Key, Object] = {}
        self._owners: dict[Key, dict[str, ownership.Fields]] = {}
        self._times: dict[Key, dict[str, str]] = {}
        self._log: deque[Logged] = deque(maxlen=LOG_MAX)
        self._forgotten = 0
        self.version = 1
        self.kinds: dict[tuple[str, str], Kind] = {(k.api_version, k.kind): k for k in BUILT_IN}

    # Reads.

    def served(self, api_version: str, kind: str) -> Kind | None:
        """Returns a served kind, or None."""
        return self.kinds.get((api_version, kind))

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Returns a copy of an object, or raises 404."""
        with self.changed:
            found = self._objects.get(_key(kind, namespace, name))
            if found is None:
                raise answers.not_found(kind.resource, name)
            return copy.deepcopy(found)

    def listed(
        self, kind: Kind, namespace: str | None, selector: str = ""
    ) -> tuple[list[Object], int]:
        """Returns copies of all objects of a kind in order of name, and the version they are of."""
        with self.changed:
            found = [
                copy.deepcopy(obj)
                for key, obj in sorted(self._objects.items())
                if key[:2] == (kind.group, kind.kind)
                and (namespace is None or key[2] == namespace)
                and selects(selector, obj)
            ]
            return found, self.version

    def peek(self, kind: Kind, namespace: str | None) -> list[Object]:
        """Returns the stored objects themselves, for controllers, which change none of them in place."""
        with self.changed:
            return [
                obj
                for key, obj in sorted(self._objects.items())
                if key[:2] == (kind.group, kind.kind) and namespace in (None, key[2])
            ]

    def since(
        self, kind: Kind, version: int, namespace: str | None, selector: str
    ) -> tuple[list[Logged], int]:
        """Returns the changes of a kind after a version, and the version they lead up to.

        Raises:
            Answer: 410, some of them are forgotten.
        """
        with self.changed:
            if version < self._forgotten:
                raise answers.expired(version, self._forgotten)
            found = [
                logged
                for logged in self._log
                if logged.version > version
                and logged.kind == (kind.group, kind.kind)
                and (namespace is None or logged.obj["metadata"].get("namespace") == namespace)
                and selects(selector, logged.obj)
            ]
            return found, self.version

    def forget(self) -> None:
        """Forgets all changes so far, so that every watch from before them is too old."""
        with self.changed:
            self._log.clear()
            self._forgotten = self.version
            self.changed.notify_all()

    # Writes.

    def create(self, obj: Object, manager: str, *, dry_run: bool = False) -> Object:
        """Creates an object."""
        with self.changed:
            kind = self._kind(obj)
            key = self._key_of(kind, obj)
            if key in self._objects:
                raise answers.already_exists(kind.resource, key[3])
            self._check_namespace(kind, key)
            new = defaulted(_without_status(kind, obj))
            admit(kind, new, None)
            owners = ownership.written({}, new, {}, manager)
            return self._put(kind, key, new, owners, f"Update/{manager}", dry_run=dry_run)

    def replace(
        self, obj: Object, manager: str, *, subresource: str | None = None, dry_run: bool = False
    ) -> Object:
        """Replaces an object, or only its status."""
        with self.changed:
            kind = self._kind(obj)
            key = self._key_of(kind, obj)
            was = self._objects.get(key)
            if was is None:
                raise answers.not_found(kind.resource, key[3])
            self._check_version(kind, was, obj["metadata"].get("resourceVersion"))
            if subresource == "status":
                new = {**copy.deepcopy(was), "status": copy.deepcopy(obj.get("status") or {})}
            else:
                new = defaulted(_with_status_of(kind, obj, was))
            admit(kind, new, was)
            owners = ownership.written(was, new, self._owners.get(key, {}), manager)
            return self._put(kind, key, new, owners, f"Update/{manager}", dry_run=dry_run)

    def apply(self, obj: Object, manager: str, *, force: bool, dry_run: bool = False) -> Object:
        """Server-side apply."""
        with self.changed:
            kind = self._kind(obj)
            key = self._key_of(kind, obj)
            self._check_namespace(kind, key)
            was = self._objects.get(key)
            desired = _without_status(kind, obj)
            desired["metadata"].pop("resourceVersion", None)
            merged, owners = ownership.applied(
                copy.deepcopy(was or {}), desired, self._owners.get(key, {}), manager, force=force
            )
            new = defaulted(merged)
            admit(kind, new, was)
            return self._put(kind, key, new, owners, f"Apply/{manager}", dry_run=dry_run)

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        version: str = "",
        orphan: bool = False,
    ) -> Object:
        """Deletes an object and, unless they are orphaned, what it owns."""
        with self.changed:
            key = _key(kind, namespace, name)
            found = self._objects.get(key)
            if found is None:
                raise answers.not_found(kind.resource, name)
            if uid and found["metadata"]["uid"] != uid:
                raise answers.modified(kind.resource, name)
            if version and found["metadata"]["resourceVersion"] != version:
                raise answers.modified(kind.resource, name)
            if found["metadata"].get("finalizers"):
                doomed = copy.deepcopy(found)
                doomed["metadata"].setdefault("deletionTimestamp", rfc3339(self._clock.now()))
                return self._store(kind, key, doomed)
            return self._drop(kind, key, orphan=orphan)

    # Inside.

    def _put(
        self,
        kind: Kind,
        key: Key,
        new: Object,
        owners: dict[str, ownership.Fields],
        writer: str,
        *,
        dry_run: bool,
    ) -> Object:
        was = self._objects.get(key)
        meta = new.setdefault("metadata", {})
        now = rfc3339(self._clock.now().replace(microsecond=0))
        if was is None:
            meta["uid"] = self._uids()
            meta["creationTimestamp"] = now
            if kind.has_status or kind.definition is not None:
                meta["generation"] = 1
        else:
            for name in ("uid", "creationTimestamp", "generation"):
                if name in was["metadata"]:
                    meta[name] = was["metadata"][name]
            if "generation" in meta and _spec(new) != _spec(was):
                meta["generation"] += 1
        times = dict(self._times.get(key, {}))
        if was is None or _content(new) != _content(was) or owners != self._owners.get(key):
            times[writer] = now
        times = {owner: times.get(owner, now) for owner in owners}
        meta["managedFields"] = ownership.managed_fields(owners, times, kind.api_version)
        if was is not None:
            meta["resourceVersion"] = was["metadata"]["resourceVersion"]
            if new == was:
                return copy.deepcopy(was)
        if dry_run:
            meta.setdefault("resourceVersion", str(self.version))
            return copy.deepcopy(new)
        self._owners[key], self._times[key] = owners, times
        doomed = meta.get("deletionTimestamp") and not meta.get("finalizers")
        stored = self._store(kind, key, new)
        return self._drop(kind, key, orphan=False) if doomed else stored

    def _store(self, kind: Kind, key: Key, obj: Object) -> Object:
        change = "MODIFIED" if key in self._objects else "ADDED"
        self._objects[key] = obj
        self._log_change(kind, change, obj)
        if (kind.group, kind.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition"):
            self._define(obj)
        return copy.deepcopy(obj)

    def _log_change(self, kind: Kind, change: str, obj: Object) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        if len(self._log) == LOG_MAX:
            self._forgotten = self._log[0].version
        logged = Logged(self.version, change, (kind.group, kind.kind), copy.deepcopy(obj))
        self._log.append(logged)
        self.changed.notify_all()

    def _define(self, definition: Object) -> None:
        for kind in kinds_of(definition):
            self.kinds[(kind.api_version, kind.kind)] = kind
        if "status" not in definition:
            definition["status"] = {
                "conditions": [
                    {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts"},
                    {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"},
                ],
                "acceptedNames": definition["spec"]["names"],
                "storedVersions": [v["name"] for v in definition["spec"]["versions"]],
            }

    def _drop(self, kind: Kind, key: Key, *, orphan: bool) -> Object:
        gone = self._objects.pop(key)
        self._owners.pop(key, None)
        self._times.pop(key, None)
        self._log_change(kind, "DELETED", gone)
        if not orphan:
            for child_kind, child in list(self._below(kind, gone)):
                meta = child["metadata"]
                if _key(child_kind, meta.get("namespace", ""), meta["name"]) in self._objects:
                    self.delete(child_kind, meta.get("namespace", ""), meta["name"])
        return copy.deepcopy(gone)

    def _below(self, kind: Kind, gone: Object) -> Iterator[tuple[Kind, Object]]:
        """Yields what an object owns; a namespace owns all that is in it."""
        uid, name = gone["metadata"]["uid"], gone["metadata"]["name"]
        for (group, kind_name, namespace, _), obj in list(self._objects.items()):
            owners = obj["metadata"].get("ownerReferences") or ()
            inside = kind.kind == "Namespace" and not kind.group and namespace == name
            if inside or any(owner.get("uid") == uid for owner in owners):
                yield self._by_group(group, kind_name), obj

    def _by_group(self, group: str, kind: str) -> Kind:
        return next(k for k in self.kinds.values() if (k.group, k.kind) == (group, kind))

    def _kind(self, obj: Object) -> Kind:
        kind = self.kinds.get((str(obj.get("apiVersion")), str(obj.get("kind"))))
        if kind is None:
            raise answers.Answer(
                404, "NotFound", "the server could not find the requested resource"
            )
        return kind

    def _key_of(self, kind: Kind, obj: Object) -> Key:
        meta = obj.get("metadata") or {}
        namespace = str(meta.get("namespace") or "")
        if kind.namespaced != bool(namespace):
            raise answers.bad_request("the namespace of the object does not fit its kind")
        if not meta.get("name"):
            raise answers.invalid(kind.kind, "", [("metadata.name", "Required value")])
        return _key(kind, namespace, str(meta["name"]))

    def _check_namespace(self, kind: Kind, key: Key) -> None:
        if kind.namespaced and ("", "Namespace", "", key[2]) not in self._objects:
            raise answers.not_found("namespaces", key[2])

    def _check_version(self, kind: Kind, was: Object, version: str | None) -> None:
        if version and version != was["metadata"]["resourceVersion"]:
            raise answers.modified(kind.resource, was["metadata"]["name"])


def selects(selector: str, obj: Object) -> bool:
    """Whether an equality-based or existence label selector chooses an object."""
    labels = obj["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        name, equals, value = term.replace("==", "=").partition("=")
        if equals and labels.get(name) != value:
            return False
        if not equals and name not in labels:
            return False
    return True


def _key(kind: Kind, namespace: str, name: str) -> Key:
    return (kind.group, kind.kind, namespace if kind.namespaced else "", name)


def _without_status(kind: Kind, obj: Object) -> Object:
    new = copy.deepcopy(dict(obj))
    new["metadata"] = dict(new["metadata"])
    new["metadata"].pop("managedFields", None)
    if kind.has_status:
        new.pop("status", None)
    return new


def _with_status_of(kind: Kind, obj: Object, was: Object) -> Object:
    new = _without_status(kind, obj)
    if kind.has_status and "status" in was:
        new["status"] = copy.deepcopy(was["status"])
    if "deletionTimestamp" in was["metadata"]:
        new["metadata"]["deletionTimestamp"] = was["metadata"]["deletionTimestamp"]
    return new


def _spec(obj: Object) -> Object:
    return {k: v for k, v in obj.items() if k not in ("metadata", "status")}


def _content(obj: Object) -> Object:
    meta = {
        k: v
        for k, v in obj["metadata"].items()
        if k not in ("resourceVersion", "managedFields", "generation", "uid", "creationTimestamp")
    }
    return {**{k: v for k, v in obj.items() if k != "metadata"}, "metadata": meta}
