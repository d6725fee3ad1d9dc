"""What is seen of every cell on one cluster: its objects, their health and drift, and for how long it was well."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reconciler.core.pruning import BurialPlan
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.facts import MemberHealth
from reconciler.model.health import HealthStatus
from reconciler.model.names import RevisionId
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.ports.clock import Clock
from reconciler.shell.bugs import bug
from reconciler.shell.executor.applying import Applied
from reconciler.shell.executor.cells import CellState, Examined, Objects, Tombstone, look
from reconciler.shell.executor.inventory import Inventories
from reconciler.shell.executor.known import KnownRecords
from reconciler.shell.executor.live import Kind, LiveObjects
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.executor.records import is_applied
from reconciler.shell.executor.retries import Retries
from reconciler.shell.executor.soaking import Soak
from reconciler.shell.executor.stored import StoredObjects
from reconciler.shell.executor.telling import Teller
from reconciler.shell.executor.unsticking import stuck_below

STORED_DAMAGED = "StoredObjectsDamaged"
STORED_UNREAD = "StoredObjectsUnread"
LOOK_FAILED = "LookFailed"


class Looks:
    """The cells of one cluster as last looked at.

    What stands first, and reads under `lock`, are for any thread; all else is for the executor's own
    task. Nobody else changes what is known of a cell.

    Args:
        live: What is live.
        stored: Where a new process reads what was applied.
        inventories: Where a tombstone's is read: what must be gone.
        records: What was asked for.
        clock: Time.
        on_change: Told of each cell about which something new is known.
        teller: Tells of health.

    Attributes:
        drifting: Cells that differ from what is applied.
        stuck: Cells on their way back whose StatefulSets wait for broken Pods.
        unstored: Applied cells whose objects are not, or not readably, stored any more.
        loaded: Cells whose applied objects this process has just read: whatever an earlier one
            left undone there is for this one to find.
    """

    def __init__(
        self,
        live: LiveObjects,
        stored: StoredObjects,
        inventories: Inventories,
        records: KnownRecords[ServiceRecord],
        *,
        clock: Clock,
        on_change: Callable[[CellKey], None],
        teller: Teller,
    ) -> None:
        self._live = live
        self._stored = stored
        self._inventories = inventories
        self._records = records
        self._clock = clock
        self._on_change = on_change
        self._teller = teller
        self.lock = threading.RLock()
        self._cells: dict[CellKey, CellState] = {}
        self._dirty: set[CellKey] = set()
        self._waiting: set[CellKey] = set()
        self._unread: set[CellKey] = set()
        self._retries: Retries[CellKey] = Retries()
        self._stale: frozenset[Kind] = frozenset()
        self.drifting: set[CellKey] = set()
        self.stuck: set[CellKey] = set()
        self.unstored: set[CellKey] = set()
        self.loaded: set[CellKey] = set()

    # From any thread.

    def touch(self, key: CellKey) -> None:
        """Says that something about a cell may have changed."""
        with self.lock:
            self._dirty.add(key)

    def touch_waiting(self) -> None:
        """Says that something is fresh again that cells may have waited for."""
        with self.lock:
            self._dirty |= self._waiting

    def state(self, key: CellKey) -> CellState:
        """Returns what is known of a cell; read it under `lock`."""
        with self.lock:
            return self._cells.setdefault(key, CellState())

    def note_asked(self, key: CellKey) -> None:
        """Takes what a cell is asked for, by whichever coordinator or process: that begins to be waited for."""
        state = self.state(key)
        with self.lock:
            # Read in here: what was read before may be older than what the executor has just begun.
            record = self._records.get(key)
            asked_for = record.revision.id if record is not None else None
            if state.asked_for != asked_for:
                state.ask(asked_for, self._clock.monotonic_s())

    def is_fresh(self, key: CellKey) -> bool:
        """Whether a cell has been looked at, and nothing that it rests on has grown old."""
        with self.lock:
            return key in self._cells and self._cells[key].is_fresh

    # The executor's task.

    def blind(self, last_answer_s: float) -> None:
        """Nobody looks while the cluster does not answer."""
        with self.lock:
            for key, state in self._cells.items():
                state.soak.stop(last_answer_s)
                if state.is_fresh:
                    state.is_fresh = False
                    self._waiting.add(key)

    def step(self) -> float:
        """Looks at what changed; returns seconds until something may change by time alone."""
        self._age()
        now_s = self._clock.monotonic_s()
        with self.lock:
            dirty, self._dirty = self._dirty, set()
            due = {key for key in self._unread if self._retries.due_s(key) <= now_s}
        for key in sorted(dirty | due):
            try:
                self._look(key)
            except Exception as error:  # noqa: BLE001  # our bug must not keep the others from being looked at
                self._failed(key, LOOK_FAILED, bug(f"{key[0]} in {key[1]}", error))
        _, retry_s = self._retries.first_due(self._unread)
        with self.lock:
            if self._dirty:
                return 0.0
        return max(0.0, min(retry_s, self._live.fresh_until_s()) - self._clock.monotonic_s())

    def begin(self, record: ServiceRecord, *, since_s: float) -> None:
        """What was seen speaks of what was applied before; from here on it proves nothing.

        Args:
            record: It was claimed, and nothing was applied yet.
            since_s: Monotonic time since which its order is waited for. What was begun before, and never
                applied since, is waited for since then: each return of a cluster brings a new order.
        """
        key = (record.service, record.environment)
        state = self.state(key)
        with self.lock:
            if state.asked_for != record.revision.id or state.is_met:
                state.ask(record.revision.id, since_s)
            state.clear()
        self._forget(key)

    def applied(
        self,
        record: ServiceRecord,
        objects: tuple[KubeObject, ...],
        applied: tuple[Applied, ...],
    ) -> None:
        """Takes what was just applied."""
        key = (record.service, record.environment)
        state = self.state(key)
        with self.lock:
            by_ref = {one.ref: one for one in applied}
            # What a tombstone has to do with is in the inventory.
            is_tombstone = record.revision.absent
            state.objects = None if is_tombstone else Objects(record.revision.id, objects, by_ref)
            state.soak = Soak(record.healthy_s)
            state.seen, state.is_fresh, state.trouble = None, False, None
        self._forget(key)

    def buried(self, key: CellKey, plan: BurialPlan) -> None:
        """Takes what a burial has found: what stays for now and why, and whether all is gone."""
        kept = tuple(f"{ref}: {why}" for ref, why in plan.kept)
        self._note_burial(key, refs=plan.refs, kept=kept, is_gone=plan.is_done)

    def unburied(self, key: CellKey, error: ReconcilerError) -> None:
        """Takes why something could not be deleted, or looked for."""
        self._note_burial(key, kept=(str(error),), is_gone=False)

    def _note_burial(self, key: CellKey, **found: Any) -> None:
        state = self.state(key)
        objects = state.objects
        if objects is None or objects.tombstone is None:
            return
        tombstone = replace(objects.tombstone, **found)
        if tombstone == objects.tombstone:
            return
        with self.lock:
            state.objects = Objects(objects.revision, (), tombstone=tombstone)
        self.touch(key)

    def settled(self, key: CellKey, ref: ObjectRef, version: str) -> None:
        """Takes from the server that an object of some resourceVersion does not differ after all."""
        state = self.state(key)
        with self.lock:
            state.drift_settled[ref] = version
            if state.seen is not None:
                left = tuple(one for one in state.seen.drift if one.ref != ref)
                state.seen = replace(state.seen, drift=left)

    def examined(self, key: CellKey, found: Examined) -> None:
        """Takes what a comparison before an adoption has found."""
        state = self.state(key)
        with self.lock:
            state.examined = found

    def _forget(self, key: CellKey) -> None:
        for known in (self.drifting, self.stuck, self.unstored, self._unread, self._waiting):
            known.discard(key)
        self._retries.worked(key)

    def _age(self) -> None:
        """A cell is as old as the oldest of the kinds it rests on."""
        stale = self._live.stale()
        if stale == self._stale:
            return
        aged, self._stale = stale - self._stale, stale
        for key, state in list(self._cells.items()):
            if state.objects is None or not state.is_fresh or not (state.objects.kinds & aged):
                continue
            with self.lock:
                state.soak.stop(self._live.heard_s(state.objects.kinds & aged))
                state.is_fresh = False
                self._waiting.add(key)
            self._on_change(key)

    def _look(self, key: CellKey) -> None:
        record, state = self._records.get(key), self.state(key)
        if record is None or not is_applied(record):
            with self.lock:
                if record is None or not state.speaks_of(record.revision.id):
                    # Another coordinator has begun something else: part of what was seen may be gone since.
                    state.clear()
                state.soak.stop(self._clock.monotonic_s())
            self._forget(key)
            return
        with self.lock:
            state.is_met = state.asked_for == record.revision.id
        objects = self._loaded(key, record, state)
        if objects is None:
            return
        objects = self._noting_proof(state, objects, record)
        self._live.watch(sorted(objects.kinds))
        if not self._live.is_fresh(objects.kinds):
            with self.lock:
                self._waiting.add(key)
                self._unread.discard(key)
            return
        was = state.seen.health if state.seen is not None else MemberHealth()
        seen = look(
            objects, self._live, now=self._clock.now(), former=was, settled=state.drift_settled
        )
        now_s = self._clock.monotonic_s()
        with self.lock:
            self._waiting.discard(key)
            self._unread.discard(key)
            if seen.health.status is HealthStatus.CURRENT:
                state.soak.healthy(now_s)
            else:
                state.soak.stop(now_s)
            changed = seen != state.seen or not state.is_fresh
            state.seen, state.is_fresh, state.trouble = seen, True, None
        self._retries.worked(key)
        self._sort(key, record, state, objects)
        if changed:
            self._teller.of_health(record, was, seen.health)
            self._on_change(key)

    def _sort(
        self, key: CellKey, record: ServiceRecord, state: CellState, objects: Objects
    ) -> None:
        """Puts a cell where it is found by whoever has something to do about what was seen."""
        is_ill = state.seen is not None and state.seen.health.status is not HealthStatus.CURRENT
        if is_ill and objects.tombstone is not None and not record.proven:
            self.loaded.add(key)
        stuck = record.returning and is_ill and stuck_below(objects.objects, self._live)
        for known, belongs in ((self.drifting, state.drift > 0), (self.stuck, bool(stuck))):
            if belongs:
                known.add(key)
            else:
                known.discard(key)

    def _loaded(self, key: CellKey, record: ServiceRecord, state: CellState) -> Objects | None:
        """Returns the applied objects; a new process reads them from where they were stored."""
        if state.objects is not None and state.objects.revision == record.revision.id:
            return state.objects
        if record.revision.absent:
            return self._loaded_tombstone(key, record, state)
        try:
            stored = self._read(key, record.revision.id)
        except InvalidInput as error:
            self._failed(key, STORED_DAMAGED, error)
            self.unstored.add(key)
            return None
        except ReconcilerError as error:
            self._failed(key, STORED_UNREAD, error)
            return None
        with self.lock:
            state.objects = Objects(record.revision.id, stored)
            state.seen, state.is_fresh, state.trouble = None, False, None
            state.soak = Soak(record.healthy_s)
        self._forget(key)
        self.loaded.add(key)
        return state.objects

    def _noting_proof(self, state: CellState, objects: Objects, record: ServiceRecord) -> Objects:
        """What comes back after it was proven to be gone is told, and before that deleted."""
        former = objects.tombstone
        if former is None or former.is_proven is record.proven:
            return objects
        tombstone = replace(former, is_proven=record.proven)
        with self.lock:
            state.objects = noted = Objects(objects.revision, (), tombstone=tombstone)
        return noted

    def _loaded_tombstone(
        self, key: CellKey, record: ServiceRecord, state: CellState
    ) -> Objects | None:
        try:
            refs = self._inventories.load(key).refs
        except ReconcilerError as error:
            self._failed(key, STORED_UNREAD, error)
            return None
        with self.lock:
            tombstone = Tombstone(key, refs, is_proven=record.proven)
            state.objects = Objects(record.revision.id, (), tombstone=tombstone)
            state.seen, state.is_fresh, state.trouble = None, False, None
            state.soak = Soak(record.healthy_s)
        self._forget(key)
        self.loaded.add(key)
        return state.objects

    def _read(self, key: CellKey, revision: RevisionId) -> tuple[KubeObject, ...]:
        stored = self._stored.load(key, revision)
        if stored is None:
            what = "the objects of the applied revision are not stored here any more"
            why = f"{key[0]} in {key[1]}"
            raise InvalidInput(why, what, "somebody deleted them", "they are delivered again")
        return stored.objects

    def _failed(self, key: CellKey, reason: str, error: ReconcilerError) -> None:
        """What cannot be looked at is not known, says why, and is looked at again before long."""
        state, now_s = self.state(key), self._clock.monotonic_s()
        trouble = MemberHealth(reason=reason, message=str(error))
        self._retries.failed(key, error, now_s)
        with self.lock:
            self._unread.add(key)
            is_news = state.is_fresh or state.trouble != trouble
            state.soak.stop(now_s)
            state.seen, state.is_fresh, state.trouble = None, False, trouble
        if is_news:
            self._on_change(key)
