"""The KubeApi port over raw requests: JSON trees, one request a write, nothing repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson
from kubernetes.client import ApiClient

from reconciler.adapters.kube.discovery import Discovery, group_path
from reconciler.adapters.kube.translation import (
    Answer,
    Doing,
    from_answer,
    from_status,
    not_served,
)
from reconciler.adapters.kube.wire import Wire
from reconciler.errors import Conflict, ReconcilerError, Unreachable
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import Change, KindInfo, Listing, Propagation, WatchEvent

FIELD_MANAGER = "reconciler"

PAGE_ITEMS = 500
"""As kubectl asks for; a page stays a few megabytes."""

PAGES_MAX = 2_000
"""A million objects; a server that never ends its list is broken."""

_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"


class KubeClient:
    """One cluster's API server. Safe to use from several threads.

    Args:
        connect: Returns the official client, which knows address, TLS and credentials.
        name: The cluster, for errors.
        request_timeout_s: Seconds one request may take.
    """

    def __init__(
        self, connect: Callable[[], ApiClient], *, name: str, request_timeout_s: float
    ) -> None:
        self._name = name
        self._wire = Wire(connect, request_timeout_s=request_timeout_s)
        self._discovery = Discovery(self._resources, name=name)

    @property
    def skew_s(self) -> float | None:
        """Seconds that the server's clock was ahead of ours in its last answer."""
        return self._wire.skew_s

    def kind(self, api_version: str, kind: str) -> KindInfo | None:
        """Returns what the server serves; asked again while it does not serve a kind."""
        return self._discovery.kind(api_version, kind)

    def get(self, ref: ObjectRef) -> KubeObject | None:
        """Returns the object, or None when the server says that it is not there."""
        doing = self._doing(ref, "be read")
        found = self._request("GET", self._path(ref, doing), doing, missing_ok=True)
        return None if found is None else _object(found, doing)

    def list(
        self, api_version: str, kind: str, *, namespace: str | None, label_selector: str
    ) -> Listing:
        """Returns every object of a kind; a page that is missing makes it an error."""
        doing = Doing(f"{kind} on {self._name}", "be listed", secret=kind == "Secret")
        path = self._collection(api_version, kind, namespace, doing)
        items: list[KubeObject] = []
        query = {"limit": str(PAGE_ITEMS)}
        if label_selector:
            query["labelSelector"] = label_selector
        for _ in range(PAGES_MAX):
            page = self._request("GET", path, doing, query=query)
            found, meta = _page(page, doing)
            items.extend({"apiVersion": api_version, "kind": kind, **item} for item in found)
            following = meta.get("continue")
            if not following:
                return Listing(tuple(items), str(meta["resourceVersion"]))
            query["continue"] = str(following)
        raise Unreachable(doing.subject, doing.what, f"it has more than {PAGES_MAX} pages")

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
        """Yields events after a resourceVersion until the server ends the watch in time."""
        doing = Doing(f"{kind} on {self._name}", "be watched", secret=kind == "Secret")
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(max(1, int(timeout_s))),
        }
        if label_selector:
            query["labelSelector"] = label_selector
        path = self._collection(api_version, kind, namespace, doing)
        with self._wire.lines(path, doing, query=query, timeout_s=timeout_s) as opened:
            if isinstance(opened, Answer):
                raise self._refusal(opened, path, doing)
            for line in opened:
                yield _event(line, doing)

    def end_watches(self) -> None:
        """Breaks every watch off, and each that is asked for later."""
        self._wire.end_lines()

    def apply(self, obj: KubeObject, *, force: bool, dry_run: bool) -> KubeObject:
        """Server-side apply under our field manager."""
        ref = ObjectRef.of(obj)
        doing = self._doing(ref, "be applied")
        query = {
            "fieldManager": FIELD_MANAGER,
            "force": "true" if force else "false",
            "fieldValidation": "Strict",
            **({"dryRun": "All"} if dry_run else {}),
        }
        return self._written(
            "PATCH", self._path(ref, doing), doing, query=query, body=obj, content=_APPLY
        )

    def create(self, obj: KubeObject) -> KubeObject:
        """Creates."""
        ref = ObjectRef.of(obj)
        doing = self._doing(ref, "be created")
        path = self._collection(ref.api_version, ref.kind, ref.namespace or None, doing)
        return self._written("POST", path, doing, query=_MANAGED, body=obj)

    def replace(self, obj: KubeObject, *, subresource: str | None) -> KubeObject:
        """Replaces the version that the object names."""
        ref = ObjectRef.of(obj)
        doing = self._doing(ref, "be replaced")
        path = self._path(ref, doing) + (f"/{subresource}" if subresource else "")
        return self._written("PUT", path, doing, query=_MANAGED, body=obj, changes=True)

    def reassign(self, obj: KubeObject, managed_fields: Sequence[KubeObject]) -> KubeObject:
        """Writes who manages which fields of the version that the object names."""
        ref = ObjectRef.of(obj)
        doing = self._doing(ref, "change its managers")
        was = {name: obj["metadata"][name] for name in ("uid", "resourceVersion")}
        body = {"metadata": {**was, "managedFields": list(managed_fields)}}
        query = {"fieldManager": FIELD_MANAGER}
        path = self._path(ref, doing)
        return self._written(
            "PATCH", path, doing, query=query, body=body, content=_MERGE, changes=True
        )

    def delete(
        self, ref: ObjectRef, *, uid: str, resource_version: str, propagation: Propagation
    ) -> None:
        """Deletes exactly that object."""
        doing = self._doing(ref, "be deleted")
        preconditions = {
            **({"uid": uid} if uid else {}),
            **({"resourceVersion": resource_version} if resource_version else {}),
        }
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": preconditions,
            "propagationPolicy": propagation.value,
        }
        self._request("DELETE", self._path(ref, doing), doing, body=body, missing_ok=True)

    # Inside.

    def _doing(self, ref: ObjectRef, verb: str) -> Doing:
        return Doing(f"{ref} on {self._name}", verb, secret=ref.kind == "Secret")

    def _written(
        self,
        method: str,
        path: str,
        doing: Doing,
        *,
        query: Mapping[str, str],
        body: KubeObject,
        content: str = "application/json",
        changes: bool = False,
    ) -> KubeObject:
        """Writes an object; what changes a version that was seen may find it gone."""
        stored = self._request(
            method, path, doing, query=query, body=body, content=content, missing_ok=changes
        )
        if stored is None and changes:
            raise Conflict(doing.subject, doing.what, "it is not there any more")
        return _object(stored, doing)

    def _path(self, ref: ObjectRef, doing: Doing) -> str:
        base = self._collection(ref.api_version, ref.kind, ref.namespace or None, doing)
        return f"{base}/{quote(ref.name, safe='')}"

    def _collection(self, api_version: str, kind: str, namespace: str | None, doing: Doing) -> str:
        info = self.kind(api_version, kind)
        if info is None:
            raise not_served(doing)
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"{group_path(api_version)}{inside}/{info.plural}"

    def _request(
        self,
        method: str,
        path: str,
        doing: Doing,
        *,
        query: Mapping[str, str] | None = None,
        body: KubeObject | None = None,
        content: str = "application/json",
        missing_ok: bool = False,
    ) -> dict[str, Any] | None:
        """Sends one request; None only where a 404 may mean "not there"."""
        answer = self._wire.request(method, path, doing, query=query, body=body, content=content)
        if 200 <= answer.status < 300:
            return answer.tree(doing)
        refusal = self._refusal(answer, path, doing)
        if missing_ok and answer.says_missing:
            return None
        raise refusal

    def _refusal(self, answer: Answer, path: str, doing: Doing) -> ReconcilerError:
        if answer.says_no_such_path:
            # Its definition was deleted since it was discovered, or has another name now.
            self._discovery.forget(_api_version(path))
            return not_served(doing)
        return from_answer(doing, answer)

    def _resources(self, api_version: str, doing: Doing) -> Answer | None:
        answer = self._wire.request("GET", group_path(api_version), doing)
        if answer.says_missing:
            return None
        if not 200 <= answer.status < 300:
            raise from_answer(doing, answer)
        return answer


