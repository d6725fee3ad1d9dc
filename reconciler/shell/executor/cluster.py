"""One cluster's executor: takes orders, looks at what is live, repairs drift, and says what it saw."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import structlog

from reconciler.errors import InvalidInput, OperatorError, ReconcilerError, TransientError
from reconciler.model.events import Event, EventKind
from reconciler.model.facts import LiveState, Member, MemberHealth
from reconciler.model.health import HealthStatus
from reconciler.model.names import ClusterName, EnvironmentName, RevisionId, ServiceName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.policy import DriftMode
from reconciler.model.records import ApplyState, ServiceRecord
from reconciler.ports.clock import Clock
from reconciler.ports.kube import Change, KubeApi, WatchEvent
from reconciler.schema.records import read_service_record
from reconciler.shell.executor.applying import CannotApply
from reconciler.shell.executor.cells import CellState, Objects, look
from reconciler.shell.executor.delivering import Deliveries
from reconciler.shell.executor.examining import examine
from reconciler.shell.executor.live import LiveObjects, StartWatch
from reconciler.shell.executor.orders import CellKey, Examination, Order
from reconciler.shell.executor.pulse import Pulse
from reconciler.shell.executor.records import Fenced, is_applied
from reconciler.shell.executor.repairing import Repairs
from reconciler.shell.executor.soaking import Soak
from reconciler.shell.executor.suspending import suspended
from reconciler.shell.executor.unsticking import delete_stuck

RECORDS = ("reconciler.dev/v1alpha1", "ServiceRecord")

SWEEP_S = 2.0
"""How often freshness is looked at when nothing happens: a blind spell must not count as soak."""

RETRY_FIRST_S, RETRY_MAX_S = 0.5, 30.0
EXAMINED_KEPT_S = 15.0
"""An examination that did not lead to an adoption is made again after this; people edit by hand."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Work:
    """An order under way or waiting to be tried again."""

    order: Order
    tries: int = 0
    due_s: float = 0.0


