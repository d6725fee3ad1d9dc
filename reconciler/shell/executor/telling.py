"""What an executor tells of: events about one cluster, for people."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.core.pruning import BurialPlan, PrunePlan
from reconciler.model.actions import Deliver
from reconciler.model.events import Event, EventKind
from reconciler.model.facts import MemberHealth
from reconciler.model.health import HealthStatus
from reconciler.model.names import ClusterName
from reconciler.model.objects import ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.ports.clock import Clock
from reconciler.shell.executor.orders import Order

_HEALTH = {HealthStatus.CURRENT: EventKind.HEALTHY, HealthStatus.FAILED: EventKind.FAILED}


class Teller:
    """Makes events of one cluster.

    Args:
        cluster: Its name.
        clock: Stamps them.
        on_event: Takes them.
    """

    def __init__(
        self, cluster: ClusterName, clock: Clock, on_event: Callable[[Event], None]
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._on_event = on_event

    def of_order(self, kind: EventKind, order: Order, reason: str, message: str) -> None:
        """Tells what became of an order."""
        self._tell(kind, order.deliver, reason, message)

    def of_record(
        self,
        kind: EventKind,
        record: ServiceRecord,
        reason: str,
        message: str,
        detail: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Tells something about what a record asks for."""
        self._tell(kind, record, reason, message, detail)

    def of_health(self, record: ServiceRecord, was: MemberHealth, now: MemberHealth) -> None:
        """Tells that something became healthy or failed."""
        kind = _HEALTH.get(now.status)
        if kind is not None and was.status is not now.status:
            self.of_record(kind, record, now.reason, now.message)

    def of_pruning(self, record: ServiceRecord, plan: PrunePlan) -> None:
        """Tells what was deleted, and what a guard kept."""
        for ref in plan.delete:
            self.of_record(EventKind.PRUNED, record, "NotRendered", str(ref))
        for ref, why in plan.kept:
            self.of_record(EventKind.PRUNE_HELD, record, "Guarded", f"{ref}: {why}")

    def of_buried(self, record: ServiceRecord, ref: ObjectRef) -> None:
        """Tells of an object that was deleted since its service is to be gone."""
        self.of_record(EventKind.PRUNED, record, "Absent", str(ref))

    def of_burial(self, record: ServiceRecord, plan: BurialPlan, former: BurialPlan | None) -> None:
        """Tells once of each object that a guard keeps, where all of the service is to be gone."""
        told = former.kept if former is not None else ()
        for ref, why in plan.kept:
            if (ref, why) not in told:
                self.of_record(EventKind.PRUNE_HELD, record, "Guarded", f"{ref}: {why}")

    def _tell(
        self,
        kind: EventKind,
        about: Deliver | ServiceRecord,
        reason: str,
        message: str,
        detail: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self._on_event(
            Event(
                at=self._clock.now(),
                kind=kind,
                reason=reason,
                message=message,
                service=about.service,
                environment=about.environment,
                cluster=self._cluster,
                revision=about.revision,
                detail=detail,
            )
        )
