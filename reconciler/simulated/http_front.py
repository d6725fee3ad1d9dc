"""A simulated cluster over loopback HTTP, in the protocol of a real API server."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import orjson
import yaml

from reconciler.simulated import answers
from reconciler.simulated.answers import Answer
from reconciler.simulated.api import Api
from reconciler.simulated.faults import (
    Drip,
    HalfPage,
    Hang,
    OnePage,
    Refuse,
    Reset,
    WireFaults,
    answering,
)
from reconciler.simulated.requests import Request, Target
from reconciler.simulated.shelf import Object
from reconciler.simulated.store import Store
from reconciler.simulated.tables import table

BODY_BYTES_MAX = 3 * 1024 * 1024
"""As a real API server: a body over it is refused whatever it holds."""

BOOKMARK_S = 5.0
"""More often than a real API server's minute, so that tests need not wait for one."""

LOOK_S = 1.0
"""How often a silent watch looks whether it is cut, or its client gone."""

HANG_S = 60.0

POLL_S = 0.05
"""How soon a stop is noticed."""


class ClusterServer:
    """Serves one store on a loopback port of its own.

    Args:
        store: The cluster's objects.
        token: The bearer token that is let in; empty lets everyone in, as kubectl needs it, which
            sends no token over plain HTTP.
        faults: What is broken.
        skew_s: Seconds that the server's clock is ahead.

    Attributes:
        connections: How many were ever made.
    """

    def __init__(
        self, store: Store, *, token: str, faults: WireFaults | None = None, skew_s: float = 0.0
    ) -> None:
        self.api = Api(store)
        self.store = store
        self.token = token
        self.faults = faults or WireFaults()
        self.skew_s = skew_s
        self.stopping = threading.Event()
        self.connections = 0
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), daemon=True
        )

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
        self.store.wake()
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
    # Head and body are written one after the other: a body would wait for the head to be acknowledged.
    disable_nagle_algorithm = True
    server_of: ClusterServer

    def setup(self) -> None:
        """Counts connections."""
        super().setup()
        self.server_of.connections += 1

    def log_message(self, format: str, *args: object) -> None:
        """The audit log is the place to look."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The server's clock may be off."""
        return super().date_time_string((timestamp or time.time()) + self.server_of.skew_s)

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
            request = Request.of(
                verb,
                self.path,
                self._body(),
                content_type=self.headers.get("Content-Type", ""),
                accept=self.headers.get("Accept", ""),
                agent=self.headers.get("User-Agent", ""),
            )
            self._check_token()
            self._route(request)
        except Answer as answer:
            self._refuse(answer)
        except (Refuse, Hang, Drip, Reset, HalfPage) as fault:
            self._break(fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _break(self, fault: Exception) -> None:
        """Does what the fault says, and ends the connection."""
        self.close_connection = True
        if isinstance(fault, Hang):
            self.server_of.stopping.wait(HANG_S)
        if isinstance(fault, Drip | HalfPage | Reset):
            self._head(200, "application/json", 1000)
            self.wfile.write(b'{"kind": "List", "items": [')
        if isinstance(fault, Drip):
            until = time.monotonic() + HANG_S
            while time.monotonic() < until and not self.server_of.stopping.wait(fault.every_s):
                self.wfile.write(b" ")
        if isinstance(fault, Reset):
            # Linger for no time makes the kernel send a reset instead of an end.
            option = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
            self.connection.close()

    def _check_token(self) -> None:
        """The scheme's case is free (RFC 9110), and the library writes it small in a Pod."""
        token = self.server_of.token
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if token and (scheme.lower(), given) != ("bearer", token):
            raise Answer(401, "Unauthorized", "Unauthorized")

    def _body(self) -> Any:
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_BYTES_MAX:
            self.close_connection = True
            raise Answer(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
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

    def _route(self, request: Request) -> None:
        verb = "watch" if request.is_watch else request.verb
        try:
            self.server_of.faults.meet(verb, request.steps)
        except OnePage:
            if "continue" in request.query:
                raise answering(500, "InternalError") from None
            if "limit" in request.query:
                request.query["limit"] = "1"
        if request.path in ("/readyz", "/healthz", "/livez"):
            self._raw(b"ok", "text/plain")
        elif request.verb == "get" and request.is_watch:
            self._watch(request, self.server_of.api.target(request))
        else:
            reply = self.server_of.api.answer(request)
            self._send(reply.code, reply.tree)

    # Watches.

    def _watch(self, request: Request, target: Target) -> None:
        stream = _Stream(self.server_of, request, target, self._is_gone)
        self.send_response(200)
        self._common()
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for event in stream.events():
            octets = orjson.dumps(event) + b"\n"
            self.wfile.write(b"%x\r\n%b\r\n" % (len(octets), octets))
            self.wfile.flush()
        if self.server_of.faults.cuts_watches():
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def _is_gone(self) -> bool:
        """Whether the client has ended the connection: one that waits for an answer sends nothing."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    # Answers.

    def _refuse(self, answer: Answer) -> None:
        if answer.code == 404 and not answer.reason:
            self._raw(f"{answer.message}\n".encode(), "text/plain; charset=utf-8", answer.code)
            return
        seconds = answer.details.get("retryAfterSeconds")
        headers = {"Retry-After": str(seconds)} if seconds else {}
        self._send(answer.code, answer.status(), headers)

    def _send(self, code: int, tree: Object, headers: dict[str, str] | None = None) -> None:
        self._raw(orjson.dumps(tree), "application/json", code, headers)

    def _raw(
        self, octets: bytes, kind: str, code: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        self._head(code, kind, len(octets), headers)
        self.wfile.write(octets)

    def _head(self, code: int, kind: str, size: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(code)
        self._common()
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _common(self) -> None:
        self.send_header("Audit-Id", str(uuid.uuid4()))
        self.send_header("Cache-Control", "no-cache, private")


class _Stream:
    """The events of one watch until its time is up."""

    def __init__(
        self,
        served: ClusterServer,
        request: Request,
        target: Target,
        is_gone: Callable[[], bool],
    ) -> None:
        self._served = served
        self._is_gone = is_gone
        self._store = served.store
        self._target = target
        self._selection = target.selection(request.query)
        self._wants_table = request.wants_table
        self._wants_bookmarks = request.query.get("allowWatchBookmarks") in ("true", "1")
        self._until_s = time.monotonic() + float(request.query.get("timeoutSeconds") or 300)
        version = request.query.get("resourceVersion", "")
        self._from_now = version in ("", "0")
        self._version = self._store.version if self._from_now else int(version)
        self._told = self._version

    def events(self) -> Iterator[Object]:
        """Yields what is there, if the client names no version, and then every change."""
        if self._from_now:
            items, self._version = self._store.listed(self._target.kind, *self._selection)
            yield from (self._event("ADDED", item) for item in items)
        bookmark_s = time.monotonic() + BOOKMARK_S
        while time.monotonic() < self._until_s and not self._is_cut():
            try:
                logged, latest = self._store.since(
                    self._target.kind, self._version, *self._selection
                )
            except Answer as answer:
                yield {"type": "ERROR", "object": answer.status()}
                return
            for one in logged:
                yield self._event(one.change, one.obj)
            self._version = latest
            if not self._is_served():
                return
            if time.monotonic() >= bookmark_s:
                bookmark_s = time.monotonic() + BOOKMARK_S
                yield from self._bookmark()
            wait_s = min(bookmark_s, self._until_s) - time.monotonic()
            self._store.wait(self._target.kind, latest, max(0.0, min(wait_s, LOOK_S)))
        if not self._is_cut():
            yield from self._bookmark()

    def _is_cut(self) -> bool:
        is_over = self._served.stopping.is_set() or self._served.faults.cuts_watches()
        return is_over or self._is_gone()

    def _is_served(self) -> bool:
        kind = self._target.kind
        return self._store.served(kind.api_version, kind.kind) is not None

    def _event(self, change: str, obj: Object) -> Object:
        if self._wants_table:
            return {"type": change, "object": table(self._target.kind, [obj], self._store.now)}
        return {"type": change, "object": obj}

    def _bookmark(self) -> Iterator[Object]:
        """None where there is no news, and none for a client that is ahead of the server."""
        if self._wants_bookmarks and self._told < self._version <= self._store.version:
            self._told = self._version
            meta = {"resourceVersion": str(self._version), "creationTimestamp": None}
            yield {"type": "BOOKMARK", "object": {**self._target.typed, "metadata": meta}}


def dump_kubeconfig(trees: list[Object]) -> str:
    """Returns several kubeconfigs as one text."""
    merged: Object = {"apiVersion": "v1", "kind": "Config"}
    for section in ("contexts", "clusters", "users"):
        merged[section] = [item for tree in trees for item in tree[section]]
    return json.dumps(merged, indent=1)
