"""One exchange with the remote, in a process of its own that is killed when its time is up.

libgit2 has no total time limit (a remote that sends a byte a second is served for ever), keeps one
trust store for the whole process, and unpacks what strangers sent. A child process answers all
three: it can be killed, it starts with the files as they are now, and its memory is its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    """What the child is told, as its one argument; it names files and holds no secret.

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


def run(
    request: Request, *, address: RemoteAddress, ca_file: Path | None, timeout_s: float
) -> dict[str, Any]:
    """Runs the exchange to its end, or ends it.

    Raises:
        Unreachable: The time is up, or the child ended without an answer.
        ReconcilerError: What the child found.
    """
    object = f"repo {address.text}"
    # The child reads its end of this pipe and leaves when ours is gone: a daemon that is killed
    # takes its exchange with it.
    child_end, our_end = os.pipe()
    try:
        child = subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", _CHILD, request.text()],
            stdin=child_end,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(request, ca_file),
        )
        os.close(child_end)
        child_end = -1
        with child:
            try:
                stdout, stderr = child.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                child.kill()
                raise Unreachable(
                    object,
                    f"the {request.operation} was given up",
                    f"it took longer than {timeout_s:g} s",
                    "look at the remote, or raise repo.timeout_s",
                ) from None
    finally:
        os.close(our_end)
        if child_end >= 0:
            os.close(child_end)
    return _answer(object, request.operation, child.returncode, stdout, stderr)


def _answer(
    object: str, operation: Operation, returncode: int, stdout: bytes, stderr: bytes
) -> dict[str, Any]:
    if returncode < 0:
        raise Unreachable(object, f"the {operation} ended early", f"by signal {-returncode}")
    if returncode > 0 or not stdout:
        last_line = (stderr.decode(errors="replace").strip().splitlines() or [""])[-1]
        raise RuntimeError(f"the {operation} process failed ({returncode}): {clean(last_line)}")
    answer: dict[str, Any] = json.loads(stdout)
    if "error" in answer:
        told = answer["error"]
        raise _ERRORS[told["kind"]](told["object"], told["what"], told["why"], told["fix"])
    return answer


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
