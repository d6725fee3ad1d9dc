"""The coordinator's memory in the home cluster: written by compare-and-set before anything follows from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from reconciler.core.recording import with_known_reverts
from reconciler.errors import Conflict, ReconcilerError, Refused, Unreachable
from reconciler.model.facts import Suspension
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import PromotionRecord
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi, WatchEvent
from reconciler.schema.records import (
    promotion_record_object,
    read_promotion_record,
    record_name,
)
from reconciler.shell.executor.known import KnownRecords
from reconciler.shell.executor.live import StartWatch
from reconciler.shell.executor.orders import Installation, not_ours

PROMOTION_RECORDS = ("reconciler.dev/v1alpha1", "PromotionRecord")

AMENDS_MAX = 5
"""Two tasks of one daemon write a record; each try that is lost is the other's progress."""

Key = tuple[ServiceName, EnvironmentName]

_log = structlog.get_logger(__name__)


class PromotionRecords:
    """Every promotion record, as the home last told it or as we have decided since.

    A watch writes to it, and two tasks read and write: the coordinator, and the one that commits. One
    of them writes at a time, since an answer that comes in late would set back what came after it.

    Args:
        api: The home cluster.
        namespace: The reconciler's own.
        start_watch: Starts the watch.
        on_change: Told of each record that changed on the server.
        on_fresh: Called when they have been listed, or are heard of again after a gap.
        answers: Whether the home answers. While it does not, a write is not even tried: a home that
            hangs would hold up the roll-backs of every other cluster for as long as a request may take.
        may_write: Whether anything may be written for a cell now. What was decided while it might
            waits until it may again.
        clock: By which a suspension ends.
        installation: Whose records are ours.
    """

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        start_watch: StartWatch,
        on_change: Callable[[Key], None],
        on_fresh: Callable[[], None],
        answers: Callable[[], bool],
        may_write: Callable[[Key], bool],
        clock: Clock,
        installation: Installation,
    ) -> None:
        self._api = api
        self._answers = answers
        self._may_write = may_write
        self._namespace = namespace
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.RLock()
        self._writing = threading.RLock()
        self._known = KnownRecords(read_promotion_record, installation)
        self._unsaved: dict[Key, PromotionRecord] = {}
        self._was_synced = False
        self._watched = start_watch(PROMOTION_RECORDS, "", self._note, on_fresh)

    def is_known(self, key: Key) -> bool:
        """Whether they have been read whole once, and this one could be: then None means none."""
        return self.are_known and self._known.is_readable(key)

    @property
    def are_known(self) -> bool:
        """Whether they have been read whole once; from then on they are kept up to date."""
        self._was_synced = self._was_synced or self._watched.is_fresh
        return self._was_synced

    def suspended(self, key: Key) -> Suspension | None:
        """Returns by whose word a record is suspended, if it is."""
        return self._known.suspended(key, self._clock.now())

    def get(self, key: Key) -> PromotionRecord | None:
        """Returns a record as it was decided last, or None when there is none of ours."""
        with self._lock:
            own = self._unsaved.get(key) or self._known.get(key)
            return None if self._known.other(key) else own

    def other(self, key: Key) -> str:
        """Returns the installation that a record belongs to, if that is another; else nothing."""
        return self._known.other(key)

    def is_saved(self, key: Key) -> bool:
        """Whether the home has taken what `get` returns."""
        with self._lock:
            return key not in self._unsaved

    def reference(self, key: Key) -> KubeObject:
        """Returns how others name a record; its uid, by which kubectl finds its Events, once it is there."""
        api_version, kind = PROMOTION_RECORDS
        uid = self._known.uid(key)
        return {
            "apiVersion": api_version,
            "kind": kind,
            "namespace": self._namespace,
            "name": record_name(*key),
            **({"uid": uid} if uid else {}),
        }

    def cells(self) -> tuple[Key, ...]:
        """Returns every cell with a record, one that cannot be read included."""
        with self._lock:
            return tuple(dict.fromkeys((*self._known.cells(), *self._unsaved)))

    def save(self, record: PromotionRecord) -> PromotionRecord:
        """Writes a record, or raises and keeps the former.

        Raises:
            Refused: A coordinator with a higher epoch, or another installation, has been there.
            TransientError: No answer, or somebody wrote it since.
        """
        key = (record.service, record.environment)
        with self._writing:
            try:
                stored = self._write(record)
            except Conflict:
                # What we have is behind, and the watch may have told it already: it is read instead.
                self._read_again(key, record)
                raise
            with self._lock:
                kept = self._known.keep(stored)
                self._unsaved.pop(key, None)
        return kept

    def keep(self, record: PromotionRecord) -> None:
        """Takes a record that must count even while the home does not answer; `retry` writes it."""
        with self._writing:
            try:
                self.save(record)
            except Refused:
                raise
            except ReconcilerError as error:
                _log.warning("record-unsaved", service=record.service, error=str(error))
                with self._lock:
                    self._unsaved[(record.service, record.environment)] = record

    def amend(self, key: Key, change: Callable[[PromotionRecord], PromotionRecord]) -> None:
        """Changes a record as it stands now, whoever else writes to it meanwhile; as `keep` otherwise.

        Raises:
            Refused: A coordinator with a higher epoch has been there.
            TransientError: Others wrote to it all the time.
        """
        with self._writing:
            for _ in range(AMENDS_MAX):
                record = self.get(key)
                if record is None or change(record) == record:
                    return
                try:
                    self.save(change(record))
                except Conflict:
                    continue
                except Refused:
                    raise
                except ReconcilerError as error:
                    _log.warning("record-unsaved", service=record.service, error=str(error))
                    with self._lock:
                        self._unsaved[key] = change(record)
                return
        raise Conflict(f"record {key[0]}.{key[1]}", "cannot be changed", "others change it")

    def retry(self) -> bool:
        """Writes what the home has not taken yet; returns whether nothing is left."""
        with self._lock:
            waiting = tuple(self._unsaved)
        for key in filter(self._may_write, waiting):
            try:
                with self._writing:
                    self._retry(key)
            except ReconcilerError:
                return False
            self._on_change(key)
        with self._lock:
            return not self._unsaved

    def _retry(self, key: Key) -> None:
        with self._lock:
            record = self._unsaved.get(key)
        if record is None:
            return
        try:
            # A conflict has merged the two; the next try writes what came of it.
            with suppress(Conflict):
                self.save(record)
        except Refused as error:
            _log.warning("record-fenced", service=record.service, error=str(error))
            with self._lock:
                self._unsaved.pop(key, None)

    def _read_again(self, key: Key, record: PromotionRecord) -> None:
        """Takes over what the home holds now, and builds upon it what it has not taken yet."""
        found = self._api.get(ObjectRef.of(self._object(record)))
        with self._lock:
            self._known.reread(key, found)
            there = self._known.get(key)
            waiting = self._unsaved.get(key)
            if waiting is None:
                return
            if there is not None and there.epoch > waiting.epoch:
                self._unsaved.pop(key)
            elif there is not None:
                merged = with_known_reverts(waiting, there)
                self._unsaved[key] = replace(merged, version=there.version)
            else:
                self._unsaved[key] = replace(waiting, version="")

    def _write(self, record: PromotionRecord) -> KubeObject:
        obj = self._object(record)
        if not self._answers():
            subject = f"record {record.service}.{record.environment}"
            raise Unreachable(subject, "cannot be written", "the home does not answer")
        key = (record.service, record.environment)
        other = self._known.other(key)
        if other:
            raise Refused(*not_ours("PromotionRecord", key, other))
        if record.version:
            # A person's annotations stay: a replacement would take them out.
            kept = self._known.kept(key)
            obj = {**obj, "metadata": {**kept, **obj["metadata"]}}
            return self._api.replace(obj, subresource=None)
        return self._api.create(obj)

    def _object(self, record: PromotionRecord) -> KubeObject:
        return promotion_record_object(record, namespace=self._namespace)

    def _note(self, event: WatchEvent) -> None:
        key = self._known.note(event)
        if key is not None:
            self._on_change(key)
