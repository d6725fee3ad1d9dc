"""Exchanges with the remote, each in a process of its own that is killed when its time is up.

libgit2 has no total time limit (a remote that sends a byte a second is served for ever), keeps one
trust store for the whole process, and unpacks what strangers sent. A child process answers all
three: it can be killed, it trusts what the files say now, and its memory is its own.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from reconciler import errors
from reconciler.adapters.git.access import GitAccess
from reconciler.adapters.git.addresses import RemoteAddress
from reconciler.adapters.git.errors import MirrorBroken, clean
from reconciler.errors import ReconcilerError, Unreachable

_CHILD = "reconciler.adapters.git.exchange_process"

WAITS_S = 600.0
"""How long a process is used again, in seconds: the system's own certificates are read at its start."""

ENDS_S = 5.0
"""How long a process that has closed its answer may take to end, in seconds."""

_ERRORS: dict[str, type[ReconcilerError]] = {
    kind.__name__: kind
    for kind in (
        errors.OperatorError,
        errors.InvalidInput,
        errors.Denied,
        errors.Refused,
        errors.TransientError,
        errors.Unreachable,
        errors.Conflict,
        errors.Throttled,
        MirrorBroken,
    )
}


class Operation(StrEnum):
    """What the child is asked for."""

    FETCH = "fetch"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Request:
    """What the child is told, as one line; it names files and holds no secret.

    Attributes:
        branch: The branch to fetch or to push to.
        must_exist: For a push: refuse to make the branch (it is the one people merge into).
        commit: For a push: the commit.
        mirror: The bare repo that the exchange fills or reads.
        home: A folder of ours for libssh2's `.ssh/known_hosts`.
    """

    operation: Operation
    url: str
    branch: str
    mirror: str
    home: str
    username: str
    received_bytes_max: int
    memory_bytes_max: int
    token_file: str | None = None
    ssh_key_file: str | None = None
    known_hosts_file: str | None = None
    commit: str = ""
    must_exist: bool = True

    @classmethod
    def parse(cls, text: str) -> Request:
        """Reads what `text` wrote."""
        values: dict[str, Any] = json.loads(text)
        return cls(**{**values, "operation": Operation(values["operation"])})

    def text(self) -> str:
        """Returns the request as one JSON object."""
        return json.dumps(asdict(self))


def request_for(access: GitAccess, *, operation: Operation, mirror: Path, home: Path) -> Request:
    """Fills a request from the access; the branch is the one people merge into."""

    def shown(path: Path | None) -> str | None:
        return None if path is None else str(path.absolute())

    return Request(
        operation=operation,
        url=access.url,
        branch=access.branch,
        mirror=str(mirror.absolute()),
        home=str(home.absolute()),
        username=access.username,
        received_bytes_max=access.received_bytes_max,
        memory_bytes_max=access.memory_bytes_max,
        token_file=shown(access.token_file),
        ssh_key_file=shown(access.ssh_key_file),
        known_hosts_file=shown(access.ssh_known_hosts_file),
    )


class Exchanges:
    """Runs exchanges, each in a process of its own that is ended when its time is up.

    A fetch that finds nothing new is most of them, and starting Python and libgit2 is most of its cost.
    Its process, which took in nothing but names, waits for the next exchange; any other one ends.

    Safe to call from several threads.
    """

    def __init__(self) -> None:
        self._waiting: deque[_Child] = deque()
        weakref.finalize(self, _end_all, self._waiting)

    def run(
        self, request: Request, *, address: RemoteAddress, ca_file: Path | None, timeout_s: float
    ) -> dict[str, Any]:
        """Runs an exchange to its end, or ends it.

        Raises:
            Unreachable: The time is up, or the process ended without an answer.
            ReconcilerError: What the process found.
        """
        child = self._child(_environment(request, ca_file), _trusted(ca_file))
        waits = False
        try:
            answer = _answer(child, request, f"repo {address.text}", timeout_s)
            waits = bool(answer.pop("waits", False))
            return answer
        finally:
            if waits:
                self._waiting.append(child)
            else:
                child.end()

    def _child(self, environment: dict[str, str], trusted: object) -> _Child:
        with suppress(IndexError):  # None waits, or another thread took the last.
            while True:
                child = self._waiting.pop()
                if child.serves(environment, trusted):
                    return child
                child.end()
        return _Child(environment, trusted)


