"""A small HTTP server that answers as a test tells it, badly at most."""

from __future__ import annotations

import contextlib
import ssl
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from tests.gitservers.certificates import Certificate
from tests.tls import TlsServer

Answering = Callable[[BaseHTTPRequestHandler], None]

DRIP_S = 0.05


class HostileServer:
    """Attributes may be set at any time.

    Attributes:
        answer: Writes an answer, or something else.
        requests: Method and path of every request, in order.
        credentials: Every Authorization header that came.
        sent: The headers of every request.
        bodies: What came with each.

    Args:
        answer: The first one.
        certificate: Makes it https.
    """

    def __init__(self, answer: Answering, *, certificate: Certificate | None = None) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self.credentials: list[str] = []
        self.sent: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.ended = threading.Event()
        self._scheme = "http" if certificate is None else "https"
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if certificate is not None:
            self._server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.tls.load_cert_chain(certificate.certificate_file, certificate.key_file)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def host(self) -> str:
        """Its name and port."""
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self._scheme}://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(TlsServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of clients that leave."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _handler(server: HostileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        owner = server

        def _serve(self) -> None:
            server.requests.append(f"{self.command} {self.path}")
            if "Authorization" in self.headers:
                server.credentials.append(self.headers["Authorization"])
            server.sent.append(dict(self.headers))
            server.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            with contextlib.suppress(OSError):
                server.answer(self)

        do_GET = do_HEAD = do_POST = _serve  # noqa: N815 - as the library calls them

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    return Handler


def says(status: int, body: bytes = b"", **headers: str) -> Answering:
    """Returns a whole answer; `_` in a header's name stands for `-`."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return answer


class Bad:
    """Answers that are none, of one server.

    Args:
        server: What ends them at last.
    """

    def __init__(self, server: HostileServer) -> None:
        self._ended = server.ended

    def hangs(self, request: BaseHTTPRequestHandler) -> None:
        """Takes a request, and says nothing."""
        self._ended.wait(60)
        request.close_connection = True

    def drips_head(self, request: BaseHTTPRequestHandler) -> None:
        """Gives a letter of a header now and then, for ever."""
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self._drip(request)

    def drips_body(self, request: BaseHTTPRequestHandler) -> None:
        """Gives a letter of a body now and then, for ever."""
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
        self._drip(request)

    def floods(self, request: BaseHTTPRequestHandler) -> None:
        """Gives a body without an end, as fast as it is taken."""
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not self._ended.is_set():
            request.wfile.write(b" " * 65536)

    def breaks_off(self, request: BaseHTTPRequestHandler) -> None:
        """Gives less than it has promised."""
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n[")
        request.close_connection = True

    def hangs_up(self, request: BaseHTTPRequestHandler) -> None:
        """Answers nothing."""
        request.close_connection = True

    def _drip(self, request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        while not self._ended.wait(DRIP_S):
            request.wfile.write(b" ")
