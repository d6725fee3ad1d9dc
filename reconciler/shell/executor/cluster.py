"""One cluster's executor: takes orders, looks at what is live, keeps it as it was applied, says what it saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from reconciler.errors import ReconcilerError, TransientError
from reconciler.model.events import Event, EventKind
from reconciler.model.facts import LiveState, Member, MemberHealth, Suspension
from reconciler.model.names import ClusterName, EnvironmentName, RevisionId, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import ApplyState, ServiceRecord, belongs_to
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi, WatchEvent
from reconciler.schema.records import read_service_record
from reconciler.shell.bugs import bug
from reconciler.shell.executor.applying import CannotApply
from reconciler.shell.executor.backlog import Backlog, Trouble
from reconciler.shell.executor.cells import health_of
from reconciler.shell.executor.delivering import NOTHING_TO_APPLY, Deliveries, is_there
from reconciler.shell.executor.examining import Examinations, examine
from reconciler.shell.executor.inventory import Inventories
from reconciler.shell.executor.keeping import Keeper
from reconciler.shell.executor.known import KnownRecords
from reconciler.shell.executor.live import LiveObjects, StartWatch
from reconciler.shell.executor.looking import Looks
from reconciler.shell.executor.orders import (
    CellKey,
    Examination,
    Order,
    Rights,
)
from reconciler.shell.executor.pulse import Pulse
from reconciler.shell.executor.records import ServiceRecords, is_applied
from reconciler.shell.executor.stored import StoredObjects
from reconciler.shell.executor.telling import Teller

RECORDS = ("reconciler.dev/v1alpha1", "ServiceRecord")

BLIND_S = 60.0
"""The pulse wakes this task when the cluster answers again; until then there is nothing to see."""

LONGEST_S = 30.0

UNREAD_S = 2.0
"""A comparison that is put off for longer than this has failed often enough to be told as it is."""

SUSPENDED_S = 2.0
"""A suspension ends by time alone, and whoever waits for that waits for the clock."""

_log = structlog.get_logger(__name__)


class ClusterExecutor:
    """The work on one cluster. Its `step` is one task; everything else may be called from any thread.

    Args:
        name: The cluster.
        api: Its API server.
        clock: Time.
        namespace: The reconciler's own namespace there.
        start_watch: Starts the watch of a kind, in a task of its own.
        pulse: Whether the cluster answers.
        rights: What may be done.
        on_change: Told of each cell about which something new is known.
        on_fresh: Called when the records have been listed, or are heard of again after a gap.
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
        rights: Rights,
        on_change: Callable[[CellKey], None],
        on_fresh: Callable[[], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self.name = name
        self._api = api
        self._clock = clock
        self._pulse = pulse
        # Nothing of what is below another installation's record is written, ordered or not.
        self._rights = rights = replace(rights, may_write=self._may_write(rights))
        self._on_change = on_change
        self._wake: Callable[[], None] = lambda: None
        self._examinations = Examinations(clock)
        self._suspended: dict[CellKey, Suspension | None] = {}
        self._is_blind = True
        self._teller = Teller(name, clock, on_event)
        self._backlog = Backlog()
        self._records = KnownRecords(read_service_record, rights.installation, cluster=name)
        self._service_records = ServiceRecords(api, namespace, self._records)
        stored, inventories = StoredObjects(api, namespace), Inventories(api, namespace)
        self._live = LiveObjects(name, start_watch, self._note_live, self._note_fresh)
        self._looks = Looks(
            self._live,
            stored,
            inventories,
            self._records,
            clock=clock,
            on_change=on_change,
            teller=self._teller,
        )
        self._deliveries = Deliveries(
            api, self._live, self._service_records, stored, inventories, rights, clock=clock
        )
        self._keeper = Keeper(
            api,
            self._live,
            self._looks,
            self._records,
            self._service_records,
            stored,
            inventories,
            clock=clock,
            rights=rights,
            stopped=self._stopped,
            has_order=self._backlog.has,
            on_change=on_change,
            teller=self._teller,
        )
        self._watched_records = start_watch(RECORDS, "", self._note_record, on_fresh)

    # What the coordinator asks for and asks about.

    def on_wake(self, wake: Callable[[], None]) -> None:
        """Sets what makes this executor's own task run."""
        self._wake = wake

    def wake(self) -> None:
        """Makes this executor's own task run: its cluster answers again, or does so no more."""
        self._wake()

    def order(self, order: Order) -> None:
        """Takes an order in the place of any for the same cell; an equal one changes nothing."""
        if self._backlog.put(order, self._clock.monotonic_s()):
            self._wake()

    def forget(self, key: CellKey, *, unless: RevisionId | None = None) -> None:
        """Drops what waits for a cell, unless for a revision; what is being carried out is not tried again."""
        if self._backlog.drop(key, unless):
            self._on_change(key)

    def examine(self, examination: Examination) -> None:
        """Asks for a comparison of what is live with a render; the answer is in `member`."""
        state = self._looks.state(examination.key)
        with self._looks.lock:
            former = state.examined
        is_known = (
            former is not None
            and former.revision == examination.revision
            and former.live is not LiveState.UNKNOWN
            and former.kept_for_s(self._clock.monotonic_s()) > 0.0
        )
        if not is_known and self._examinations.put(examination):
            self._wake()

    def lacks_objects(self, key: CellKey) -> bool:
        """Whether what a cell was asked for last is not stored here, so that it must be rendered."""
        record = self._records.get(key)
        return record is not None and record.reason == NOTHING_TO_APPLY

    def known_cells(self) -> tuple[CellKey, ...]:
        """Returns every cell of which this cluster has a record, or for which an order waits."""
        return tuple({*self._records.cells(), *self._backlog.cells()})

    def environments(self, service: ServiceName) -> frozenset[EnvironmentName]:
        """Returns the environments in which a service has a record here."""
        return self._records.environments(service)

    def ordered(self, service: ServiceName) -> frozenset[EnvironmentName]:
        """Returns the environments in which an order for a service waits to be carried out."""
        return self._backlog.environments(service)

    @property
    def is_settled(self) -> bool:
        """Whether everything of which this cluster has a record has been read and looked at."""
        seen = all(self._looks.is_fresh(k) for k, r in self._records.items() if is_applied(r))
        # What could not be read for a while is an answer as well: it is not known.
        waits = self._examinations.due_s() < self._clock.monotonic_s() + UNREAD_S
        return seen and not waits and self._watched_records.is_fresh

    def member(self, key: CellKey, wanted: RevisionId | None) -> Member:
        """Returns what is known of a cell here.

        Args:
            key: The cell.
            wanted: The revision an examination counts for.
        """
        now_s = self._clock.monotonic_s()
        state = self._looks.state(key)
        other = self._records.other(key)
        if other:
            health = MemberHealth(reason=Reason.OTHER_INSTALLATION, message=belongs_to(other))
            up = self._pulse.is_reachable
            return Member(self.name, up, synced=False, record=None, health=health, other=other)
        with self._looks.lock:
            record = self._records.get(key)
            # The record may say "applied" before this process has looked at what that has led to.
            looked = record is not None and state.speaks_of(record.revision.id)
            judged = record is None or not is_applied(record) or (looked and state.is_fresh)
            examined = state.examined
            is_examined = examined is not None and examined.revision == wanted
            return Member(
                cluster=self.name,
                reachable=self._pulse.is_reachable,
                synced=(
                    self._watched_records.is_fresh and judged and self._records.is_readable(key)
                ),
                record=record,
                health=health_of(record, state, self._backlog.trouble(key), looked=looked),
                healthy_s=state.soak.total_s(now_s) if looked else 0.0,
                waiting_s=state.waiting_s(record.revision.id, now_s) if record else 0.0,
                away_s=0.0 if self._pulse.is_reachable else now_s - self._pulse.last_answer_s,
                drift=state.drift if looked else 0,
                drifted_objects=len(state.drifted) if looked else 0,
                order=self._backlog.ordered(key, now_s),
                live=examined.live if examined is not None and is_examined else LiveState.UNKNOWN,
                live_for_s=examined.kept_for_s(now_s) if examined is not None else 0.0,
                suspended=self._stopped(key),
            )

    def _may_write(self, rights: Rights) -> Callable[[CellKey], bool]:
        return lambda key: not self._records.other(key) and rights.may_write(key)

    # What the watches tell.

    def _note_live(self, key: CellKey) -> None:
        self._looks.touch(key)
        self._wake()

    def _note_fresh(self) -> None:
        self._looks.touch_waiting()
        self._wake()

    def _note_record(self, event: WatchEvent) -> None:
        key = self._records.note(event)
        if key is not None:
            self._looks.note_asked(key)
            self._looks.touch(key)
            self._on_change(key)
            self._wake()

    # The task.

    def step(self) -> float:
        """Looks at what changed, then does one piece of work; returns seconds until the next."""
        if not self._pulse.is_reachable:
            self._is_blind = True
            self._looks.blind(self._pulse.last_answer_s)
            self._drop_orders()
            return BLIND_S
        if self._is_blind:
            self._is_blind = False
            self._looks.touch_waiting()
        wait_s = min(self._looks.step(), self._note_suspensions())
        if self._examine_one() or self._deliver_one():
            return 0.0
        _, due_s = self._backlog.first()
        due_in_s = min(due_s, self._examinations.due_s()) - self._clock.monotonic_s()
        return max(0.0, min(LONGEST_S, wait_s, due_in_s, self._keeper.step()))

    def _drop_orders(self) -> None:
        """An order rests on what was known of the cluster; when it is back, that is asked anew."""
        for key in self._backlog.clear():
            self._looks.touch(key)
            self._on_change(key)
        self._examinations.clear()

    def _stopped(self, key: CellKey) -> Suspension | None:
        """Returns by which word of a person all writes to a cell are stopped, if they are."""
        now, by_cluster = self._clock.now(), self._pulse.suspended
        if by_cluster is not None and now < by_cluster.until:
            return by_cluster
        return self._records.suspended(key, now)

    def _note_suspensions(self) -> float:
        """Tells when a suspension of a record begins or ends; returns when to look again."""
        now = self._clock.now()
        found = {key: self._records.suspended(key, now) for key in self._records.suspending()}
        for key in set(found) | set(self._suspended):
            if found.get(key) != self._suspended.get(key):
                self._on_change(key)
        self._suspended = found
        return SUSPENDED_S if any(found.values()) else LONGEST_S

    def _examine_one(self) -> bool:
        examination = self._examinations.take()
        if examination is None:
            return False
        found = examine(
            self._api,
            examination,
            self._live,
            now=self._clock.now(),
            now_s=self._clock.monotonic_s(),
        )
        self._looks.examined(examination.key, found)
        self._examinations.note(found, examination.key)
        self._on_change(examination.key)
        return True

    def _deliver_one(self) -> bool:
        """Carries out the order that is due first; returns whether there was one."""
        order, due_s = self._backlog.first()
        if order is None or due_s > self._clock.monotonic_s():
            return False
        if not self._may_carry_out(order):
            self._backlog.done(order)
            self._on_change(order.key)
            return True
        self._carry_out(order)
        return True

    def _may_carry_out(self, order: Order) -> bool:
        """What stopped an order ends with a new one: by then the coordinator may want another."""
        may_write = self._rights.may_write(order.key)
        return may_write and not self._stopped(order.key) and self._watched_records.is_fresh

    def _carry_out(self, order: Order) -> None:
        was = self._records.get(order.key)
        state = self._looks.state(order.key)
        now_s = self._clock.monotonic_s()
        since_s = self._backlog.since_s(order.key, now_s)
        is_known = was is not None and state.speaks_of(was.revision.id)
        healthy_s = state.soak.total_s(now_s) if is_known else 0.0
        try:
            claimed = self._deliveries.claim(order, was)
            if not is_there(order, was):
                self._looks.begin(claimed, since_s=since_s)
            delivered = self._deliveries.carry_out(order, was, claimed, healthy_s=healthy_s)
        except (CannotApply, ReconcilerError) as error:
            self._failed(order, error)
            return
        except Exception as error:  # noqa: BLE001  # our bug must not stand before the orders of others
            self._failed(order, bug(f"{order.key[0]} in {order.key[1]}", error))
            return
        self._backlog.done(order)
        if delivered.objects is not None:
            self._looks.applied(delivered.record, delivered.objects, delivered.applied)
            reason, message = order.deliver.reason, order.deliver.message
            self._teller.of_order(EventKind.APPLIED, order, reason, message)
        self._keeper.delivered(delivered.record)
        self._looks.touch(order.key)
        self._on_change(order.key)

    def _failed(self, order: Order, error: CannotApply | ReconcilerError) -> None:
        """Keeps the order for another try; a record that is not as we think is read again."""
        reason = error.reason if isinstance(error, CannotApply) else type(error).__name__
        told = error.error if isinstance(error, CannotApply) else error
        trouble = Trouble(reason, str(told))
        if self._backlog.postpone(order, told, trouble, self._clock.monotonic_s()):
            self._teller.of_order(EventKind.APPLY_FAILED, order, reason, str(told))
        self._reread(order)
        # What was there before may be what is there still.
        self._looks.touch(order.key)
        self._on_change(order.key)

    def _reread(self, order: Order) -> None:
        """After a failed write the record may be another than we think, or be there after all."""
        deliver = order.deliver
        like = self._records.get(order.key) or ServiceRecord(
            deliver.service, deliver.environment, deliver.revision, order.namespace
        )
        try:
            self._service_records.reread(like)
        except ReconcilerError as error:
            _log.debug("record-unread", cluster=self.name, error=str(error))

    def flush(self) -> None:
        """Writes down how long what is soaking was observed healthy, and that it ever was; called once, at a stop."""
        now_s = self._clock.monotonic_s()
        for key, record in self._records.items():
            state = self._looks.state(key)
            healthy_s = state.soak.total_s(now_s)
            counts = not record.proven or record.healthy_s == 0.0
            is_soaking = record.state is ApplyState.APPLIED and counts
            is_ours = state.speaks_of(record.revision.id) and self._rights.may_write(key)
            if not is_soaking or not is_ours or healthy_s <= record.healthy_s:
                continue
            if not self._pulse.is_reachable or self._stopped(key) or not is_applied(record):
                continue
            try:
                self._service_records.report(replace(record, healthy_s=healthy_s))
            except TransientError as error:
                # The others would wait for the same; the soak then begins where it was last written.
                _log.warning("soak-unsaved", cluster=self.name, error=str(error))
                return
            except ReconcilerError as error:
                _log.warning("soak-unsaved", cluster=self.name, error=str(error))