class ClusterExecutor:
    """The work on one cluster. Its `step` is one task; everything else may be called from any thread.

    Args:
        name: The cluster.
        api: Its API server.
        clock: Time.
        namespace: The reconciler's own namespace there.
        start_watch: Starts the watch of a kind, in a task of its own.
        pulse: Whether the cluster answers.
        may_write: Whether anything may be written at all: False in observe mode.
        may_prune: Whether deleting is allowed now; only while we lead.
        is_held: Whether nothing may be written for one cell: it is only observed, or suspended.
        on_change: Told of each cell about which something new is known.
        on_event: Told of what happened.
    """

    def __init__(
        self,
        name: ClusterName,
        api: KubeApi,
        *,
        clock: Clock,
        namespace: str,
        start_watch: StartWatch,
        pulse: Pulse,
        may_write: Callable[[], bool],
        may_prune: Callable[[], bool],
        is_held: Callable[[CellKey], bool],
        on_change: Callable[[CellKey], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self.name = name
        self._api = api
        self._clock = clock
        self._pulse = pulse
        self._may_write = may_write
        self._is_held = is_held
        self._on_change = on_change
        self._on_event = on_event
        self._lock = threading.RLock()
        self._wake: Callable[[], None] = lambda: None
        self._records: dict[CellKey, ServiceRecord] = {}
        self._versions: dict[CellKey, int] = {}
        self._noted: dict[CellKey, KubeObject] = {}
        self._unreadable: set[CellKey] = set()
        self._cells: dict[CellKey, CellState] = {}
        self._work: dict[CellKey, _Work] = {}
        self._examinations: dict[CellKey, Examination] = {}
        self._dirty: set[CellKey] = set()
        self._live = LiveObjects(start_watch, self._note_live)
        self._deliveries = Deliveries(api, namespace, self._live, may_prune, clock)
        self._repairs = Repairs(name, api, self._live, clock=clock, on_event=on_event)
        self._watched_records = start_watch(RECORDS, "", self._note_record)

    # What the coordinator asks for and asks about.

    def on_wake(self, wake: Callable[[], None]) -> None:
        """Sets what makes this executor's own task run."""
        self._wake = wake

    def order(self, order: Order) -> None:
        """Takes an order in the place of any for the same cell; an equal one changes nothing."""
        with self._lock:
            waiting = self._work.get(order.key)
            if waiting is not None and waiting.order.deliver == order.deliver:
                return
            self._work[order.key] = _Work(order)
        self._wake()

    def examine(self, examination: Examination) -> None:
        """Asks for a comparison of what is live with a render; the answer is in `member`."""
        with self._lock:
            former = self._cells.setdefault(examination.key, CellState()).examined
            is_known = (
                former is not None
                and former.revision == examination.revision
                and former.live is not LiveState.UNKNOWN
                and self._clock.monotonic_s() - former.at_s < EXAMINED_KEPT_S
            )
            if is_known or examination.key in self._examinations:
                return
            self._examinations[examination.key] = examination
        self._wake()

    def known_cells(self) -> tuple[CellKey, ...]:
        """Returns every cell of which this cluster has a record."""
        with self._lock:
            return tuple(self._records)

    @property
    def is_settled(self) -> bool:
        """Whether everything of which this cluster has a record has been read and looked at."""
        with self._lock:
            applied = [key for key, record in self._records.items() if is_applied(record)]
            seen = all(key in self._cells and self._cells[key].is_fresh for key in applied)
            return seen and not self._examinations and self._watched_records.is_fresh

    def member(self, key: CellKey, wanted: RevisionId | None) -> Member:
        """Returns what is known of a cell here.

        Args:
            key: The cell.
            wanted: The revision an examination counts for.
        """
        now_s = self._clock.monotonic_s()
        with self._lock:
            record = self._records.get(key)
            state = self._cells.get(key, CellState())
            # The record may say "applied" before this process has looked at what that has led to.
            looked = record is not None and state.speaks_of(record.revision.id)
            judged = record is None or not is_applied(record) or (looked and state.is_fresh)
            examined = state.examined
            is_examined = examined is not None and examined.revision == wanted
            return Member(
                cluster=self.name,
                reachable=self._pulse.is_reachable,
                synced=self._watched_records.is_fresh and judged and key not in self._unreadable,
                record=record,
                health=_health(record, state, looked=looked),
                healthy_s=state.soak.total_s(now_s) if looked else 0.0,
                waiting_s=now_s - state.asked_s,
                drift=_drift_count(state) if looked else 0,
                drifted_objects=len(state.seen.drift) if looked and state.seen else 0,
                live=examined.live if examined is not None and is_examined else LiveState.UNKNOWN,
                suspended=self._suspended(key),
            )

    def _suspended(self, key: CellKey) -> str:
        """Returns why a person has suspended this cluster, or a cell's record, now; or nothing."""
        return self._pulse.suspended or suspended(self._noted.get(key), self._clock.now())

    def _may_write_to(self, key: CellKey) -> bool:
        return self._may_write() and not self._is_held(key) and not self._suspended(key)

    # What the watches tell.

    def _note_live(self, key: CellKey) -> None:
        with self._lock:
            self._dirty.add(key)
        self._wake()

    def _note_record(self, event: WatchEvent) -> None:
        if event.change is Change.BOOKMARK:
            return
        try:
            record = read_service_record(event.object)
        except InvalidInput as error:
            # What cannot be read is not "none there": the former stays, and a claim will conflict.
            _log.warning("record-unreadable", cluster=self.name, error=str(error))
            self._note_unreadable(event)
            return
        key = (record.service, record.environment)
        with self._lock:
            self._unreadable.discard(key)
            if event.change is Change.DELETED:
                if _number(record.version) < self._versions.get(key, 0):
                    return
                self._records.pop(key, None)
                self._versions.pop(key, None)
            else:
                self._noted[key] = {"metadata": event.object["metadata"]}
                self._keep(record)
            self._dirty.add(key)
        self._on_change(key)
        self._wake()

    def _note_unreadable(self, event: WatchEvent) -> None:
        service, _, environment = str(event.object["metadata"].get("name", "")).partition(".")
        key = (ServiceName(service), EnvironmentName(environment))
        with self._lock:
            if event.change is Change.DELETED:
                self._unreadable.discard(key)
            else:
                self._unreadable.add(key)
        self._on_change(key)

    def _keep(self, record: ServiceRecord) -> None:
        """Keeps the later of what a watch told and what our own write was answered with."""
        key = (record.service, record.environment)
        version = _number(record.version)
        with self._lock:
            if version >= self._versions.get(key, 0):
                self._records[key] = record
                self._versions[key] = version

    # The task.

    def step(self) -> float:
        """Looks at what changed, then does one piece of work; returns seconds until the next."""
        if not self._pulse.is_reachable:
            self._blind()
            return SWEEP_S
        with self._lock:
            dirty, self._dirty = self._dirty, set()
            stale = {k for k, s in self._cells.items() if not s.is_fresh and k in self._records}
        for key in sorted(dirty | stale):
            self._look(key)
        self._sweep()
        wait_s = self._work_once()
        with self._lock:
            return 0.0 if self._dirty else wait_s

    def _blind(self) -> None:
        """Nobody looks while the cluster does not answer."""
        for state in list(self._cells.values()):
            state.soak.stop(self._pulse.last_answer_s)
            state.is_fresh = False

    def _sweep(self) -> None:
        for key, state in list(self._cells.items()):
            if state.objects is None or not state.is_fresh:
                continue
            if not self._live.is_fresh(state.objects.kinds()):
                state.soak.stop(self._clock.monotonic_s() - SWEEP_S)
                state.is_fresh = False
                self._on_change(key)

    def _work_once(self) -> float:
        examination = self._next_examination()
        if examination is not None:
            self._examine(examination)
            return 0.0
        now_s = self._clock.monotonic_s()
        with self._lock:
            waiting = [w for k, w in self._work.items() if not self._suspended(k)]
            due = min(waiting, key=lambda work: work.due_s, default=None)
        if due is None:
            return self._repair_once()
        if due.due_s > now_s:
            return min(SWEEP_S, due.due_s - now_s, self._repair_once())
        self._carry_out(due)
        return 0.0

    def _next_examination(self) -> Examination | None:
        with self._lock:
            key = next(iter(self._examinations), None)
            return self._examinations.pop(key) if key is not None else None

    def _examine(self, examination: Examination) -> None:
        found = examine(
            self._api,
            examination,
            self._live,
            now=self._clock.now(),
            now_s=self._clock.monotonic_s(),
        )
        with self._lock:
            self._cells.setdefault(examination.key, CellState()).examined = found
        self._on_change(examination.key)

    def _carry_out(self, work: _Work) -> None:
        order = work.order
        if not self._may_write() or self._is_held(order.key):
            self._done(work)
            return
        with self._lock:
            was = self._records.get(order.key)
            state = self._cells.setdefault(order.key, CellState())
        healthy_s = state.soak.total_s(self._clock.monotonic_s())
        if was is None or was.revision.id != order.deliver.revision.id or not is_applied(was):
            with self._lock:
                state.asked_s = state.asked_s if work.tries else self._clock.monotonic_s()
                # What was seen speaks of what was applied before; from here on it proves nothing.
                state.objects, state.seen, state.is_fresh = None, None, False
        try:
            delivered = self._deliveries.carry_out(
                order, was, healthy_s=healthy_s, on_claimed=self._keep
            )
        except (CannotApply, ReconcilerError) as error:
            self._failed(work, error)
            return
        self._done(work)
        if delivered.objects is not None:
            applied = {applied.ref: applied for applied in delivered.applied}
            with self._lock:
                state.objects = Objects(order.deliver.revision.id, delivered.objects, applied)
                state.soak = Soak(delivered.record.healthy_s)
                state.seen, state.is_fresh = None, False
        self._keep(delivered.record)
        if delivered.objects is not None:
            self._tell(EventKind.APPLIED, order, order.deliver.reason, order.deliver.message)
        if delivered.pruned is not None:
            for ref in delivered.pruned.delete:
                self._tell(EventKind.PRUNED, order, "NotRendered", str(ref))
            for ref, why in delivered.pruned.kept:
                self._tell(EventKind.PRUNE_HELD, order, "Guarded", f"{ref}: {why}")
        with self._lock:
            self._dirty.add(order.key)
        self._on_change(order.key)

    def _done(self, work: _Work) -> None:
        with self._lock:
            if self._work.get(work.order.key) is work:
                del self._work[work.order.key]

    def _failed(self, work: _Work, error: CannotApply | ReconcilerError) -> None:
        """Keeps the order for another try, unless another has come or trying again is of no use."""
        work.tries += 1
        wait_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(work.tries - 1, 10))
        if isinstance(error, TransientError) and error.retry_after_s is not None:
            wait_s = max(wait_s, min(error.retry_after_s, RETRY_MAX_S))
        work.due_s = self._clock.monotonic_s() + wait_s
        reason = error.reason if isinstance(error, CannotApply) else type(error).__name__
        told = error.error if isinstance(error, CannotApply) else error
        if work.tries == 1 or isinstance(told, OperatorError):
            self._tell(EventKind.APPLY_FAILED, work.order, reason, str(told))
        if isinstance(error, Fenced):
            self._done(work)
        self._reread(work.order.key)

    def _reread(self, key: CellKey) -> None:
        """After a failed write the record may be another than we think."""
        with self._lock:
            was = self._records.get(key)
        like = was
        if like is None:
            return
        try:
            now = self._deliveries.records.read(like)
        except ReconcilerError:
            return
        if now is not None:
            self._keep(now)
            self._on_change(key)

    # Looking.

    def _look(self, key: CellKey) -> None:
        with self._lock:
            record = self._records.get(key)
            state = self._cells.setdefault(key, CellState())
        if record is None or not is_applied(record):
            return
        objects = self._loaded(key, record, state)
        if objects is None:
            return
        self._live.watch(sorted(objects.kinds()))
        if not self._live.is_fresh(objects.kinds()):
            return
        was = state.seen.health if state.seen is not None else MemberHealth()
        seen = look(
            objects, self._live, now=self._clock.now(), former=was, settled=state.drift_settled
        )
        now_s = self._clock.monotonic_s()
        with self._lock:
            if seen.health.status is HealthStatus.CURRENT:
                state.soak.healthy(now_s)
            else:
                state.soak.stop(now_s)
            changed = seen != state.seen or not state.is_fresh
            state.seen, state.is_fresh = seen, True
        if record.returning and seen.health.status is not HealthStatus.CURRENT:
            self._unstick(key, objects)
        if changed:
            self._tell_health(record, was, seen.health)
            self._on_change(key)

    def _loaded(self, key: CellKey, record: ServiceRecord, state: CellState) -> Objects | None:
        """Returns the applied objects; a new process reads them from where they were stored."""
        if state.objects is not None and state.objects.revision == record.revision.id:
            return state.objects
        try:
            stored = self._deliveries.stored.load(key, record.revision.id)
        except InvalidInput as error:
            state.trouble = MemberHealth(reason="StoredObjectsDamaged", message=str(error))
            return None
        if stored is None:
            message = "the objects of the applied revision are not stored here any more"
            state.trouble = MemberHealth(reason="StoredObjectsMissing", message=message)
            return None
        with self._lock:
            state.objects = Objects(record.revision.id, stored.objects)
            state.seen, state.is_fresh, state.trouble = None, False, None
            state.soak = Soak(record.healthy_s)
            state.asked_s = self._clock.monotonic_s()
        return state.objects

    def _unstick(self, key: CellKey, objects: Objects) -> None:
        if not self._may_write_to(key):
            return
        for obj in objects.objects:
            if obj.get("kind") != "StatefulSet":
                continue
            seen = self._live.get(ObjectRef.of(obj))
            if seen is not None and not suspended(seen, self._clock.now()):
                delete_stuck(self._api, seen, self._live.family(seen))

    def _repair_once(self) -> float:
        """Puts right one drifted object of a cell whose policy says so; returns seconds until more."""
        wait_s = SWEEP_S
        with self._lock:
            cells = [
                (key, record, self._cells[key])
                for key, record in self._records.items()
                if key in self._cells
                and _drift_count(self._cells[key])
                and key not in self._work
                and is_applied(record)
            ]
        for key, record, state in cells:
            if self._suspended(key) or not state.is_fresh or state.objects is None:
                continue
            may_write = self._may_write_to(key)
            again_s = self._repairs.step(
                record,
                state,
                self._deliveries.records,
                correct=record.drift is DriftMode.CORRECT and may_write,
                may_ask=may_write,
            )
            wait_s = min(wait_s, again_s)
        return wait_s

    # Telling.

    def _tell(self, kind: EventKind, order: Order, reason: str, message: str) -> None:
        deliver = order.deliver
        self._on_event(
            Event(
                at=self._clock.now(),
                kind=kind,
                reason=reason,
                message=message,
                service=deliver.service,
                environment=deliver.environment,
                cluster=self.name,
                revision=deliver.revision,
            )
        )

    def _tell_health(self, record: ServiceRecord, was: MemberHealth, now: MemberHealth) -> None:
        kind = {
            HealthStatus.CURRENT: EventKind.HEALTHY,
            HealthStatus.FAILED: EventKind.FAILED,
        }.get(now.status)
        if kind is None or was.status is now.status:
            return
        self._on_event(
            Event(
                at=self._clock.now(),
                kind=kind,
                reason=now.reason,
                message=now.message,
                service=record.service,
                environment=record.environment,
                cluster=self.name,
                revision=record.revision,
            )
        )

    def flush(self) -> None:
        """Writes down how long what is soaking was observed healthy; called once, at a stop."""
        now_s = self._clock.monotonic_s()
        for key, state in list(self._cells.items()):
            record = self._records.get(key)
            if record is None or record.proven or not is_applied(record):
                continue
            healthy_s = state.soak.total_s(now_s)
            if not self._may_write_to(key) or healthy_s <= record.healthy_s:
                continue
            if record.state is ApplyState.APPLIED:
                self._keep(self._deliveries.records.report(replace(record, healthy_s=healthy_s)))


def _health(record: ServiceRecord | None, state: CellState, *, looked: bool) -> MemberHealth:
    if record is None:
        return state.examined.health if state.examined is not None else MemberHealth()
    if not is_applied(record):
        return MemberHealth(reason=record.reason or record.state, message=record.message)
    if looked and state.seen is not None:
        return state.seen.health
    return state.trouble or MemberHealth()


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0


def _drift_count(state: CellState) -> int:
    """Counts fields; an object that is gone counts as one."""
    drift = state.seen.drift if state.seen is not None else ()
    return sum(max(1, len(d.fields)) for d in drift)
