"""A simulated cluster behind the port the shell uses: no socket, no thread, the same errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reconciler.errors import (
    AdmissionDenied,
    Conflict,
    Denied,
    Expired,
    NotServed,
    ReconcilerError,
    Refused,
    Throttled,
    TransientError,
    Unreachable,
)
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import Change, KindInfo, Listing, Propagation, WatchEvent
from reconciler.simulated.answers import NOT_TYPED, Answer
from reconciler.simulated.kinds import Kind
from reconciler.simulated.shelf import Object
from reconciler.simulated.store import Store
from reconciler.simulated.trees import copied


class Missing(Refused):
    """The object is not there; told apart only inside of this front."""


class MemoryKube:
    """One cluster's API; a watch yields what is there and ends, since nothing waits in virtual time.

    Args:
        store: The cluster's objects.
        manager: Our field manager.
        before: Called before each request with its verb and kind; raises the fault to be met there.
        wrote: Called after each write that reached the store, with its verb and the object.
        skew_s: Seconds that the cluster's clock is ahead.
        is_stale: Whether watches tell nothing for now.
    """

    def __init__(
        self,
        store: Store,
        *,
        manager: str = "reconciler",
        before: Callable[[str, str], None] = lambda verb, kind: None,
        wrote: Callable[[str, KubeObject], None] = lambda verb, obj: None,
        skew_s: float = 0.0,
        is_stale: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._manager = manager
        self._before = before
        self._wrote = wrote
        self._skew_s = skew_s
        self._is_stale = is_stale

    @property
    def skew_s(self) -> float | None:
        """Seconds that the cluster's clock is ahead."""
        return self._skew_s

    def kind(self, api_version: str, kind: str) -> KindInfo | None:
        """Returns what is served under this name, or None."""
        self._before("discover", kind)
        found = self._store.served(api_version, kind)
        if found is None:
            return None
        return KindInfo(api_version, kind, found.plural, found.namespaced)

    def get(self, ref: ObjectRef) -> KubeObject | None:
        """Returns an object, or None."""
        self._before("get", ref.kind)
        try:
            return self._store.get(self._kind(ref.api_version, ref.kind), ref.namespace, ref.name)
        except Answer as answer:
            if answer.code == 404:
                return None
            raise translated(str(ref), answer) from answer

    def list(
        self, api_version: str, kind: str, *, namespace: str | None, label_selector: str
    ) -> Listing:
        """Returns every object of a kind."""
        self._before("list", kind)
        found = self._kind(api_version, kind)
        items, version = self._store.listed(found, namespace, label_selector)
        return Listing(tuple(items), str(version))

    def watch(
        self,
        api_version: str,
        kind: str,
        *,
        namespace: str | None,
        label_selector: str,
        resource_version: str,
        timeout_s: float,
    ) -> Iterator[WatchEvent]:
        """Yields what happened since, then a bookmark, and ends."""
        del timeout_s
        self._before("watch", kind)
        found = self._kind(api_version, kind)
        try:
            logged, version = self._store.since(
                found, int(resource_version), namespace, label_selector
            )
        except Answer as answer:
            raise translated(kind, answer) from answer
        if self._is_stale():
            yield WatchEvent(Change.BOOKMARK, {"metadata": {"resourceVersion": resource_version}})
            return
        for one in logged:
            yield WatchEvent(Change(one.change), one.obj)
        if version == self._store.version:
            bookmark = {"metadata": {"resourceVersion": str(version)}}
            yield WatchEvent(Change.BOOKMARK, bookmark)

    def end_watches(self) -> None:
        """None is ever open for longer than it takes to read it."""

    def apply(self, obj: KubeObject, *, force: bool, dry_run: bool) -> KubeObject:
        """Server-side apply."""
        return self._write(
            "dry-run" if dry_run else "apply",
            obj,
            lambda: self._store.apply(dict(obj), self._manager, force=force, dry_run=dry_run),
        )

    def create(self, obj: KubeObject) -> KubeObject:
        """Creates."""
        return self._write(
            "create", obj, lambda: self._store.create(dict(obj), self._manager, strict=True)
        )

    def replace(self, obj: KubeObject, *, subresource: str | None) -> KubeObject:
        """Replaces."""
        return self._change(
            "update",
            obj,
            lambda: self._store.replace(
                dict(obj), self._manager, subresource=subresource, strict=True
            ),
        )

    def reassign(self, obj: KubeObject, managed_fields: Sequence[KubeObject]) -> KubeObject:
        """Writes who manages which fields."""
        meta = {**obj["metadata"], "managedFields": list(managed_fields)}
        new = {**obj, "metadata": meta}
        return self._change("reassign", obj, lambda: self._store.replace(new, self._manager))

    def delete(
        self, ref: ObjectRef, *, uid: str, resource_version: str, propagation: Propagation
    ) -> None:
        """Deletes."""
        named = {
            "apiVersion": ref.api_version,
            "kind": ref.kind,
            "metadata": {"namespace": ref.namespace, "name": ref.name},
        }
        kind = self._kind(ref.api_version, ref.kind)
        self._before("delete", ref.kind)
        try:
            self._store.delete(
                kind,
                ref.namespace,
                ref.name,
                uid=uid,
                version=resource_version,
                orphan=propagation is Propagation.ORPHAN,
            )
        except Answer as answer:
            if answer.code == 404:
                return
            raise translated(str(ref), answer) from answer
        self._wrote("delete", named)

    def _change(self, verb: str, obj: KubeObject, do: Callable[[], Object]) -> KubeObject:
        try:
            return self._write(verb, obj, do)
        except Missing as error:
            ref = str(ObjectRef.of(obj))
            raise Conflict(ref, "it cannot be changed", "it is not there any more") from error

    def _write(self, verb: str, obj: KubeObject, do: Callable[[], Object]) -> KubeObject:
        self._before(verb, str(obj.get("kind")))
        try:
            stored = do()
        except Answer as answer:
            raise translated(str(ObjectRef.of(obj)), answer) from answer
        if verb != "dry-run":
            self._wrote(verb, stored)
        return copied(stored)

    def _kind(self, api_version: str, kind: str) -> Kind:
        found = self._store.served(api_version, kind)
        if found is None:
            why = "the cluster does not serve this kind"
            raise NotServed(f"{kind} of {api_version}", "it cannot be read", why, "install its CRD")
        return found


