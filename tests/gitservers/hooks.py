"""Server-side hooks that run a test's own code: git calls the hook, the hook calls the test."""

from __future__ import annotations

import socketserver
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

PreReceive = Callable[[], str | None]
"""Returns the words of a refusal, or None to let the push in."""

PostReceive = Callable[[], None]


class HangUp(Exception):
    """Raised by a test's code to have the connection dropped without an answer."""


# The hook's whole program: say which hook and for which refs, wait for the answer, and refuse when it
# holds words.
_PROGRAM = """#!{python} -IS
import socket, sys
with socket.create_connection(("127.0.0.1", {port})) as asked:
    refs = [line.split()[2] for line in sys.stdin]
    asked.sendall(" ".join(["{name}", *refs, "\\n"]).encode())
    words = asked.makefile().read()
if words != "accept\\n":
    sys.stderr.write(words)
    sys.exit(1)
"""


class Hooks:
    """Pre-receive and post-receive hooks of one repository; set the attributes at any time.

    Attributes:
        protected: Full names of refs to which every push is refused, after `pre_receive` has run.
        at_service: Called by the ssh server with the service, before refs are told; may hang, or raise HangUp.
        calls: The hooks and services that ran, in order.

    Args:
        repository: The bare repository that gets the hooks.
    """

    def __init__(self, repository: Path) -> None:
        self.pre_receive: PreReceive | None = None
        self.post_receive: PostReceive | None = None
        self.at_service: Callable[[str], None] | None = None
        self.calls: list[str] = []
        self.protected: frozenset[str] = frozenset()
        self._repository = repository
        hooks = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                name, *refs = self.rfile.readline().decode().split()
                with suppress(HangUp):
                    self.wfile.write(hooks.answer(name, refs).encode())

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def port(self) -> int:
        """Where hooks ask."""
        port: int = self._server.server_address[1]
        return port

    def answer(self, name: str, refs: Sequence[str] = ()) -> str:
        """Runs the test's code for a hook; "accept", or the words of a refusal."""
        self.calls.append(name)
        if name == "pre-receive":
            words = self.pre_receive() if self.pre_receive is not None else None
            if words is None and self.protected & set(refs):
                words = "protected branch"
            return f"{words}\n" if words is not None else "accept\n"
        if name == "post-receive" and self.post_receive is not None:
            self.post_receive()
        if name.startswith("git-") and self.at_service is not None:
            self.at_service(name)
        return "accept\n"

    def __enter__(self) -> Self:
        for name in ("pre-receive", "post-receive"):
            hook = self._repository / "hooks" / name
            hook.write_text(_PROGRAM.format(python=sys.executable, port=self.port, name=name))
            hook.chmod(0o755)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for name in ("pre-receive", "post-receive"):
            (self._repository / "hooks" / name).unlink(missing_ok=True)