class _Child:
    """A process that takes requests, one a line, and answers each with a line.

    It leaves when our end of its stdin is gone: a daemon that is killed takes its exchange with it.

    Args:
        environment: Its environment; where it stands what is trusted is read once, at its start.
        trusted: What tells that file from a later one.
    """

    def __init__(self, environment: dict[str, str], trusted: object) -> None:
        self._environment = environment
        self._trusted = trusted
        self._until_s = time.monotonic() + WAITS_S
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    def serves(self, environment: dict[str, str], trusted: object) -> bool:
        """Whether it lives and would start the same way now."""
        lives = self._process.poll() is None and time.monotonic() < self._until_s
        return lives and (environment, trusted) == (self._environment, self._trusted)

    def ask(self, text: str, timeout_s: float) -> bytes:
        """Returns the line that it answers with; what is whole or not when it ended before.

        Raises:
            TimeoutError: It did neither in time.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        until_s = time.monotonic() + timeout_s
        with suppress(BrokenPipeError):  # Its end is seen where it should answer.
            stdin.write(f"{text}\n".encode())
            stdin.flush()
        told = b""
        # Not select(): a daemon of many clusters has more open files than that can name.
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not told.endswith(b"\n"):
                if not selector.select(max(0.0, until_s - time.monotonic())):
                    raise TimeoutError
                chunk = os.read(stdout.fileno(), 1 << 16)
                if not chunk:
                    break
                told += chunk
        return told

    def failure(self) -> tuple[int, str]:
        """Returns the code with which it ended, and the last line it wrote to stderr.

        Raises:
            TimeoutError: It answers no more, and does not end.
        """
        try:
            _, stderr = self._process.communicate(timeout=ENDS_S)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        lines = stderr.decode(errors="replace").strip().splitlines()
        return self._process.returncode, lines[-1] if lines else ""

    def end(self) -> None:
        """Ends it, whatever it does."""
        self._process.kill()
        with self._process:  # Waits, and closes the pipes.
            pass


def _end_all(waiting: deque[_Child]) -> None:
    while waiting:
        waiting.pop().end()


def _answer(child: _Child, request: Request, object: str, timeout_s: float) -> dict[str, Any]:
    operation = request.operation
    try:
        told = child.ask(request.text(), timeout_s)
        code, words = (0, "") if told.endswith(b"\n") else child.failure()
    except TimeoutError:
        raise Unreachable(
            object,
            f"the {operation} was given up",
            f"it took longer than {timeout_s:g} s",
            "look at the remote, or raise repo.timeout_s",
        ) from None
    if not told.endswith(b"\n"):
        if code < 0:
            raise Unreachable(object, f"the {operation} ended early", f"by signal {-code}")
        raise RuntimeError(f"the {operation} process failed ({code}): {clean(words)}")
    answer: dict[str, Any] = json.loads(told)
    if "error" in answer:
        error = answer["error"]
        raise _ERRORS[error["kind"]](error["object"], error["what"], error["why"], error["fix"])
    return answer


def _trusted(ca_file: Path | None) -> object:
    """Returns what changes when a file of certificates does; a process reads it once."""
    if ca_file is None:
        return None
    try:
        stat = ca_file.stat()
    except OSError as error:
        return error.errno
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def told(error: ReconcilerError) -> dict[str, Any]:
    """Returns an error as the child tells it."""
    kind = next(kind for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    parts = {field: getattr(error, field) for field in ("object", "what", "why", "fix")}
    return {"error": {"kind": kind.__name__, **parts}}


def _environment(request: Request, ca_file: Path | None) -> dict[str, str]:
    environment = {
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "HOME": request.home,
        "LANG": "C.UTF-8",
    }
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        if name in os.environ:
            environment[name] = os.environ[name]
    if ca_file is not None:
        # pygit2 and OpenSSL both load what these name, and libgit2 can only ever add to it.
        environment |= {"SSL_CERT_FILE": str(ca_file.absolute()), "SSL_CERT_DIR": request.home}
    return environment
