"""Delete all that a service owns, since a person asked for it to be gone: by the inventory, behind guards.

Level-triggered, as pruning is. The inventory keeps the names, so that whatever comes back is seen by anybody.
"""

from __future__ import annotations

from collections.abc import Callable

from reconciler.core.pruning import BurialPlan, plan_burial
from reconciler.core.suspending import suspended
from reconciler.errors import InvalidInput
from reconciler.model.objects import ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi, Propagation
from reconciler.shell.executor.inventory import Inventories, Inventory
from reconciler.shell.executor.live import LiveObjects, cell_of
from reconciler.shell.executor.orders import CellKey, Order
from reconciler.shell.executor.pruning import WINDOW, Unseen, counted
from reconciler.shell.executor.stored import StoredObjects


class Burials:
    """Buries on one cluster.

    Args:
        api: The cluster.
        live: What is live there.
        inventories: The inventories there.
        clock: Time.
        may_go_on: Asked before each object: whether deleting is still ours.
    """

    def __init__(
        self,
        api: KubeApi,
        live: LiveObjects,
        inventories: Inventories,
        *,
        clock: Clock,
        may_go_on: Callable[[], bool],
    ) -> None:
        self._api = api
        self._live = live
        self._inventories = inventories
        self._clock = clock
        self._may_go_on = may_go_on

    def bury(
        self,
        record: ServiceRecord,
        hold: Callable[[ServiceRecord], ServiceRecord],
        on_delete: Callable[[ObjectRef], None],
    ) -> BurialPlan:
        """Deletes what is there of a service; what is gone was looked for twice, by the watch and by name.

        Args:
            record: Its revision is a tombstone, and stands.
            hold: The compare-and-set of the record that goes before the first write.
            on_delete: Told of each object that was deleted, whatever comes next.

        Returns:
            What was found; what was deleted is not said to be gone yet.

        Raises:
            Unseen: Try again later.
            ReconcilerError: Something could not be deleted or looked for, or nothing says what is there; try again.
        """
        key = (record.service, record.environment)
        inventory = self._inventories.load(key)
        if not inventory.version:
            # It was written before the record said that the tombstone stands.
            raise _cannot(key, "its inventory is gone from the cluster")
        served = {r for r in inventory.refs if self._api.kind(r.api_version, r.kind) is not None}
        kinds = sorted({(ref.api_version, ref.kind) for ref in served})
        self._live.watch(kinds)
        if not self._live.is_fresh(kinds):
            raise Unseen
        now = self._clock.now()
        plan = plan_burial(
            served,
            live=self._live.get,
            is_ours=lambda obj: cell_of(obj) == key,
            suspended=lambda ref: suspended(self._live.get(ref), now),
            already=inventory.pruned_since(now - WINDOW),
        )
        if plan.delete:
            hold(record)
            self._delete(key, inventory, plan, on_delete)
        if plan.is_done:
            self._look_again(key, plan)
        return plan

    def _delete(
        self,
        key: CellKey,
        inventory: Inventory,
        plan: BurialPlan,
        on_delete: Callable[[ObjectRef], None],
    ) -> None:
        """Deletes each object as it was seen, its dependents with it; what went is counted, whatever comes next."""
        count = 0
        try:
            for ref in plan.delete:
                seen = self._live.get(ref)
                if not self._may_go_on():
                    raise Unseen
                if seen is None or cell_of(seen) != key or suspended(seen, self._clock.now()):
                    continue
                self._api.delete(
                    ref,
                    uid=str(seen["metadata"]["uid"]),
                    resource_version=str(seen["metadata"]["resourceVersion"]),
                    propagation=Propagation.FOREGROUND,
                )
                count += 1
                on_delete(ref)
        finally:
            if count:
                now = self._clock.now()
                self._inventories.save(key, counted(inventory, count, now), inventory)

    def _look_again(self, key: CellKey, plan: BurialPlan) -> None:
        """A watch tells late, or not at all: nothing is gone before the server says so of each name."""
        for ref in plan.gone:
            found = self._api.get(ref)
            if found is not None and cell_of(found) == key:
                raise Unseen


def all_that_was_stored(
    order: Order, was: ServiceRecord | None, inventory: Inventory, stored: StoredObjects
) -> frozenset[ObjectRef]:
    """Returns what a tombstone's inventory must name where somebody deleted the inventory; else nothing more.

    An inventory that is not there does not say that there is nothing: what was stored to go back to does.

    Raises:
        ReconcilerError: Nothing says any more what the service owns.
    """
    was_delivered = was is not None and was.render_digest is not None
    if inventory.version or was is None or not was_delivered:
        return frozenset()
    known = [
        found for r in {*was.keep, *order.deliver.keep} if (found := stored.load(order.key, r))
    ]
    if not known:
        raise _cannot(
            order.key,
            "its inventory is gone from the cluster, and so is what was stored to go back to",
        )
    return frozenset(ObjectRef.of(obj) for found in known for obj in found.objects)


def _cannot(key: CellKey, why: str) -> InvalidInput:
    return InvalidInput(
        f"service {key[0]} in {key[1]}",
        "it cannot be removed",
        why,
        "pin the release again, which writes it anew, and then `release: absent`",
    )
