"""A simulated cluster over loopback HTTP, in the protocol of a real API server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
import yaml

from reconciler.simulated import answers
from reconciler.simulated.answers import Answer
from reconciler.simulated.discovery import discovered
from reconciler.simulated.faults import HalfPage, Hang, Refuse, WireFaults
from reconciler.simulated.kinds import Kind
from reconciler.simulated.patches import patched
from reconciler.simulated.store import Object, Store, selects
from reconciler.simulated.tables import table

BODY_BYTES_MAX = 8 * 1024 * 1024
BOOKMARK_S = 5.0
"""More often than a real API server's minute, so that tests need not wait for one."""

HANG_S = 60.0


class ClusterServer:
    """Serves one store on a loopback port of its own.

    Args:
        store: The cluster's objects.
        token: The bearer token that is let in; empty lets everyone in, as kubectl needs it, which
            sends no token over plain HTTP.
        faults: What is broken.
        user: Whose name stands in the audit log.
    """

    def __init__(self, store: Store, *, token: str, faults: WireFaults | None = None) -> None:
        self.store = store
        self.token = token
        self.faults = faults or WireFaults()
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ClusterServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping.set()
        with self.store.changed:
            self.store.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def kubeconfig(self, context: str) -> Object:
        """Returns a kubeconfig for this server."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
            "clusters": [{"name": context, "cluster": {"server": self.url}}],
            "users": [{"name": context, "user": {"token": self.token}}],
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to tell."""


