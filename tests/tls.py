"""A TLS front before any loopback server, which shows a certificate and keeps what it is told in secret."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.gitservers.certificates import Certificate

CHUNK_BYTES = 64 * 1024

POLL_S = 0.05
"""How soon an end is noticed."""


class TlsFront:
    """Ends TLS and hands on what comes, both ways.

    Attributes:
        url: Where it listens.
        heard: Everything that clients said once they trusted it.
        connections: How many were ever made, trusted or not.

    Args:
        port: Of the server behind it, on loopback.
        certificate: What it shows.
    """

    def __init__(self, port: int, certificate: Certificate) -> None:
        self._port = port
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.show(certificate)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(POLL_S)
        self._stopping = threading.Event()
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self.heard = bytearray()
        self.connections = 0

    def show(self, certificate: Certificate) -> None:
        """Shows another certificate from the next connection on."""
        self._tls.load_cert_chain(certificate.certificate_file, certificate.key_file)

    def ask_for_one_of(self, authority: Path) -> None:
        """Lets in who shows a certificate of an authority, and nobody else."""
        self._tls.load_verify_locations(authority)
        self._tls.verify_mode = ssl.CERT_REQUIRED

    def serve(self) -> None:
        """Takes connections until it is stopped."""
        with self._listening:
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _ = self._listening.accept()
                    self.connections += 1
                    threading.Thread(target=self._meet, args=(client,), daemon=True).start()

    def stop(self) -> None:
        """Ends it; connections end within a moment."""
        self._stopping.set()

    def _meet(self, client: socket.socket) -> None:
        client.settimeout(5)
        try:
            inside = self._tls.wrap_socket(client, server_side=True)
        except OSError:
            # It is not trusted, or was looked at only.
            client.close()
            return
        with (
            contextlib.suppress(OSError),
            inside,
            socket.create_connection(("127.0.0.1", self._port)) as server,
        ):
            self._hand_on(inside, server)

    def _hand_on(self, inside: ssl.SSLSocket, server: socket.socket) -> None:
        """Hands on until one side ends; by one thread, since OpenSSL lets only one use a connection."""
        while not self._stopping.is_set():
            ready: list[socket.socket] = [inside]
            if not inside.pending():
                ready, _, _ = select.select([inside, server], [], [], POLL_S)
            for source in ready:
                chunk = source.recv(CHUNK_BYTES)
                if not chunk:
                    return
                if source is inside:
                    self.heard += chunk
                (server if source is inside else inside).sendall(chunk)


@contextmanager
def tls_front(port: int, certificate: Certificate) -> Iterator[TlsFront]:
    """Serves a TLS front before a loopback port."""
    front = TlsFront(port, certificate)
    thread = threading.Thread(target=front.serve, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        front.stop()
        thread.join()


class TlsServer(ThreadingHTTPServer):
    """A server of HTTP, or of HTTPS where `tls` is set."""

    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def get_request(self) -> tuple[Any, Any]:
        """Takes a connection."""
        request, client_address = super().get_request()
        if self.tls is None:
            return request, client_address
        # The handshake comes with the first read, in the connection's own thread: a client may hang
        # in it. Wrapped here, the connection that the server closes in the end is the wrapped one.
        wrapped = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        return wrapped, client_address
