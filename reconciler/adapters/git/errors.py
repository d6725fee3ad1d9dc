"""One translation of what pygit2 and the system raise into the project's errors."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pygit2

from reconciler.adapters.git.access import MESSAGE_CHARACTERS_MAX
from reconciler.errors import (
    Denied,
    InvalidInput,
    OperatorError,
    ReconcilerError,
    Throttled,
    TransientError,
    Unreachable,
)

LIBRARY_ERRORS = (pygit2.GitError, KeyError, ValueError, OSError, MemoryError, StopIteration)
"""What pygit2 raises; its NotFoundError is a KeyError, its InvalidError a ValueError."""

_Make = Callable[[str, str, str, str], ReconcilerError]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_WITH_CREDENTIAL = re.compile(r"(?<=://)[^/@\s]+@")


class MirrorBroken(TransientError):
    """The mirror lacks or garbles an object that it should hold; the next fetch clones it anew."""


_CREDENTIALS = "check repo.token_file or repo.ssh_key_file, and what it may do"
_TRUST = "check repo.ca_file or repo.known_hosts_file against the server"

# The first row whose text occurs decides. libgit2 1.9 gives most failures one class and no
# number, so that the text is all there is.
_ROWS: tuple[tuple[str, _Make, str], ...] = (
    (
        "no space left|quota exceeded|file too large",
        OperatorError,
        "free disk space for the mirror, or give state_dir a larger volume",
    ),
    ("read-only file system|permission denied", OperatorError, "let the daemon write there"),
    ("too many open files", OperatorError, "raise the limit of open files"),
    (
        "out of memory|cannot allocate",
        OperatorError,
        "find the object that swells when unpacked (git rev-list --objects --disk-usage)",
    ),
    (
        "certificate|hostkey|host key|ssl error|tls",
        Denied,
        _TRUST,
    ),
    (
        "authenticat|credential|status code: 401|status code: 403|private key|public key|callback",
        Denied,
        _CREDENTIALS,
    ),
    (
        "status code: 404|repository not found|does not appear to be a git repo|failed to resolve path"
        # libgit2 says this of a local path that is not there; other schemes never get this far.
        "|unsupported url protocol"
        "|could not find repository|not exist",
        InvalidInput,
        "check repo.url, and that the credential may see this repo",
    ),
    ("redirect", Denied, "set repo.url to the address that the server redirects to"),
    ("status code: 429", Throttled, ""),
    (
        "packfile|checksum|corrupt|zlib|inflate|object not found|no match for id|missing delta"
        "|failed to read descriptor|invalid object|invalid pack|hash mismatch|odb",
        MirrorBroken,
        "",
    ),
)


def clean(text: str, characters_max: int = MESSAGE_CHARACTERS_MAX) -> str:
    """Returns another side's words on one line, without control characters and URLs' user parts."""
    return _WITH_CREDENTIAL.sub("", _CONTROL.sub(" ", text)).strip()[:characters_max].strip()


def translate(error: Exception, *, object: str, what: str) -> ReconcilerError:
    """Returns the project's error for a library's; what nothing is known about is a TransientError."""
    if isinstance(error, ReconcilerError):
        return error
    why = clean(_text(error)) or type(error).__name__
    if isinstance(error, MemoryError):
        why = "out of memory"
    if isinstance(error, pygit2.CertificateError):
        return Denied(object, what, why, _TRUST)
    if isinstance(error, pygit2.AuthError):
        return Denied(object, what, why, _CREDENTIALS)
    if isinstance(error, TimeoutError | subprocess.TimeoutExpired):
        return Unreachable(object, what, why)
    for pattern, make, fix in _ROWS:
        if re.search(pattern, why, re.IGNORECASE):
            return make(object, what, why, fix)
    return Unreachable(object, what, why)


@contextmanager
def translated(*, object: str, what: str) -> Iterator[None]:
    """Turns every library error raised inside into the project's."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise translate(error, object=object, what=what) from error


def _text(error: Exception) -> str:
    # A KeyError's own text is the repr of its argument, in quotes.
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
