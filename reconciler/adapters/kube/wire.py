"""Requests to one API server: raw bytes over the official client's pool, limited in time, never repeated."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

import orjson
import urllib3
from kubernetes.client import ApiClient

from reconciler.adapters.kube.translation import (
    LIBRARY_ERRORS,
    Answer,
    Doing,
    from_library,
)
from reconciler.errors import InvalidInput, ReconcilerError, Refused, Unreachable
from reconciler.model.objects import KubeObject

USER_AGENT = "reconciler"

BODY_BYTES_MAX = 256 * 1024 * 1024
LINE_BYTES_MAX = 16 * 1024 * 1024
"""Ten times the largest object that etcd takes."""

CHUNK_BYTES = 256 * 1024

WATCH_SLACK_S = 15.0
"""A watch is silent for up to a minute between bookmarks and ends by itself; this is waited longer."""


class Wire:
    """One API server's connections. Safe to use from several threads.

    Args:
        connect: Returns the official client, which knows address, TLS and credentials; asked before
            each request, since credentials change while the daemon runs.
        request_timeout_s: Seconds to connect, and then until an answer is read to its end: a server
            that gives a byte now and then is as dead as a silent one.
    """

    def __init__(self, connect: Callable[[], ApiClient], *, request_timeout_s: float) -> None:
        self._connect = connect
        self._timeout_s = request_timeout_s
        self._lock = threading.Lock()
        self._open: set[urllib3.BaseHTTPResponse] = set()
        self._is_ended = False
        self.skew_s: float | None = None

    def request(
        self,
        method: str,
        path: str,
        doing: Doing,
        *,
        query: Mapping[str, str] | None = None,
        body: KubeObject | None = None,
        content: str = "application/json",
    ) -> Answer:
        """Sends one request and reads the whole answer, whatever its status.

        Raises:
            ReconcilerError: There is no whole answer.
        """
        until_s = time.monotonic() + self._timeout_s
        response = self._send(method, path, doing, query=query, body=body, content=content)
        try:
            answer = _whole(response, doing, until_s)
        except LIBRARY_ERRORS as error:
            raise from_library(doing, error) from error
        except ReconcilerError:
            _close(response)
            raise
        finally:
            response.release_conn()
        self._note_skew(answer)
        return answer

    @contextlib.contextmanager
    def lines(
        self, path: str, doing: Doing, *, query: Mapping[str, str], timeout_s: float
    ) -> Iterator[Iterator[bytes] | Answer]:
        """Gives the lines of an answer as they arrive, until the server ends it; or a refusal whole.

        Raises:
            ReconcilerError: It broke off, or goes on for longer than it should.
        """
        limit_s = timeout_s + WATCH_SLACK_S
        until_s = time.monotonic() + limit_s
        response = self._send("GET", path, doing, query=query)
        try:
            self._note_open(response, doing)
            _wait_for_each(response, limit_s)
            if response.status == 200:
                yield _lines(response, doing, until_s)
            else:
                yield _whole(response, doing, time.monotonic() + self._timeout_s)
        except LIBRARY_ERRORS as error:
            raise from_library(doing, error) from error
        finally:
            # One that was read to its end has given its connection back; what is left of any other
            # cannot be used again.
            with self._lock:
                self._open.discard(response)
            _close(response)

    def end_lines(self) -> None:
        """Breaks off every answer that is read line by line, and each that is asked for later."""
        with self._lock:
            self._is_ended = True
            for response in self._open:
                # One that has just been read to its end has no connection any more.
                with contextlib.suppress(OSError, ValueError, RuntimeError):
                    response.shutdown()

    def _note_open(self, response: urllib3.BaseHTTPResponse, doing: Doing) -> None:
        with self._lock:
            if self._is_ended:
                raise Unreachable(doing.subject, doing.what, "we have ended it")
            self._open.add(response)

    def _send(
        self,
        method: str,
        path: str,
        doing: Doing,
        *,
        query: Mapping[str, str] | None = None,
        body: KubeObject | None = None,
        content: str = "application/json",
    ) -> urllib3.BaseHTTPResponse:
        headers = {
            "Accept": "application/json",
            "User-Agent": USER_AGENT,
            **({"Content-Type": content} if body is not None else {}),
        }
        timeout = urllib3.Timeout(connect=self._timeout_s, read=self._timeout_s)
        try:
            api = self._connect()
            api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
            _check_credentials(headers, doing)
            host = str(api.configuration.host).rstrip("/")
            return api.rest_client.pool_manager.request(
                method,
                f"{host}{path}" + (f"?{urlencode(query)}" if query else ""),
                body=_encoded(body, doing),
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except LIBRARY_ERRORS as error:
            raise from_library(doing, error) from error

    def _note_skew(self, answer: Answer) -> None:
        """The server's Date has whole seconds, which is enough to tell a clock that is off."""
        try:
            theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
        except ValueError:
            return
        if theirs.tzinfo is not None:
            self.skew_s = (theirs - datetime.now(UTC)).total_seconds()


def _encoded(body: KubeObject | None, doing: Doing) -> bytes | None:
    try:
        return None if body is None else orjson.dumps(body)
    except orjson.JSONEncodeError as error:
        # Its own text may quote a value.
        why = "it holds a number over 64 bits, or text that is no Unicode"
        raise Refused(doing.subject, doing.what, why, "correct the manifest") from error


def _check_credentials(headers: dict[str, str], doing: Doing) -> None:
    """A token file often ends with a line break; what the HTTP library says of one quotes the token."""
    token = headers.get("authorization", "").strip()
    if not token.isprintable():
        why = "the token holds a line break or another control character"
        raise InvalidInput(doing.subject, doing.what, why, "write the token file again") from None
    if token:
        headers["authorization"] = token


def _whole(response: urllib3.BaseHTTPResponse, doing: Doing, until_s: float) -> Answer:
    chunks, size = [], 0
    while chunk := response.read1(CHUNK_BYTES):
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise Unreachable(
                doing.subject, doing.what, f"the answer is over {BODY_BYTES_MAX} bytes"
            )
        if time.monotonic() > until_s:
            raise Unreachable(doing.subject, doing.what, "the answer does not end in time")
        chunks.append(chunk)
    return Answer(response.status, response.headers, b"".join(chunks))


def _lines(response: urllib3.BaseHTTPResponse, doing: Doing, until_s: float) -> Iterator[bytes]:
    """Yields whole lines; a last one without its end was cut off and is no event."""
    rest = b""
    # read1 gives what has arrived: an event must not wait for the next to fill a buffer.
    while chunk := response.read1(CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > LINE_BYTES_MAX:
            raise Unreachable(doing.subject, doing.what, f"an event is over {LINE_BYTES_MAX} bytes")
        if time.monotonic() > until_s:
            raise Unreachable(doing.subject, doing.what, "the server does not end it in time")
    if rest.strip():
        raise Unreachable(doing.subject, doing.what, "the stream broke off inside an event")


def _wait_for_each(response: urllib3.BaseHTTPResponse, limit_s: float) -> None:
    """Lets an answer that has begun be silent for longer than one that has not.

    A server says at once that a watch runs: one that accepts a connection and no more is dead. Where
    the connection is not ours any more, since it ends with the answer, the shorter limit stays.
    """
    sock = getattr(response.connection, "sock", None)
    if sock is not None:
        sock.settimeout(limit_s)


def _close(response: urllib3.BaseHTTPResponse) -> None:
    with contextlib.suppress(Exception):
        response.close()