def translated(subject: str, answer: Answer) -> ReconcilerError:
    """Returns the error that an adapter makes of a refusal."""
    what, why = "the API server refused", answer.message
    causes = {str(cause.get("reason")) for cause in answer.details.get("causes") or ()}
    match answer.code:
        case 403 if "NamespaceTerminating" in causes:
            return TransientError(subject, what, why, "it can come back once the namespace is gone")
        case 400 | 403 | 422 if "denied the request" in why:
            return AdmissionDenied(subject, what, why, "change the object, or the rule")
        case 404 if not answer.reason:
            return NotServed(subject, what, "the cluster does not serve this kind")
        case 404 if answer.details.get("kind") == "namespaces":
            return TransientError(subject, what, why, "make the namespace")
        case 404:
            return Missing(subject, what, why)
        case 401 | 403:
            return Denied(subject, what, why, "give the reconciler this right")
        case 409:
            return Conflict(subject, what, why)
        case 410:
            return Expired(subject, what, why)
        case 429:
            details: dict[str, Any] = answer.details
            return Throttled(subject, what, why, retry_after_s=details.get("retryAfterSeconds"))
        case 500 if why.startswith(NOT_TYPED):
            return Refused(subject, what, why)
        case code if code >= 500:
            return Unreachable(subject, what, why)
        case _:
            return Refused(subject, what, why)
