"""The records of one cluster, as its watch last told or a request of ours was answered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Generic

import structlog

from reconciler.core.suspending import UNTIL, suspended
from reconciler.errors import InvalidInput
from reconciler.model.facts import Suspension
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.model.records import Record
from reconciler.ports.kube import Change, WatchEvent
from reconciler.schema.records import named_cell
from reconciler.shell.executor.orders import CellKey, Installation
from reconciler.shell.executor.suspending import tell_suspension

KEPT = ("annotations", "labels")
"""Of an object's metadata, what others write."""

_log = structlog.get_logger(__name__)


class KnownRecords(Generic[Record]):
    """Records by cell; written by a watch and by whoever asks the cluster, read by others.

    What another installation has recorded is not known to us: of it there is only whose it is (`other`).
    A record and the metadata of the object that it was read from are always of one version: a
    replacement of that version can then not take out what somebody has written since.

    Args:
        read: Reads one.
        installation: Whose records are ours.
        **where: Of which cluster they are, for the log.
    """

    def __init__(
        self, read: Callable[[KubeObject], Record], installation: Installation, **where: str
    ) -> None:
        self._read: Callable[[KubeObject], Record] = read
        self._installation = installation
        self._where = where
        self._lock = threading.Lock()
        self._records: dict[CellKey, Record] = {}
        self._environments: dict[ServiceName, set[EnvironmentName]] = {}
        self._metadata: dict[CellKey, KubeObject] = {}
        self._unreadable: set[CellKey] = set()

    def note(self, event: WatchEvent) -> CellKey | None:
        """Takes an event of the watch; returns the cell about which something new is known."""
        if event.change is Change.BOOKMARK:
            return None
        try:
            record = self._read(event.object)
        except InvalidInput as error:
            # What cannot be read is not "none there": the former stays, and a claim will conflict.
            _log.warning("record-unreadable", **self._where, error=str(error))
            return self._note_unreadable(event)
        key = (record.service, record.environment)
        with self._lock:
            self._unreadable.discard(key)
            if not self._is_news(record):
                return None
            if event.change is Change.DELETED:
                self._drop(key)
            else:
                self._put(record, event.object)
        return key

    def _note_unreadable(self, event: WatchEvent) -> CellKey:
        key = named_cell(event.object)
        with self._lock:
            if event.change is Change.DELETED:
                self._unreadable.discard(key)
            else:
                self._unreadable.add(key)
        return key

    def keep(self, obj: KubeObject) -> Record:
        """Takes the answer to a request of ours, unless a watch has told of a later one; returns it read.

        Raises:
            InvalidInput: It is no such record.
        """
        record = self._read(obj)
        with self._lock:
            if self._is_news(record):
                self._put(record, obj)
        return record

    def reread(self, key: CellKey, obj: KubeObject | None) -> Record | None:
        """Takes what the server has just said, after a write of ours went wrong; returns it read.

        Whatever its version: a cluster that was restored from a backup counts from lower ones.

        Raises:
            InvalidInput: It is no such record.
        """
        record = None if obj is None else self._read(obj)
        with self._lock:
            if obj is None or record is None:
                self._drop(key)
            else:
                self._put(record, obj)
        return record

    def get(self, key: CellKey) -> Record | None:
        """Returns a cell's record, if it is ours."""
        with self._lock:
            record = self._records.get(key)
        return None if self._installation.other(record) else record

    def other(self, key: CellKey) -> str:
        """Returns the installation that a cell's record belongs to, if that is another; else nothing."""
        with self._lock:
            return self._installation.other(self._records.get(key))

    def items(self) -> tuple[tuple[CellKey, Record], ...]:
        """Returns every record that is ours."""
        with self._lock:
            found = tuple(self._records.items())
        return tuple((key, r) for key, r in found if not self._installation.other(r))

    def cells(self) -> tuple[CellKey, ...]:
        """Returns every cell with a record, another's and one that cannot be read included."""
        with self._lock:
            return tuple({**self._records, **dict.fromkeys(self._unreadable)})

    def environments(self, service: ServiceName) -> frozenset[EnvironmentName]:
        """Returns the environments in which a service has a record here."""
        with self._lock:
            return frozenset(self._environments.get(service, ()))

    def suspended(self, key: CellKey, now: datetime) -> Suspension | None:
        """Returns a person's suspension of a record; None when there is none, or it is over."""
        with self._lock:
            metadata = self._metadata.get(key)
        return suspended(None if metadata is None else {"metadata": metadata}, now)

    def suspending(self) -> tuple[CellKey, ...]:
        """Returns the records with the annotation, whatever it says."""
        with self._lock:
            each = list(self._metadata.items())
        return tuple(key for key, meta in each if UNTIL in (meta.get("annotations") or {}))

    def is_readable(self, key: CellKey) -> bool:
        """Whether a cell's record, if there is one, could be read: then None means none."""
        with self._lock:
            return key not in self._unreadable

    def kept(self, key: CellKey) -> KubeObject:
        """Returns of a record's metadata what others write, which a replacement must keep."""
        with self._lock:
            metadata = self._metadata.get(key, {})
        return {name: metadata[name] for name in KEPT if name in metadata}

    def uid(self, key: CellKey) -> str:
        """Returns the uid of a record's object, or nothing while it is not known."""
        with self._lock:
            return str(self._metadata.get(key, {}).get("uid", ""))

    def _is_news(self, record: Record) -> bool:
        was = self._records.get((record.service, record.environment))
        return was is None or _number(was.version) <= _number(record.version)

    def _put(self, record: Record, obj: KubeObject) -> None:
        key = (record.service, record.environment)
        was = self._metadata.get(key)
        tell_suspension(obj, None if was is None else {**obj, "metadata": was}, **self._where)
        self._records[key] = record
        self._metadata[key] = obj["metadata"]
        self._environments.setdefault(key[0], set()).add(key[1])

    def _drop(self, key: CellKey) -> None:
        self._records.pop(key, None)
        self._metadata.pop(key, None)
        left = self._environments.get(key[0], set())
        left.discard(key[1])
        if not left:
            self._environments.pop(key[0], None)


def _number(version: str) -> int:
    """resourceVersions of one kind can be compared as numbers.

    Source: Kubernetes 1.35, KEP-5504 "Comparable Resource Version".
    """
    return int(version) if version.isdecimal() else 0
