"""Delete what a proven revision holds no more: by the inventory, behind guards, and on doubt nothing.

Level-triggered: whoever dies, loses the lease, or cannot see enough in the middle of it leaves an
inventory that names more than is wanted, and that is found again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.core.assembly import deletion_layers
from reconciler.core.pruning import PrunePlan, plan_prune
from reconciler.core.suspending import suspended
from reconciler.errors import ReconcilerError
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi, Propagation
from reconciler.shell.executor.inventory import Inventories, Inventory
from reconciler.shell.executor.live import LiveObjects, cell_of
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.executor.stored import StoredObjects

WINDOW = timedelta(hours=1)
"""In which no more may go than in one revision."""


class Unseen(Exception):
    """Not everything that it takes to decide has been read; it is looked at again later."""


class Prunes:
    """Prunes on one cluster.

    Args:
        api: The cluster.
        live: What is live there.
        stored: The stored revisions there.
        inventories: The inventories there.
        clock: Time.
        may_go_on: Asked before each object: whether deleting is still ours.
    """

    def __init__(
        self,
        api: KubeApi,
        live: LiveObjects,
        stored: StoredObjects,
        inventories: Inventories,
        *,
        clock: Clock,
        may_go_on: Callable[[], bool],
    ) -> None:
        self._api = api
        self._live = live
        self._stored = stored
        self._inventories = inventories
        self._clock = clock
        self._may_go_on = may_go_on

    def collect(
        self, record: ServiceRecord, hold: Callable[[ServiceRecord], ServiceRecord]
    ) -> None:
        """Deletes the stored revisions that nobody goes back to any more."""
        key = (record.service, record.environment)
        self._stored.collect(key, record.keep, lambda: hold(record))

    def prune(
        self,
        record: ServiceRecord,
        objects: tuple[KubeObject, ...],
        hold: Callable[[ServiceRecord], ServiceRecord],
    ) -> PrunePlan | None:
        """Deletes what the applied objects of a proven revision do not hold; None: nothing to do.

        Args:
            record: Proven and applied.
            objects: What is applied.
            hold: The compare-and-set of the record that goes before the first write.

        Raises:
            Unseen: Try again later.
            TransientError: Try again; what was deleted is gone, and the inventory still names it.
        """
        key = (record.service, record.environment)
        inventory = self._inventories.load(key)
        wanted = {ObjectRef.of(obj) for obj in objects}
        if inventory.refs <= wanted:
            return None
        plan = self._plan(key, inventory, wanted)
        hold(record)
        counted = self._delete(key, inventory, plan)
        kept = wanted | {ref for ref, _ in plan.kept}
        self._inventories.save(key, replace(counted, refs=frozenset(kept)), inventory)
        return plan

    def _plan(self, key: CellKey, inventory: Inventory, wanted: set[ObjectRef]) -> PrunePlan:
        gone = inventory.refs - wanted
        # Of a kind that is served no more there is no object either.
        unserved = {
            ref for ref in sorted(gone) if self._api.kind(ref.api_version, ref.kind) is None
        }
        kinds = sorted({(ref.api_version, ref.kind) for ref in gone - unserved})
        self._live.watch(kinds)
        if not self._live.is_fresh(kinds):
            raise Unseen
        now = self._clock.now()
        return plan_prune(
            inventory.refs,
            wanted,
            live=lambda ref: None if ref in unserved else self._live.get(ref),
            is_ours=lambda obj: cell_of(obj) == key,
            suspended=lambda ref: suspended(self._live.get(ref), now),
            already=inventory.pruned_since(now - WINDOW),
        )

    def _delete(self, key: CellKey, inventory: Inventory, plan: PrunePlan) -> Inventory:
        """Deletes each object as it was seen; returns the inventory with how many those were.

        What is gone is counted even when the next one fails, and what fails is not: a try that is
        made again and again must not use up the hour for what it never deleted.
        """
        seen = [obj for obj in map(self._live.get, plan.delete) if obj is not None]
        count = 0
        try:
            for obj in (one for layer in deletion_layers(seen) for one in layer):
                if not self._may_go_on():
                    raise Unseen
                meta = obj["metadata"]
                self._api.delete(
                    ObjectRef.of(obj),
                    uid=str(meta["uid"]),
                    resource_version=str(meta["resourceVersion"]),
                    propagation=Propagation.BACKGROUND,
                )
                count += 1
        except (ReconcilerError, Unseen):
            if count:
                self._inventories.save(key, self._counted(inventory, count), inventory)
            raise
        return self._counted(inventory, count)

    def _counted(self, inventory: Inventory, count: int) -> Inventory:
        return counted(inventory, count, self._clock.now())


def counted(inventory: Inventory, count: int, now: datetime) -> Inventory:
    """Returns an inventory that says how many more objects were deleted by it just now."""
    recent = tuple((at, many) for at, many in inventory.pruned if at >= now - WINDOW)
    return replace(inventory, pruned=(*recent, (now, count)) if count else recent)
