"""Requests to HTTP APIs: each is sent once, ends in time, is read up to a limit, and stays with whom it was for."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from reconciler.adapters.http.address import Address, Origin, parse
from reconciler.adapters.http.answer import (
    LIBRARY_ERRORS,
    Answer,
    Doing,
    clean,
    from_library,
)
from reconciler.errors import InvalidInput, Refused

USER_AGENT = "reconciler"

CHUNK_BYTES = 64 * 1024

BODY_BYTES_MAX = 4 * 1024 * 1024
"""What the OCI specification has a registry take for a manifest; a page of anything else is far smaller."""

REDIRECTS_MAX = 3
"""A renamed repository is one step, a trailing slash another."""

POOL_CONNECTIONS = 2
"""Connections kept open between requests to one origin; more at once are closed after their answer."""

ORIGINS_MAX = 64
"""Origins whose connections are kept; a fleet has a forge and a handful of registries."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FOLLOWED = frozenset({"GET", "HEAD"})


class HttpClient:
    """Connections to any number of origins that are trusted in one way. Safe to use from several threads.

    Args:
        request_timeout_s: Seconds from the first byte sent until an answer is read to its end, redirects
            included: a server that gives a byte now and then is as dead as a silent one.
        ca_file: Certificates trusted instead of the system's; read once.
        body_bytes_max: How much of an answer is read.

    Raises:
        InvalidInput: The CA file cannot be used.
    """

    def __init__(
        self,
        *,
        request_timeout_s: float,
        ca_file: Path | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        self._timeout_s = request_timeout_s
        self._bytes_max = body_bytes_max
        self._context = _context(ca_file)
        self._lock = threading.Lock()
        self._pools: dict[Origin, urllib3.HTTPConnectionPool] = {}

    def request(
        self,
        method: str,
        address: Address,
        doing: Doing,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Answer:
        """Sends one request and reads the whole answer, whatever its status.

        Reads follow redirects within their origin; to another one nothing is sent, since our
        credential is not for it.

        Raises:
            ReconcilerError: There is no whole answer, or it is somebody else's.
        """
        until_s = time.monotonic() + self._timeout_s
        for _ in range(REDIRECTS_MAX + 1):
            answer = self._once(method, address, doing, headers=headers, body=body, until_s=until_s)
            if answer.status not in _REDIRECTS:
                return answer
            address = _redirected(method, address, doing, answer)
        raise doing.unreachable(f"it redirects more than {REDIRECTS_MAX} times")

    def _once(
        self,
        method: str,
        address: Address,
        doing: Doing,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        until_s: float,
    ) -> Answer:
        left_s = max(until_s - time.monotonic(), 0.001)
        try:
            response = self._pool(address.origin).urlopen(
                method,
                address.target,
                body=body,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
                timeout=urllib3.Timeout(connect=left_s, read=left_s),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            return self._whole(response, doing, until_s)
        except LIBRARY_ERRORS as error:
            if time.monotonic() >= until_s:
                raise doing.unreachable("no answer in time") from error
            raise from_library(doing, error) from error

    def _whole(self, response: urllib3.BaseHTTPResponse, doing: Doing, until_s: float) -> Answer:
        is_read = False
        timer = _cut_at(until_s, getattr(response.connection, "answering", None))
        try:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise doing.unreachable("the answer is compressed, which was not asked for")
            chunks, size = [], 0
            while chunk := response.read1(CHUNK_BYTES, decode_content=False):
                size += len(chunk)
                if size > self._bytes_max:
                    raise doing.unreachable(f"the answer is over {self._bytes_max} bytes")
                chunks.append(chunk)
            # A length that was promised and not kept is an error of read1; one that was cut off by us
            # in an answer without a length looks whole.
            if time.monotonic() >= until_s:
                raise doing.unreachable("the answer does not end in time")
            is_read = True
            return Answer(response.status, response.headers, b"".join(chunks))
        finally:
            timer.cancel()
            if not is_read:
                _close(response)
            response.release_conn()

    def _pool(self, origin: Origin) -> urllib3.HTTPConnectionPool:
        with self._lock:
            if origin not in self._pools:
                while len(self._pools) >= ORIGINS_MAX:
                    self._pools.pop(next(iter(self._pools))).close()
                self._pools[origin] = self._connected(origin)
            return self._pools[origin]

    def _connected(self, origin: Origin) -> urllib3.HTTPConnectionPool:
        options: dict[str, Any] = {"maxsize": POOL_CONNECTIONS, "block": False}
        if origin.scheme == "https":
            pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
                origin.host, origin.port, ssl_context=self._context, **options
            )
            pool.ConnectionCls = _LimitedHttps
        else:
            pool = urllib3.HTTPConnectionPool(origin.host, origin.port, **options)
            pool.ConnectionCls = _Limited
        return pool


class _Limiting:
    """What a connection does so that the head of an answer comes in time, however slowly it drips.

    Attributes:
        answering: What the answer comes from; one that ends with the connection takes it from `sock`.
    """

    timeout: float | None
    sock: Any
    answering: Any = None

    def getresponse(self) -> Any:
        self.answering = self.sock
        timer = _cut_at(time.monotonic() + (self.timeout or 0.0), self.answering)
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            timer.cancel()


class _Limited(_Limiting, HTTPConnection):
    pass


class _LimitedHttps(_Limiting, HTTPSConnection):
    pass


def _cut_at(until_s: float, sock: Any) -> threading.Timer:
    """Breaks a connection off at a time; a limit for each read alone is none for a server that drips."""

    def cut() -> None:
        with contextlib.suppress(OSError, ValueError):
            # Beneath TLS, too: nobody is to be told, and a write could block.
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    timer = threading.Timer(max(until_s - time.monotonic(), 0.0), cut if sock is not None else int)
    timer.daemon = True
    timer.start()
    return timer


def _redirected(method: str, address: Address, doing: Doing, answer: Answer) -> Address:
    """Returns where an answer sends us, if it is within the same origin."""
    origin = address.origin
    here = f"{origin.scheme}://{_in_url(origin.host)}:{origin.port}{address.target}"
    try:
        there = parse(urljoin(here, answer.headers.get("Location", "")))
    except ValueError:
        there = "it cannot be read"
    if isinstance(there, str):
        raise doing.unreachable(f"HTTP {answer.status} to an address that is no use: {there}")
    if there.origin != origin:
        why = f"HTTP {answer.status} to another host, {clean(there.origin.host)}"
        fix = "give the address that answers itself"
        raise Refused(doing.subject, doing.what, f"{why}; our credential is not for it", fix)
    if method not in _FOLLOWED:
        fix = "give the address that answers itself"
        raise Refused(doing.subject, doing.what, f"HTTP {answer.status}: it has moved", fix)
    return there


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _context(ca_file: Path | None) -> ssl.SSLContext:
    """Returns how a server is checked, as the Git adapter checks it: by these certificates, or the system's."""
    context = create_urllib3_context(
        cert_reqs=ssl.CERT_REQUIRED, verify_flags=ssl.VERIFY_X509_PARTIAL_CHAIN
    )
    context.check_hostname = True
    if ca_file is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cafile=str(ca_file))
    except (OSError, ValueError) as error:
        why = f"it holds no certificate that can be read ({type(error).__name__})"
        raise InvalidInput(str(ca_file), "the CA file cannot be used", why) from None
    return context


def _close(response: urllib3.BaseHTTPResponse) -> None:
    with contextlib.suppress(Exception):
        response.close()
