"""A client made from files, and made anew when one of them changes: credentials are replaced while we run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from kubernetes.client import ApiClient

from reconciler.errors import InvalidInput

_log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, ...], ...]


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
        self._made, self._read_as = self._read()

    def __call__(self) -> ApiClient:
        """Returns a client; the files are looked at, and read again only when they changed."""
        with self._lock:
            now = _stamp(self._made.files)
            if now != self._read_as:
                self._follow(now)
            return self._made.api

    def _follow(self, now: Stamp) -> None:
        try:
            self._made, self._read_as = self._read()
        except InvalidInput as error:
            self._read_as = now
            _log.warning("credentials-kept", cluster=self._name, error=str(error))
            return
        _log.info("credentials-reread", cluster=self._name)

    def _read(self) -> tuple[Made, Stamp]:
        """Reads once to learn which files there are, and once more after they were looked at.

        So what is written in between differs from what was looked at, and is read the next time.
        """
        stamp = _stamp(self._make().files)
        return self._make(), stamp


def _stamp(files: tuple[Path, ...]) -> Stamp:
    """Returns what differs once a file is written or replaced, behind a symbolic link as well."""
    found: list[tuple[int, ...]] = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            found.append(())
        else:
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)