_MANAGED = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


def _api_version(path: str) -> str:
    """Returns the API version that a resource's path begins with."""
    first, *rest = path.strip("/").split("/")
    return "/".join(rest[:2] if first == "apis" else rest[:1])


def _object(tree: dict[str, Any] | None, doing: Doing) -> KubeObject:
    meta = tree.get("metadata") if tree is not None else None
    if tree is None or not isinstance(meta, dict) or not meta.get("name"):
        raise Unreachable(doing.subject, doing.what, "the answer is no object")
    return tree


def _page(page: Any, doing: Doing) -> tuple[list[KubeObject], dict[str, Any]]:
    """Returns a page's items and metadata; what has no items or no version is no page of a list."""
    meta = page.get("metadata") if page else None
    items = page.get("items") if page else None
    if isinstance(meta, dict) and isinstance(items, list) and meta.get("resourceVersion"):
        return items, meta
    raise Unreachable(doing.subject, doing.what, "the answer is no list")


def _event(line: bytes, doing: Doing) -> WatchEvent:
    try:
        tree = orjson.loads(line)
        change, obj = str(tree["type"]), tree["object"]
        if change == "ERROR":
            raise from_status(doing, int(obj.get("code") or 500), obj)
        return WatchEvent(Change(change), obj)
    except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Unreachable(doing.subject, doing.what, "an event could not be read") from error
