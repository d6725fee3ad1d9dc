"""A Git remote over loopback HTTP for the demo: `git http-backend` behind the standard library's server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from reconciler.errors import OperatorError

CHUNK_BYTES = 64 * 1024
"""Read and written at a time, so that no pack is ever whole in memory."""

BODY_BYTES_MAX = 256 * 1024 * 1024
"""What one push to a demo may send."""

LINE_BYTES_MAX = 8192
"""One header or chunk-size line; Apache's own limit."""

_LENGTH_HEADER = "Content-Length"


class DemoGitServer:
    """Serves one bare repository for fetch and push, without credentials, on loopback only.

    Args:
        repository: A bare repository.
        port: 0 takes a free one.

    Raises:
        OperatorError: Git is not on this machine, or lacks `http-backend`.
    """

    def __init__(self, repository: Path, *, port: int = 0) -> None:
        self.repository = repository.absolute()
        handler = _handler(self.repository, find_backend())
        self._server = _QuietServer(("127.0.0.1", port), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def url(self) -> str:
        """The repository's address."""
        return f"http://127.0.0.1:{self._server.server_port}/{self.repository.name}"

    def __enter__(self) -> DemoGitServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of a client that left: libgit2 hangs up on a kept-alive connection."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def serve(repository: Path, *, port: int = 0) -> DemoGitServer:
    """Returns a server for a bare repository, to be entered as a context manager."""
    return DemoGitServer(repository, port=port)


def find_backend() -> list[str]:
    """Returns the command of `git http-backend`.

    Raises:
        OperatorError: Git is not on this machine, or lacks it.
    """
    git = shutil.which("git")
    if git is None:
        raise _cannot_serve("git is not installed")
    folder = subprocess.run([git, "--exec-path"], capture_output=True, text=True, check=False)
    backend = Path(folder.stdout.strip()) / "git-http-backend"
    if not backend.is_file():
        raise _cannot_serve(f"this git has no {backend}")
    return [str(backend)]


def _cannot_serve(why: str) -> OperatorError:
    return OperatorError("git", "the demo's remote cannot be served", why, "install git in full")


def _handler(repository: Path, command: list[str]) -> type[BackendHandler]:
    class Handler(BackendHandler):
        project_root = repository.parent
        served = repository.name
        backend = command

    return Handler


class BackendHandler(BaseHTTPRequestHandler):
    """Hands a request to `git http-backend` by CGI (RFC 3875) and streams its answer back."""

    project_root: Path
    served: str
    backend: list[str]
    protocol_version = "HTTP/1.1"
    timeout = 60  # A client that stops in mid-request frees its thread.

    def do_GET(self) -> None:
        """Answers the ref advertisement."""
        self.serve()

    def do_POST(self) -> None:
        """Answers a fetch's negotiation, or takes a push."""
        self.serve()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing; the demo's terminal belongs to the demo."""

    def serve(self) -> None:
        """Answers this request, when it is for the one repository."""
        url = urlsplit(self.path)
        path = unquote(url.path)
        if not path.startswith(f"/{self.served}/") or ".." in path.split("/"):
            self.send_error(404)
            return
        self.run_backend(self.environment(path=path, query=url.query))

    def run_backend(self, environment: dict[str, str]) -> None:
        """Runs the backend for this request, and ends it when the client leaves."""
        with subprocess.Popen(
            self.backend, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        ) as backend:
            assert backend.stdin is not None and isinstance(backend.stdout, BufferedReader)
            try:
                self._send_body(backend.stdin)
                self._send_answer(backend.stdout)
            except (OSError, ValueError):
                backend.kill()
                self.close_connection = True

    def environment(self, *, path: str, query: str) -> dict[str, str]:
        """Returns the CGI variables; the machine's own Git configuration is left out."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.project_root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": str(self.project_root),
            "GIT_HTTP_EXPORT_ALL": "1",
            # A push is taken from a user whom the server has let in; on loopback that is anyone.
            "REMOTE_USER": "demo",
            "REMOTE_ADDR": self.client_address[0],
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            # The backend unpacks a gzip'd body by itself when it is told of it.
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        if _LENGTH_HEADER in self.headers:
            environment["CONTENT_LENGTH"] = self.headers[_LENGTH_HEADER]
        return environment

    def _send_body(self, stdin: IO[bytes]) -> None:
        with stdin:
            sent_bytes = 0
            for chunk in self._body():
                sent_bytes += len(chunk)
                if sent_bytes > BODY_BYTES_MAX:
                    raise ValueError("the body is too large")
                stdin.write(chunk)

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline(LINE_BYTES_MAX).split(b";")[0], 16):
                yield from self._exactly(size)
                self.rfile.readline(LINE_BYTES_MAX)
            while self.rfile.readline(LINE_BYTES_MAX).strip():
                pass  # Trailers mean nothing here.
        else:
            yield from self._exactly(int(self.headers.get(_LENGTH_HEADER, 0)))

    def _exactly(self, size_bytes: int) -> Iterator[bytes]:
        while size_bytes > 0:
            chunk = self.rfile.read(min(size_bytes, CHUNK_BYTES))
            if not chunk:
                raise ConnectionError("the client left")
            size_bytes -= len(chunk)
            yield chunk

    def _send_answer(self, stdout: BufferedReader) -> None:
        status, headers = 200, []
        while line := stdout.readline(LINE_BYTES_MAX).strip():
            name, _, value = line.decode("latin-1").partition(": ")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while chunk := stdout.read1(CHUNK_BYTES):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        self.wfile.write(b"0\r\n\r\n")
