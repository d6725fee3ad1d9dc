"""The KubeApi port over the official client's pool: raw JSON, one request a write, nothing repeated."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import urllib3
from kubernetes.client import ApiClient

from reconciler.adapters.kube.translation import (
    LIBRARY_ERRORS,
    Answer,
    Doing,
    from_answer,
    from_library,
    from_status,
)
from reconciler.errors import Expired, Refused, Unreachable
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import Change, KindInfo, Listing, Propagation, WatchEvent

FIELD_MANAGER = "reconciler"

PAGE_ITEMS = 500
"""As kubectl asks for; a page stays a few megabytes."""

PAGES_MAX = 2_000
"""A million objects; a server that never ends its list is broken."""

BODY_BYTES_MAX = 256 * 1024 * 1024
LINE_BYTES_MAX = 16 * 1024 * 1024
"""Ten times the largest object that etcd takes."""

WATCH_SLACK_S = 15.0
"""A watch is silent for up to a minute between bookmarks and ends by itself; this is waited longer."""

_APPLY = "application/apply-patch+yaml"


class KubeClient:
    """One cluster's API server. Safe to use from several threads.

    Args:
        api: The official client, which knows address, TLS and credentials.
        name: The cluster, for errors.
        request_timeout_s: Seconds one request may take.
    """

    def __init__(self, api: ApiClient, *, name: str, request_timeout_s: float) -> None:
        self._api = api
        self._name = name
        self._timeout_s = request_timeout_s
        self._host = str(api.configuration.host).rstrip("/")
        self._pool: urllib3.PoolManager = api.rest_client.pool_manager
        self._kinds: dict[str, dict[str, KindInfo]] = {}
        self._lock = threading.Lock()

    def kind(self, api_version: str, kind: str) -> KindInfo | None:
        """Returns what the server serves; asked again while it does not serve a kind."""
        with self._lock:
            known = self._kinds.get(api_version, {}).get(kind)
        if known is not None:
            return known
        doing = Doing(f"{kind} of {api_version} on {self._name}", "be discovered")
        answer = self._request("GET", _group_path(api_version), doing, missing_ok=True)
        if answer is None:
            return None
        served = {
            r["kind"]: KindInfo(api_version, r["kind"], r["name"], bool(r["namespaced"]))
            for r in answer.get("resources") or ()
            if "/" not in r["name"]
        }
        with self._lock:
            self._kinds[api_version] = served
        return served.get(kind)

    def get(self, ref: ObjectRef) -> KubeObject | None:
        """Returns the object, or None when the server says that it is not there."""
        doing = self._doing(ref, "be read")
        return self._request("GET", self._path(ref, doing), doing, missing_ok=True)

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
            meta = page.get("metadata") if page else None
            if (
                page is None
                or not isinstance(meta, dict)
                or not isinstance(page.get("items"), list)
            ):
                raise Unreachable(doing.subject, doing.what, "the answer is no list")
            items.extend({"apiVersion": api_version, "kind": kind, **i} for i in page["items"])
            following = meta.get("continue")
            if not following:
                return Listing(tuple(items), str(meta.get("resourceVersion") or ""))
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
        response = self._send("GET", path, doing, query=query, read_s=timeout_s + WATCH_SLACK_S)
        try:
            if response.status != 200:
                raise from_answer(doing, _answer(response, doing))
            for line in _lines(response, doing):
                yield _event(line, doing)
        except LIBRARY_ERRORS as error:
            raise from_library(doing, error) from error
        finally:
            # What is left of a watch cannot be used by another request.
            with contextlib.suppress(Exception):
                response.close()

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
        return self._written("PUT", path, doing, query=_MANAGED, body=obj)

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
    ) -> KubeObject:
        stored = self._request(method, path, doing, query=query, body=body, content=content)
        if stored is None or "metadata" not in stored:
            raise Unreachable(doing.subject, doing.what, "the answer is no object")
        return stored

    def _path(self, ref: ObjectRef, doing: Doing) -> str:
        base = self._collection(ref.api_version, ref.kind, ref.namespace or None, doing)
        return f"{base}/{quote(ref.name, safe='')}"

    def _collection(self, api_version: str, kind: str, namespace: str | None, doing: Doing) -> str:
        info = self.kind(api_version, kind)
        if info is None:
            why = f"the server does not serve {kind} of {api_version}"
            raise Refused(doing.subject, doing.what, why, "install its CRD")
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"{_group_path(api_version)}{inside}/{info.plural}"

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
        """Sends one request and reads the whole answer; None only where a 404 may mean "not there"."""
        response = self._send(method, path, doing, query=query, body=body, content=content)
        try:
            answer = _answer(response, doing)
        except LIBRARY_ERRORS as error:
            raise from_library(doing, error) from error
        finally:
            response.release_conn()
        if answer.status == 404 and missing_ok and _says_missing(answer):
            return None
        if not 200 <= answer.status < 300:
            raise from_answer(doing, answer)
        try:
            tree = orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise Unreachable(doing.subject, doing.what, "the answer is no JSON") from error
        if not isinstance(tree, dict):
            raise Unreachable(doing.subject, doing.what, "the answer is no object")
        return tree

    def _send(
        self,
        method: str,
        path: str,
        doing: Doing,
        *,
        query: Mapping[str, str] | None = None,
        body: KubeObject | None = None,
        content: str = "application/json",
        read_s: float | None = None,
    ) -> urllib3.BaseHTTPResponse:
        headers = {
            "Accept": "application/json",
            "User-Agent": FIELD_MANAGER,
            **({"Content-Type": content} if body is not None else {}),
        }
        url = f"{self._host}{path}" + (f"?{urlencode(query)}" if query else "")
        timeout = urllib3.Timeout(connect=self._timeout_s, read=read_s or self._timeout_s)
        try:
            self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
            return self._pool.request(
                method,
                url,
                body=orjson.dumps(body) if body is not None else None,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except LIBRARY_ERRORS as error:
            raise from_library(doing, error) from error


_MANAGED = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


def _group_path(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _says_missing(answer: Answer) -> bool:
    """A 404 of something in between, such as a proxy, says nothing about the object."""
    status = answer.status_object()
    return status.get("reason") == "NotFound" or (
        not status and b"404 page not found" in answer.body
    )


def _answer(response: urllib3.BaseHTTPResponse, doing: Doing) -> Answer:
    chunks, size = [], 0
    for chunk in response.stream(1024 * 1024):
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise Unreachable(
                doing.subject, doing.what, f"the answer is over {BODY_BYTES_MAX} bytes"
            )
        chunks.append(chunk)
    return Answer(response.status, dict(response.headers), b"".join(chunks))


def _lines(response: urllib3.BaseHTTPResponse, doing: Doing) -> Iterator[bytes]:
    """Yields whole lines; a last one without its end was cut off and is no event."""
    rest = b""
    while True:
        # read1 gives what has arrived: an event must not wait for the next to fill a buffer.
        chunk = response.read1(64 * 1024)
        if not chunk:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > LINE_BYTES_MAX:
            raise Unreachable(doing.subject, doing.what, f"an event is over {LINE_BYTES_MAX} bytes")
    if rest.strip():
        raise Unreachable(doing.subject, doing.what, "the stream broke off inside an event")


def _event(line: bytes, doing: Doing) -> WatchEvent:
    try:
        tree = orjson.loads(line)
        change, obj = str(tree["type"]), tree["object"]
        if change == "ERROR":
            code = int(obj.get("code") or 500)
            if code == 410:
                raise Expired(doing.subject, doing.what, str(obj.get("message") or "expired"))
            raise from_status(doing, code, obj)
        return WatchEvent(Change(change), obj)
    except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Unreachable(doing.subject, doing.what, "an event could not be read") from error
