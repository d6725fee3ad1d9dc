"""A Git server over http or https whose every step a test can watch, delay, refuse or spoil."""

from __future__ import annotations

import base64
import hmac
import shutil
import ssl
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from reconciler.adapters.git.demo_server import BackendHandler, find_backend
from tests.gitservers.certificates import Certificate
from tests.gitservers.hooks import HangUp, Hooks
from tests.tls import TlsServer

USERNAME = "git"


class GitHttpServer:
    """Serves one bare repository, with a token where one is given; the attributes may change at any time.

    Attributes:
        hooks: Runs a test's code in pre-receive (during) and post-receive (after the ref moved).
        at_info_refs: Called with the service (`git-upload-pack`, `git-receive-pack`) before its refs
            are told; may hang, or raise HangUp.
        status: An HTTP status to answer every request with, instead of serving it.
        location: Where a 3xx `status` sends the client.
        drops_pushes: Answer a push with success, and keep nothing of it.
        hangs_up_after_push: Take a push, and drop the connection instead of answering.
        requests: Method and path of every request, in order.

    Args:
        repository: A bare repository.
        token: The password that `USERNAME` must send; None lets everyone in.
        certificate: Makes it https.
    """

    def __init__(
        self,
        repository: Path,
        *,
        token: str | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.repository = repository
        self.hooks = Hooks(repository)
        self.at_info_refs: Callable[[str], None] | None = None
        self.status: int | None = None
        self.location: str | None = None
        self.drops_pushes = False
        self.hangs_up_after_push = False
        self.requests: list[str] = []
        self.token = token
        self._scheme = "http" if certificate is None else "https"
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate_file, certificate.key_file)
            self._server.tls = context
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def show(self, certificate: Certificate) -> None:
        """Shows another certificate from the next connection on; only of https."""
        assert self._server.tls is not None
        self._server.tls.load_cert_chain(certificate.certificate_file, certificate.key_file)

    @property
    def url(self) -> str:
        """The repository's address, without a credential."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}/{self.repository.name}"

    def __enter__(self) -> Self:
        self.hooks.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.hooks.__exit__()


class _Server(TlsServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of clients that leave, or are left."""
        if not isinstance(sys.exc_info()[1], OSError | HangUp):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _handler(server: GitHttpServer) -> type[BackendHandler]:
    class Handler(_SpoiledHandler):
        project_root = server.repository.parent
        served = server.repository.name
        backend = find_backend()
        owner = server

    return Handler


class _SpoiledHandler(BackendHandler):
    owner: GitHttpServer

    def serve(self) -> None:
        self.owner.requests.append(f"{self.command} {self.path}")
        if self.owner.status is not None:
            self._refuse(self.owner.status, Location=self.owner.location)
        elif not self._is_let_in():
            self._refuse(401, **{"WWW-Authenticate": 'Basic realm="git"'})
        else:
            if "/info/refs?service=" in self.path and self.owner.at_info_refs is not None:
                self.owner.at_info_refs(self.path.partition("service=")[2])
            super().serve()

    def run_backend(self, environment: dict[str, str]) -> None:
        is_push = self.command == "POST" and self.path.endswith("/git-receive-pack")
        if is_push and self.owner.drops_pushes:
            # The same push, taken by a copy that nobody reads.
            copy = self.owner.repository.parent / "dropped" / self.served
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self.owner.repository, copy, ignore=lambda *_: ["hooks"])
            environment["GIT_PROJECT_ROOT"] = str(copy.parent)
        if is_push and self.owner.hangs_up_after_push:
            self.wfile = _Nowhere()  # type: ignore[assignment]
            self.close_connection = True
        super().run_backend(environment)

    def _is_let_in(self) -> bool:
        if self.owner.token is None:
            return True
        pair = base64.b64encode(f"{USERNAME}:{self.owner.token}".encode()).decode()
        return hmac.compare_digest(self.headers.get("Authorization", ""), f"Basic {pair}")

    def _refuse(self, status: int, **headers: str | None) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Nowhere:
    """Takes an answer that nobody is to see."""

    closed = False

    def write(self, content: bytes) -> int:
        return len(content)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