def _handler(served: ClusterServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        server_of = served

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: ClusterServer

    def log_message(self, format: str, *args: object) -> None:
        """The audit log is the place to look."""

    def do_GET(self) -> None:
        self._handle("get")

    def do_POST(self) -> None:
        self._handle("create")

    def do_PUT(self) -> None:
        self._handle("update")

    def do_PATCH(self) -> None:
        self._handle("patch")

    def do_DELETE(self) -> None:
        self._handle("delete")

    def _handle(self, verb: str) -> None:
        try:
            body = self._body()
            self._check_token()
            self._route(verb, body)
        except Answer as answer:
            self._send(answer.code, answer.status(), _retry(answer))
        except Refuse:
            self.close_connection = True
        except Hang:
            self.server_of.stopping.wait(HANG_S)
            self.close_connection = True
        except HalfPage:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"kind": "List", "items": [')
            self.close_connection = True
        except BrokenPipeError:
            self.close_connection = True

    def _check_token(self) -> None:
        token = self.server_of.token
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            raise Answer(401, "Unauthorized", "Unauthorized")

    def _body(self) -> Any:
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_BYTES_MAX:
            raise Answer(413, "RequestEntityTooLarge", "the body is too large")
        octets = self.rfile.read(size)
        if not octets:
            return None
        kind = self.headers.get("Content-Type", "")
        try:
            if "yaml" in kind and not octets.lstrip().startswith(b"{"):
                return yaml.safe_load(octets)
            return orjson.loads(octets)
        except (orjson.JSONDecodeError, yaml.YAMLError) as error:
            raise answers.bad_request(f"the body cannot be read: {type(error).__name__}") from None

    def _route(self, verb: str, body: Any) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        steps = [unquote(step) for step in parts.path.split("/") if step]
        self.server_of.faults.meet(verb, steps)
        if parts.path in ("/readyz", "/healthz", "/livez"):
            self._raw(b"ok", "text/plain")
            return
        found = discovered(self.server_of.store, steps, self.headers.get("Accept", ""))
        if found is not None:
            self._send(200, found)
            return
        if steps[:3] == ["apis", "authorization.k8s.io", "v1"] and isinstance(body, dict):
            self._send(201, {**body, "status": {"allowed": True}})
            return
        target = _Target.of(self.server_of.store, steps)
        if target is None:
            self._raw(b"404 page not found\n", "text/plain", 404)
            return
        self._act(verb, target, query, body)

    def _act(self, verb: str, target: _Target, query: dict[str, str], body: Any) -> None:
        store, manager = self.server_of.store, query.get("fieldManager") or self._agent()
        dry_run = query.get("dryRun") == "All"
        if verb == "get" and not target.name:
            self._many(target, query)
        elif verb == "get":
            self._one(target)
        elif verb == "create":
            obj = {**target.typed(), **body}
            if target.namespace:
                obj["metadata"] = {"namespace": target.namespace, **obj["metadata"]}
            self._send(201, store.create(obj, manager, dry_run=dry_run))
        elif verb == "update":
            sub = target.subresource or None
            self._send(200, store.replace(body, manager, subresource=sub, dry_run=dry_run))
        elif verb == "patch":
            self._patch(target, query, body, manager)
        elif verb == "delete":
            self._delete(target, body if isinstance(body, dict) else {})

    def _patch(self, target: _Target, query: dict[str, str], body: Any, manager: str) -> None:
        store = self.server_of.store
        kind = self.headers.get("Content-Type", "")
        dry_run = query.get("dryRun") == "All"
        if "apply-patch" in kind:
            metadata = {**body.get("metadata", {}), "name": target.name}
            if target.namespace:
                metadata["namespace"] = target.namespace
            obj = {**body, "metadata": metadata}
            force = query.get("force") == "true"
            self._send(200, store.apply(obj, manager, force=force, dry_run=dry_run))
            return
        with store.changed:
            was = store.get(target.kind, target.namespace, target.name)
            new = patched(was, body, kind)
            sub = target.subresource or None
            self._send(200, store.replace(new, manager, subresource=sub, dry_run=dry_run))

    def _delete(self, target: _Target, options: Object) -> None:
        wanted = options.get("preconditions") or {}
        gone = self.server_of.store.delete(
            target.kind,
            target.namespace,
            target.name,
            uid=str(wanted.get("uid") or ""),
            version=str(wanted.get("resourceVersion") or ""),
            orphan=options.get("propagationPolicy") == "Orphan",
        )
        self._send(200, gone)

    def _one(self, target: _Target) -> None:
        obj = self.server_of.store.get(target.kind, target.namespace, target.name)
        self._send(200, table(target.kind, [obj]) if self._wants_table() else obj)

    def _many(self, target: _Target, query: dict[str, str]) -> None:
        store, selector = self.server_of.store, query.get("labelSelector", "")
        namespace = target.namespace or None
        if query.get("watch") in ("true", "1"):
            self._watch(target, query, selector)
            return
        items, version = store.listed(target.kind, namespace, selector)
        named = query.get("fieldSelector", "").partition("metadata.name=")[2]
        if named:
            items = [i for i in items if i["metadata"]["name"] == named]
        start, limit = int(query.get("continue") or 0), int(query.get("limit") or 0)
        page = items[start : start + limit] if limit else items[start:]
        meta: Object = {"resourceVersion": str(version)}
        if limit and start + limit < len(items):
            meta["continue"] = str(start + limit)
            meta["remainingItemCount"] = len(items) - start - limit
        if self._wants_table():
            self._send(200, {**table(target.kind, page), "metadata": meta})
            return
        kind = {"kind": f"{target.kind.kind}List", "apiVersion": target.kind.api_version}
        self._send(200, {**kind, "metadata": meta, "items": page})

    def _watch(self, target: _Target, query: dict[str, str], selector: str) -> None:
        version = int(query.get("resourceVersion") or self.server_of.store.version)
        until = time.monotonic() + float(query.get("timeoutSeconds") or 300)
        namespace = target.namespace or None
        self.server_of.store.since(target.kind, version, namespace, selector)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in self._events(target, version, selector, until):
            octets = orjson.dumps(event) + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(octets), octets))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _events(
        self, target: _Target, version: int, selector: str, until: float
    ) -> Iterator[Object]:
        store, namespace = self.server_of.store, target.namespace or None
        bookmark_at = time.monotonic() + BOOKMARK_S
        typed = target.typed()
        while time.monotonic() < until and not self.server_of.stopping.is_set():
            if self.server_of.faults.cuts_watches():
                return
            try:
                logged, latest = store.since(target.kind, version, namespace, "")
            except Answer as answer:
                yield {"type": "ERROR", "object": answer.status()}
                return
            for one in logged:
                if selects(selector, one.obj):
                    yield {"type": one.change, "object": one.obj}
            version = latest
            if time.monotonic() >= bookmark_at:
                bookmark_at = time.monotonic() + BOOKMARK_S
                meta = {"resourceVersion": str(version)}
                yield {"type": "BOOKMARK", "object": {**typed, "metadata": meta}}
            with store.changed:
                if store.version == latest:
                    store.changed.wait(min(1.0, max(0.0, until - time.monotonic())))

    def _wants_table(self) -> bool:
        return "as=Table" in self.headers.get("Accept", "")

    def _agent(self) -> str:
        return self.headers.get("User-Agent", "unknown").partition("/")[0]

    def _send(self, code: int, tree: Object, headers: dict[str, str] | None = None) -> None:
        self._raw(orjson.dumps(tree), "application/json", code, headers)

    def _raw(
        self, octets: bytes, kind: str, code: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(octets)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(octets)


def _retry(answer: Answer) -> dict[str, str]:
    seconds = answer.details.get("retryAfterSeconds")
    return {"Retry-After": str(seconds)} if seconds else {}


class _Target:
    """What a path names."""

    def __init__(self, kind: Kind, namespace: str, name: str, subresource: str) -> None:
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.subresource = subresource

    def typed(self) -> Object:
        return {"apiVersion": self.kind.api_version, "kind": self.kind.kind}

    @classmethod
    def of(cls, store: Store, steps: list[str]) -> _Target | None:
        if steps[:2] == ["api", "v1"]:
            version, rest = "v1", steps[2:]
        elif steps[:1] == ["apis"] and len(steps) > 3:
            version, rest = f"{steps[1]}/{steps[2]}", steps[3:]
        else:
            return None
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        plural, name, sub = (*rest, "", "", "")[:3]
        kind = next(
            (k for k in store.kinds.values() if (k.api_version, k.plural) == (version, plural)),
            None,
        )
        return cls(kind, namespace, name, sub) if kind is not None else None


def dump_kubeconfig(trees: list[Object]) -> str:
    """Returns several kubeconfigs as one text."""
    merged: Object = {"apiVersion": "v1", "kind": "Config"}
    for section in ("contexts", "clusters", "users"):
        merged[section] = [item for tree in trees for item in tree[section]]
    return json.dumps(merged, indent=1)
