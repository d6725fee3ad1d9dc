"""The objects of a simulated cluster as clients read and write them: versions, owners, rules, endings."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from datetime import datetime

from reconciler.model.times import rfc3339
from reconciler.ports.clock import Clock
from reconciler.simulated import answers, ownership
from reconciler.simulated.admission import admit, check_fields, check_patch, defaulted, number
from reconciler.simulated.ending import Endings, is_doomed
from reconciler.simulated.kinds import BUILT_IN, Kind, kinds_of
from reconciler.simulated.ownership import Owner, Owners
from reconciler.simulated.selecting import Selection
from reconciler.simulated.shelf import Key, Logged, Object, Shelf
from reconciler.simulated.trees import copied

Held = tuple[Owners, dict[Owner, str]]
"""Who owns what of an object, and when each of them wrote last."""


class Store:
    """The objects of one cluster; every method may be called from any thread.

    What a write returns is what is stored, which nobody may change in place.

    Args:
        clock: Stamps objects.
        uids: Makes a UID; deterministic in a simulation.
        on_change: Told of the kind of each change.
    """

    def __init__(
        self,
        clock: Clock,
        uids: Callable[[], str] = lambda: str(uuid.uuid4()),
        on_change: Callable[[str], None] = lambda kind: None,
    ) -> None:
        self._clock = clock
        self._uids = uids
        self._shelf = Shelf(on_change)
        self.lock = self._shelf.lock
        self._held: dict[Key, Held] = {}
        self._named = 0
        self.kinds: dict[tuple[str, str], Kind] = {(k.api_version, k.kind): k for k in BUILT_IN}
        self._endings = Endings(self._shelf, clock, self._forget)

    # Reads.

    @property
    def version(self) -> int:
        """The version of the newest change."""
        return self._shelf.version

    @property
    def now(self) -> datetime:
        """The cluster's own wall time, UTC."""
        return self._clock.now()

    def served(self, api_version: str, kind: str) -> Kind | None:
        """Returns a served kind, or None."""
        return self.kinds.get((api_version, kind))

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Returns a copy of an object, or raises 404."""
        found = self._shelf.get(_key(kind, namespace, name))
        if found is None:
            raise answers.not_found(kind.resource, name)
        return copied(found)

    def has(self, kind: Kind, namespace: str, name: str) -> bool:
        """Whether an object is there."""
        return self._shelf.get(_key(kind, namespace, name)) is not None

    def listed(
        self, kind: Kind, namespace: str | None, labels: str = "", fields: str = ""
    ) -> tuple[list[Object], int]:
        """Returns copies of objects of a kind in order of name, and the version they are of."""
        selection = Selection(namespace, labels, fields)
        with self.lock:
            found = self.peek(kind, namespace)
            return [copied(obj) for obj in found if selection.has(obj)], self.version

    def peek(self, kind: Kind, namespace: str | None) -> list[Object]:
        """Returns the stored objects themselves, for controllers, which change none of them in place."""
        return self._shelf.all(kind.group, kind.kind, namespace)

    def seen(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Returns a stored object itself, which nobody may change in place, or None."""
        return self._shelf.get(_key(kind, namespace, name))

    def since(
        self, kind: Kind, version: int, namespace: str | None, labels: str = "", fields: str = ""
    ) -> tuple[list[Logged], int]:
        """Returns the changes of a kind after a version, and the version they lead up to.

        Raises:
            Answer: 410, some of them are forgotten.
        """
        selection = Selection(namespace, labels, fields)
        return self._shelf.since(kind.group, kind.kind, version, selection)

    def wait(self, kind: Kind, version: int, timeout_s: float) -> None:
        """Waits until something may have happened to a kind after a version, or a time is up."""
        self._shelf.wait(kind.group, kind.kind, version, timeout_s)

    def wake(self) -> None:
        """Ends every wait."""
        self._shelf.wake()

    def forget(self) -> None:
        """Forgets all changes so far, so that every watch from before them is too old."""
        self._shelf.forget()

    def moved(self) -> dict[str, int]:
        """Returns the version of the newest change of each namespace; what has none is in the empty one."""
        return self._shelf.versions

    # Writes.

    def create(
        self, obj: Object, manager: str, *, dry_run: bool = False, strict: bool = False
    ) -> Object:
        """Creates an object; `strict` refuses unknown fields instead of dropping them."""
        with self.lock:
            kind = self._kind(obj)
            if strict:
                check_fields(kind, obj)
            new = _without_status(kind, obj)
            if not new["metadata"].get("name") and new["metadata"].get("generateName"):
                self._named += 1
                suffix = hashlib.sha256(str(self._named).encode()).hexdigest()[:5]
                new["metadata"]["name"] = f"{new['metadata']['generateName']}{suffix}"
            key = self._key_of(kind, new)
            if self._shelf.get(key) is not None:
                raise answers.already_exists(kind.resource, key.name)
            self._check_namespace(kind, key)
            new = defaulted(new)
            admit(kind, new, None)
            writer = Owner("Update", manager)
            owners = ownership.written({}, new, {}, writer)
            return self._put(kind, key, new, ({}, {}), owners, writer, dry_run=dry_run)

    def replace(
        self,
        obj: Object,
        manager: str,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
        strict: bool = False,
    ) -> Object:
        """Replaces an object, or only its status; who owns what is as the object says, where it says so."""
        with self.lock:
            kind = self._kind(obj)
            if strict:
                check_fields(kind, obj)
            key = self._key_of(kind, obj)
            was = self._shelf.get(key)
            if was is None:
                raise answers.not_found(kind.resource, key.name)
            _check_version(kind, was, obj["metadata"])
            if subresource == "status":
                # The rest is what it was: what is stored is never changed in place.
                new = {**was, "metadata": dict(was["metadata"])}
                new["status"] = copied(obj.get("status") or {})
            else:
                new = defaulted(_with_status_of(kind, obj, was))
            admit(kind, new, was)
            held = self._held.get(key, ({}, {}))
            given = obj["metadata"].get("managedFields")
            if given and not subresource and given != was["metadata"]["managedFields"]:
                held = ownership.read(given)
            writer = Owner("Update", manager, subresource or "")
            owners = ownership.written(was, new, held[0], writer)
            return self._put(kind, key, new, held, owners, writer, dry_run=dry_run)

    def apply(
        self,
        obj: Object,
        manager: str,
        *,
        force: bool,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply."""
        with self.lock:
            kind = self._kind(obj)
            check_patch(kind, obj)
            key = self._key_of(kind, obj)
            was = self._shelf.get(key)
            desired = _named(kind, obj)
            if was is None:
                self._check_namespace(kind, key)
            else:
                _check_version(kind, was, desired["metadata"])
            desired["metadata"].pop("resourceVersion", None)
            held = self._held.get(key, ({}, {}))
            merged, owners = ownership.applied(was or {}, desired, held[0], manager, force=force)
            new = defaulted(merged)
            admit(kind, new, was)
            writer = Owner("Apply", manager)
            return self._put(kind, key, new, held, owners, writer, dry_run=dry_run)

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
        with self.lock:
            key = _key(kind, namespace, name)
            found = self._shelf.get(key)
            if found is None:
                raise answers.not_found(kind.resource, name)
            if uid and found["metadata"]["uid"] != uid:
                raise answers.precondition(kind.resource, name, "UID", uid, found)
            if version and found["metadata"]["resourceVersion"] != version:
                raise answers.precondition(kind.resource, name, "ResourceVersion", version, found)
            return self._endings.begin(key, orphan=orphan)

    # Inside.

    def _put(
        self,
        kind: Kind,
        key: Key,
        new: Object,
        held: Held,
        owners: Owners,
        writer: Owner,
        *,
        dry_run: bool,
    ) -> Object:
        was = self._shelf.get(key)
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
        number(kind, new, was)
        times = dict(held[1])
        if was is None or _content(new) != _content(was) or owners != held[0]:
            times[writer] = now
        times = {owner: times.get(owner, now) for owner in owners}
        meta["managedFields"] = ownership.managed_fields(owners, times, kind.api_version)
        if was is not None:
            meta["resourceVersion"] = was["metadata"]["resourceVersion"]
            if new == was:
                return was
        if dry_run:
            meta.setdefault("resourceVersion", str(self.version))
            return new
        self._held[key] = owners, times
        if _is_definition(key):
            self._define(new)
        stored = self._shelf.put(key, new)
        return self._endings.go_on(key) if is_doomed(new) else stored

    def _define(self, definition: Object) -> None:
        served = kinds_of(definition)
        for kind in list(self.kinds.values()):
            if kind.definition is not None and kind.resource == definition["metadata"]["name"]:
                del self.kinds[(kind.api_version, kind.kind)]
        for kind in served:
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

    def _forget(self, key: Key) -> None:
        """Called for each object that is gone."""
        self._held.pop(key, None)
        if _is_definition(key):
            for kind in [k for k in self.kinds.values() if k.resource == key.name]:
                del self.kinds[(kind.api_version, kind.kind)]

    def _kind(self, obj: Object) -> Kind:
        kind = self.kinds.get((str(obj.get("apiVersion")), str(obj.get("kind"))))
        if kind is None:
            raise answers.no_such_path()
        return kind

    def _key_of(self, kind: Kind, obj: Object) -> Key:
        meta = obj.get("metadata") or {}
        namespace = str(meta.get("namespace") or "")
        if kind.namespaced != bool(namespace):
            raise answers.bad_request("the namespace of the object does not fit its kind")
        if not meta.get("name"):
            why = "Required value: name or generateName is required"
            raise answers.invalid(kind.kind, "", [("metadata.name", why)])
        return _key(kind, namespace, str(meta["name"]))

    def _check_namespace(self, kind: Kind, key: Key) -> None:
        if not kind.namespaced:
            return
        space = self._shelf.get(Key("", "Namespace", "", key.namespace))
        if space is None:
            raise answers.not_found("namespaces", key.namespace)
        if "deletionTimestamp" in space["metadata"]:
            raise answers.terminating(kind.resource, key.name, key.namespace)


def _check_version(kind: Kind, was: Object, meta: Object) -> None:
    version, uid = meta.get("resourceVersion"), meta.get("uid")
    if uid and uid != was["metadata"]["uid"]:
        raise answers.precondition(kind.resource, was["metadata"]["name"], "UID", uid, was)
    if version and version != was["metadata"]["resourceVersion"]:
        raise answers.modified(kind.resource, was["metadata"]["name"])


def _key(kind: Kind, namespace: str, name: str) -> Key:
    return Key(kind.group, kind.kind, namespace if kind.namespaced else "", name)


def _is_definition(key: Key) -> bool:
    return key[:2] == ("apiextensions.k8s.io", "CustomResourceDefinition")


def _named(kind: Kind, obj: Object) -> Object:
    """Returns what of an object a client may write; what it holds is still the client's own."""
    new = dict(obj)
    new["metadata"] = dict(new.get("metadata") or {})
    new["metadata"].pop("managedFields", None)
    if kind.has_status:
        new.pop("status", None)
    return new


def _without_status(kind: Kind, obj: Object) -> Object:
    return copied(_named(kind, obj))


def _with_status_of(kind: Kind, obj: Object, was: Object) -> Object:
    new = _without_status(kind, obj)
    if kind.has_status and "status" in was:
        new["status"] = was["status"]
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
