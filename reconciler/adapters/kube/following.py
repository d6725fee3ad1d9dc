"""A client made from files, and made anew when one of them changes: credentials are replaced while we run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from kubernetes.client import ApiClient

from reconciler.errors import InvalidInput

_log = structlog.get_logger(__name__)

Stamp = tuple[int, ...]

COARSE_NS = 20_000_000
"""How far a file's time may be behind the clock's: kernels write it by their tick."""


@dataclass(frozen=True, slots=True)
class Made:
    """A client and every file that went into it."""

    api: ApiClient
    files: tuple[Path, ...]


class Followed:
    """Gives the client of the files as they are now.

    A file that is gone or not acceptable changes nothing: it may be half written, and what was read
    before is good until the server says otherwise.

    Args:
        make: Reads the files; raises InvalidInput when they are not acceptable.
        name: The cluster, for logs.

    Raises:
        InvalidInput: The files are not acceptable from the start.
    """

    def __init__(self, make: Callable[[], Made], *, name: str) -> None:
        self._make = make
        self._name = name
        self._lock = threading.Lock()
        self._made, self._read_as = self._read({})

    def __call__(self) -> ApiClient:
        """Returns a client; the files are looked at, and read again only when they changed."""
        with self._lock:
            now = {file: _stamp(file) for file in self._made.files}
            if now != self._read_as:
                self._follow(now)
            return self._made.api

    def _follow(self, now: Mapping[Path, Stamp]) -> None:
        try:
            self._made, self._read_as = self._read(now)
        except InvalidInput as error:
            self._read_as = now
            _log.warning("credentials-kept", cluster=self._name, error=str(error))
            return
        _log.info("credentials-reread", cluster=self._name)

    def _read(self, looked_at: Mapping[Path, Stamp]) -> tuple[Made, Mapping[Path, Stamp]]:
        """Reads the files; what may have been written since they were read counts as not read.

        Args:
            looked_at: Files that are known, as they were just before.
        """
        began_ns = time.time_ns()
        made = self._make()
        found = {file: looked_at.get(file) or _settled(file, began_ns) for file in made.files}
        return made, found


def _settled(file: Path, began_ns: int) -> Stamp:
    """Returns the stamp of a file that is known since it was read; nothing where it is as new as that."""
    stamp = _stamp(file)
    return stamp if stamp and stamp[0] < began_ns - COARSE_NS else ()


def _stamp(file: Path) -> Stamp:
    """Returns what differs once a file is written or replaced, behind a symbolic link as well."""
    try:
        stat = file.stat()
    except OSError:
        return ()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
