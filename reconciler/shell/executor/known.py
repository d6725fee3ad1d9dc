"""The service records of one cluster, as its watch last told or our own writes were answered."""

from __future__ import annotations

import threading
from datetime import datetime

import structlog

from reconciler.errors import InvalidInput
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.model.records import ServiceRecord
from reconciler.ports.kube import Change, WatchEvent
from reconciler.schema.records import named_cell, read_service_record
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.executor.suspending import UNTIL, suspended

_log = structlog.get_logger(__name__)


class KnownRecords:
    """Records by cell; written by a watch and by the executor, read by the coordinator."""

    def __init__(self, cluster: ClusterName) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._records: dict[CellKey, ServiceRecord] = {}
        self._environments: dict[ServiceName, set[EnvironmentName]] = {}
        self._noted: dict[CellKey, KubeObject] = {}
        self._unreadable: set[CellKey] = set()

    def note(self, event: WatchEvent) -> CellKey | None:
        """Takes an event of the watch; returns the cell about which something new is known."""
        if event.change is Change.BOOKMARK:
            return None
        try:
            record = read_service_record(event.object)
        except InvalidInput as error:
            # What cannot be read is not "none there": the former stays, and a claim will conflict.
            _log.warning("record-unreadable", cluster=self._cluster, error=str(error))
            return self._note_unreadable(event)
        key = (record.service, record.environment)
        with self._lock:
            self._unreadable.discard(key)
            if not self._is_news(key, record):
                return None
            if event.change is Change.DELETED:
                self._drop(key)
                return key
            self._put(key, record)
            self._noted[key] = {"metadata": event.object["metadata"]}
        return key

    def _note_unreadable(self, event: WatchEvent) -> CellKey:
        key = named_cell(event.object)
        with self._lock:
            if event.change is Change.DELETED:
                self._unreadable.discard(key)
            else:
                self._unreadable.add(key)
        return key

    def keep(self, record: ServiceRecord) -> None:
        """Takes the answer to a write of ours, unless a watch has told of a later one."""
        key = (record.service, record.environment)
        with self._lock:
            if self._is_news(key, record):
                self._put(key, record)

    def reread(self, key: CellKey, record: ServiceRecord | None) -> None:
        """Takes what the server has just said, after a write of ours went wrong."""
        with self._lock:
            if record is None:
                self._drop(key)
            else:
                self._put(key, record)

    def get(self, key: CellKey) -> ServiceRecord | None:
        """Returns a cell's record."""
        with self._lock:
            return self._records.get(key)

    def items(self) -> tuple[tuple[CellKey, ServiceRecord], ...]:
        """Returns every record."""
        with self._lock:
            return tuple(self._records.items())

    def cells(self) -> tuple[CellKey, ...]:
        """Returns every cell with a record."""
        with self._lock:
            return tuple(self._records)

    def environments(self, service: ServiceName) -> frozenset[EnvironmentName]:
        """Returns the environments in which a service has a record here."""
        with self._lock:
            return frozenset(self._environments.get(service, ()))

    def suspended(self, key: CellKey, now: datetime) -> str:
        """Returns why a person has suspended a record, or nothing when nobody has, or no longer."""
        with self._lock:
            noted = self._noted.get(key)
        return suspended(noted, now)

    def suspending(self) -> tuple[CellKey, ...]:
        """Returns the records with the annotation, whatever it says."""
        with self._lock:
            noted = list(self._noted.items())
        return tuple(k for k, o in noted if UNTIL in (o["metadata"].get("annotations") or {}))

    def is_readable(self, key: CellKey) -> bool:
        """Whether a cell's record, if there is one, could be read: then None means none."""
        with self._lock:
            return key not in self._unreadable

    def metadata(self, key: CellKey) -> KubeObject:
        """Returns of a record's metadata what others write, which a replacement must keep."""
        with self._lock:
            noted = self._noted.get(key, {}).get("metadata", {})
        return {name: noted[name] for name in ("annotations", "labels") if name in noted}

    def _is_news(self, key: CellKey, record: ServiceRecord) -> bool:
        was = self._records.get(key)
        return was is None or _number(was.version) <= _number(record.version)

    def _put(self, key: CellKey, record: ServiceRecord) -> None:
        self._records[key] = record
        self._environments.setdefault(key[0], set()).add(key[1])

    def _drop(self, key: CellKey) -> None:
        self._records.pop(key, None)
        self._noted.pop(key, None)
        left = self._environments.get(key[0], set())
        left.discard(key[1])
        if not left:
            self._environments.pop(key[0], None)


def _number(version: str) -> int:
    """resourceVersions of one kind can be compared as numbers.

    Source: Kubernetes 1.35, KEP-5504 "Comparable Resource Version".
    """
    return int(version) if version.isdecimal() else 0
