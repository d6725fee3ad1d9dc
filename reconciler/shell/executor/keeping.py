"""What an executor does on its own: put drift right, free StatefulSets, prune, and mend what it keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from reconciler.core.pruning import BurialPlan
from reconciler.core.suspending import suspended
from reconciler.errors import ReconcilerError
from reconciler.model.events import EventKind
from reconciler.model.facts import Suspension
from reconciler.model.policy import DriftMode
from reconciler.model.records import ApplyState, ServiceRecord
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi
from reconciler.shell.bugs import bug
from reconciler.shell.executor.burying import Burials
from reconciler.shell.executor.delivering import MESSAGE_MAX
from reconciler.shell.executor.inventory import Inventories
from reconciler.shell.executor.known import KnownRecords
from reconciler.shell.executor.live import LiveObjects
from reconciler.shell.executor.looking import STORED_DAMAGED, Looks
from reconciler.shell.executor.orders import CellKey, Leadership
from reconciler.shell.executor.pruning import Prunes, Unseen
from reconciler.shell.executor.records import Fenced, ServiceRecords, current, is_applied
from reconciler.shell.executor.repairing import Repairs
from reconciler.shell.executor.retries import LONGEST_S, Retries
from reconciler.shell.executor.stored import StoredObjects
from reconciler.shell.executor.telling import Teller
from reconciler.shell.executor.unsticking import delete_stuck, stuck_below

UNSEEN_S = 2.0
"""A kind that was never watched before is listed within a moment."""

FREE_AGAIN_S = 2.0
"""A controller makes a Pod anew sooner than this."""


class Rights(Protocol):
    """What may be done now."""

    @property
    def may_write(self) -> Callable[[CellKey], bool]:
        """Whether anything of a cell may be written at all."""
        ...

    @property
    def leadership(self) -> Callable[[], Leadership]:
        """Whether we lead, and in whose name we write."""
        ...


class Keeper:
    """The unordered work on one cluster. Every batch of writes follows a compare-and-set of its record.

    Args:
        api: The cluster.
        live: What is live there.
        looks: What was seen of each cell.
        known: The records as last told.
        records: The records on the server.
        stored: The stored revisions there.
        inventories: The inventories there.
        clock: Time.
        rights: What may be done.
        stopped: By which word of a person all writes to a cell are stopped, if they are.
        has_order: Whether an order waits for a cell: then that goes first.
        on_change: Told of each cell about which something new is known.
        teller: Tells of what is done.
    """

    def __init__(
        self,
        api: KubeApi,
        live: LiveObjects,
        looks: Looks,
        known: KnownRecords[ServiceRecord],
        records: ServiceRecords,
        stored: StoredObjects,
        inventories: Inventories,
        *,
        clock: Clock,
        rights: Rights,
        stopped: Callable[[CellKey], Suspension | None],
        has_order: Callable[[CellKey], bool],
        on_change: Callable[[CellKey], None],
        teller: Teller,
    ) -> None:
        self._api = api
        self._live = live
        self._looks = looks
        self._known = known
        self._records = records
        self._clock = clock
        self._rights = rights
        self._stopped = stopped
        self._has_order = has_order
        self._on_change = on_change
        self._teller = teller
        self._repairs = Repairs(api, live, clock=clock, teller=teller, settled=looks.settled)
        self._prunes = Prunes(
            api, live, stored, inventories, clock=clock, may_go_on=lambda: rights.leadership().leads
        )
        self._burials = Burials(
            api, live, inventories, clock=clock, may_go_on=lambda: rights.leadership().leads
        )
        self._buried: dict[CellKey, BurialPlan] = {}
        self._unpruned: set[CellKey] = set()
        self._uncollected: set[CellKey] = set()
        self._retries: Retries[tuple[str, CellKey]] = Retries()
        self._refused: dict[tuple[str, CellKey], tuple[str, str]] = {}

    def delivered(self, record: ServiceRecord) -> None:
        """Takes note of a proven delivery, or of a tombstone: what it does not hold may go now."""
        key = (record.service, record.environment)
        if (record.proven or record.revision.absent) and not record.returning:
            self._unpruned.add(key)
            if record.proven:
                self._uncollected.add(key)
            self._retries.worked(("prune", key))
            self._refused.pop(("prune", key), None)

    def step(self) -> float:
        """Does what is due of each kind of work; returns seconds until more is."""
        looks = self._looks
        with looks.lock:
            # What an earlier process left undone is still named by the inventory.
            self._unpruned |= looks.loaded
            looks.loaded.clear()
        work = (
            ("free", looks.stuck, self._free),
            ("repair", looks.drifting, self._repair),
            ("mend", looks.unstored, self._mend),
            ("prune", self._unpruned, self._prune),
        )
        if self._refused:
            # What is not to be done any more is told anew when it is to be done once more.
            left = {(name, key) for name, keys, _ in work for key in keys}
            self._refused = {w: why for w, why in self._refused.items() if w in left}
        return min(self._do(name, sorted(keys), do) for name, keys, do in work)

    def _do(
        self,
        name: str,
        keys: list[CellKey],
        do: Callable[[CellKey, ServiceRecord], float | None],
    ) -> float:
        """Does one piece of one kind of work; 0.0 asks to be called again, after a look at orders."""
        wait_s = LONGEST_S
        for key in keys:
            now_s = self._clock.monotonic_s()
            due_in_s = self._retries.due_s((name, key)) - now_s
            record = self._known.get(key)
            if record is None or not is_applied(record) or self._has_order(key):
                continue
            if due_in_s > 0:
                wait_s = min(wait_s, due_in_s)
                continue
            try:
                again_s = do(key, record)
            except ReconcilerError as error:
                self._failed(name, record, error)
                return 0.0
            except Exception as error:  # noqa: BLE001  # our bug must not end the work on others
                self._failed(name, record, bug(f"{key[0]} in {key[1]}", error))
                return 0.0
            if again_s is not None:
                self._refused.pop((name, key), None)
                self._retries.later((name, key), now_s + again_s)
                return 0.0
            self._retries.worked((name, key))
        return wait_s

    def _failed(self, name: str, record: ServiceRecord, error: ReconcilerError) -> None:
        """One cell's trouble is its own: the others go on."""
        work, reason = (name, (record.service, record.environment)), type(error).__name__
        self._retries.failed(work, error, self._clock.monotonic_s())
        if self._refused.get(work) == (reason, error.object) or isinstance(error, Fenced):
            return
        # Whoever hears of drift that stays, or finds what should be gone, must read why.
        self._refused[work] = (reason, error.object)
        detail = (("work", name), ("object", error.object))
        self._teller.of_record(EventKind.APPLY_FAILED, record, reason, str(error), detail)

    def _hold(self, record: ServiceRecord) -> ServiceRecord:
        return self._records.hold(record, self._rights.leadership())

    def _may_write(self, key: CellKey) -> bool:
        return self._rights.may_write(key) and not self._stopped(key)

    # The work: each returns seconds until the cell is due again, None when nothing was done.

    def _repair(self, key: CellKey, record: ServiceRecord) -> float | None:
        state = self._looks.state(key)
        if not state.is_fresh or self._stopped(key):
            return None
        may_write = self._may_write(key)
        correct = may_write and record.drift is DriftMode.CORRECT
        again_s = self._repairs.step(record, state, self._hold, may_ask=may_write, correct=correct)
        if not state.drift:
            self._looks.drifting.discard(key)
            self._on_change(key)
        if again_s is not None:
            # What was written is known already, before the watch tells of it.
            self._looks.touch(key)
        return again_s

    def _free(self, key: CellKey, record: ServiceRecord) -> float | None:
        """A StatefulSet on its way back waits for a broken Pod before it replaces it."""
        state = self._looks.state(key)
        if not self._may_write(key) or not state.is_fresh or state.objects is None:
            return None
        now = self._clock.now()
        objects = [o for o in state.objects.objects if not suspended(self._live.get_of(o), now)]
        pods = stuck_below(objects, self._live)
        self._looks.stuck.discard(key)
        if not pods:
            return None
        self._hold(record)
        delete_stuck(self._api, pods)
        return FREE_AGAIN_S

    def _mend(self, key: CellKey, record: ServiceRecord) -> float | None:
        """What cannot be put back any more is asked for anew: the record says that it is not applied."""
        if not self._may_write(key):
            return None
        held = self._hold(record)
        trouble = self._looks.state(key).trouble
        asked = replace(
            current(held),
            state=ApplyState.PENDING,
            applied=None,
            healthy_s=0.0,
            reason=STORED_DAMAGED,
            message=(trouble.message if trouble is not None else "")[:MESSAGE_MAX],
        )
        self._records.report(asked)
        self._looks.unstored.discard(key)
        self._on_change(key)
        return LONGEST_S

    def _prune(self, key: CellKey, record: ServiceRecord) -> float | None:
        """Whatever cannot be seen or may not be done now is looked at again later."""
        if record.revision.absent:
            return self._bury(key, record)
        self._buried.pop(key, None)
        if not record.proven or record.returning:
            self._unpruned.discard(key)
            return None
        objects = self._looks.state(key).objects
        if objects is None or objects.revision != record.revision.id:
            return None
        if not self._may_write(key) or not self._rights.leadership().leads:
            return None
        try:
            plan = self._prunes.prune(record, objects.objects, self._hold)
        except Unseen:
            return UNSEEN_S
        if plan is not None:
            self._teller.of_pruning(record, plan)
        return self._pruned(key, record)

    def _pruned(self, key: CellKey, record: ServiceRecord) -> float:
        if key in self._uncollected:
            self._prunes.collect(self._known.get(key) or record, self._hold)
            self._uncollected.discard(key)
        self._unpruned.discard(key)
        return LONGEST_S

    def _bury(self, key: CellKey, record: ServiceRecord) -> float | None:
        """Deletes what a tombstone says, until nothing is left; what comes back after its proof is left alone."""
        objects = self._looks.state(key).objects
        if objects is None or objects.tombstone is None or objects.revision != record.revision.id:
            return None
        if not self._may_write(key) or not self._rights.leadership().leads:
            return None
        if record.proven:
            return self._pruned(key, record)
        try:
            plan = self._burials.bury(
                record, self._hold, lambda ref: self._teller.of_buried(record, ref)
            )
        except Unseen:
            return UNSEEN_S
        except ReconcilerError as error:
            self._looks.unburied(key, error)
            raise
        self._teller.of_burial(record, plan, self._buried.get(key))
        self._buried[key] = plan
        self._looks.buried(key, plan)
        if plan.is_done:
            self._unpruned.discard(key)
        return UNSEEN_S
