"""Carry out one action: a record first, then what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, assert_never

import structlog

from reconciler.core.moves import RecordAction
from reconciler.core.recording import recorded
from reconciler.errors import ReconcilerError, TransientError
from reconciler.model.actions import (
    Action,
    Admit,
    Adopt,
    CommitPin,
    CommitRevert,
    Deliver,
    Examine,
    FinishRollBack,
    Hold,
    Prove,
    Reject,
    Withdraw,
)
from reconciler.model.events import PAGE, Event, EventKind
from reconciler.model.names import ClusterName, RevisionId
from reconciler.model.objects import Rendered
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.model.release import Revision
from reconciler.ports.clock import Clock
from reconciler.shell.asking import Asker
from reconciler.shell.building import BeingRendered
from reconciler.shell.executor.orders import Adopted, CellKey, Claim, Examination, Leadership, Order

_log = structlog.get_logger(__name__)

_EVENTS = {
    Adopt: EventKind.ADOPTED,
    Admit: EventKind.ADMITTED,
    Prove: EventKind.PROVEN,
    Reject: EventKind.REJECTED,
    FinishRollBack: EventKind.ROLLED_BACK,
}


class Store(Protocol):
    """Where promotion records are written."""

    def get(self, key: CellKey) -> PromotionRecord | None:
        """Returns a record."""
        ...

    def save(self, record: PromotionRecord) -> PromotionRecord:
        """Writes it, or raises."""
        ...

    def keep(self, record: PromotionRecord) -> None:
        """Writes it, now or as soon as the home answers."""
        ...


class Orders(Protocol):
    """An executor's ear."""

    def order(self, order: Order) -> None:
        """Takes an order."""
        ...

    def forget(self, key: CellKey, *, unless: RevisionId | None = None) -> None:
        """Drops what waits to be carried out for a cell, unless it is for a revision."""
        ...

    def examine(self, examination: Examination) -> None:
        """Takes a question."""
        ...

    def lacks_objects(self, key: CellKey) -> bool:
        """Whether what a cell was asked for last is not stored in the cluster."""
        ...


class Actor:
    """Carries out actions.

    Args:
        clock: Time.
        records: The promotion records.
        executors: By cluster, as they are now; clusters join.
        leadership: In whose name records are written.
        revert: Takes a commit that Git is owed, to be made by another task.
        move_pin: Takes a pin that is to be moved on, by another task.
        on_event: Told of what was done.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        records: Store,
        executors: Callable[[], Mapping[ClusterName, Orders]],
        leadership: Callable[[], Leadership],
        revert: Callable[[CommitRevert], None],
        move_pin: Callable[[CommitPin], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self._clock = clock
        self._records = records
        self._executors = executors
        self._leadership = leadership
        self._revert = revert
        self._move_pin = move_pin
        self._on_event = on_event
        self._held: dict[CellKey, tuple[str, str]] = {}
        self._would: dict[tuple[object, ...], str] = {}

    def act(self, action: Action, asker: Asker | None) -> bool:
        """Carries out one action; returns whether a record changed.

        Raises:
            ReconcilerError: It could not be done, and nothing of it was.
        """
        claim = self._leadership().claim
        try:
            return claim is not None and self._act(action, asker, claim)
        except BeingRendered:
            # It is planned again as soon as that is there.
            return False

    def observe(self, action: Action, asker: Asker | None) -> None:
        """Says once what would be done; only what is live is in fact compared, which writes nothing."""
        match action:
            case Hold():
                self._hold(action)
            case Examine():
                try:
                    self._examine(action, asker)
                except BeingRendered:
                    return
                except ReconcilerError as error:
                    _log.warning("examine-failed", service=action.service, error=str(error))
            case _:
                self._tell_intent(action)

    def _act(self, action: Action, asker: Asker | None, claim: Claim) -> bool:
        match action:
            case Adopt() | Admit() | Prove():
                # Planned while we led; a request may have hung past our deadline since.
                return self._leadership().leads and self._record(action, claim)
            case Reject() | FinishRollBack():
                return self._record(action, claim)
            case Deliver():
                self._deliver(action, asker, claim)
            case Withdraw():
                self._withdraw(action)
            case Examine():
                self._examine(action, asker)
            case CommitRevert():
                self._revert(action)
            case CommitPin():
                self._move_pin(action)
            case Hold():
                self._hold(action)
            case _:
                assert_never(action)
        return False

    def _record(self, action: RecordAction, claim: Claim) -> bool:
        """Writes what an action makes of its record; only a way back may go on without the home."""
        was = self._records.get((action.service, action.environment))
        now = claim.on(recorded(was, action))
        if isinstance(action, Reject | FinishRollBack):
            self._records.keep(now)
        else:
            self._records.save(now)
        self._tell(action, now)
        return True

    def _deliver(self, action: Deliver, asker: Asker | None, claim: Claim) -> None:
        executor = self._executors().get(action.cluster)
        if executor is None:
            return
        key = (action.service, action.environment)
        found = asker.snapshot.services.get(action.service) if asker is not None else None
        namespace = found.namespace_in(action.environment) if found else ""
        # A way back needs no Git, and waits for no render, unless there is nothing else to put back.
        renders = not action.returning or executor.lacks_objects(key)
        try:
            rendered = self._rendered(action, action.revision, asker) if renders else None
            adopted = self._adopted(action, asker)
        except ReconcilerError:
            # What this takes the place of must not be carried out while it is waited for.
            executor.forget(key, unless=action.revision.id)
            raise
        executor.order(Order(action, claim, namespace, rendered, adopted))

    def _adopted(self, action: Deliver, asker: Asker | None) -> Adopted | None:
        """It may be stored nowhere, and without it what stands as it was adopted is said to differ."""
        if action.adopted is None:
            return None
        found = self._rendered(action, action.adopted, asker, waits_for=TransientError)
        return Adopted(action.adopted.id, found) if found is not None else None

    def _withdraw(self, action: Withdraw) -> None:
        executor = self._executors().get(action.cluster)
        if executor is not None:
            executor.forget((action.service, action.environment))

    def _rendered(
        self,
        action: Deliver,
        revision: Revision,
        asker: Asker | None,
        *,
        waits_for: type[ReconcilerError] = BeingRendered,
    ) -> Rendered | None:
        """What cannot be rendered now may still be stored in the cluster; the executor looks there.

        Raises:
            ReconcilerError: It is worth waiting for, as `waits_for` says.
        """
        cluster = asker.snapshot.fleet.cluster(action.cluster) if asker is not None else None
        if asker is None or cluster is None:
            return None
        try:
            return asker.rendered(action.service, action.environment, cluster, revision)
        except waits_for:
            raise
        except ReconcilerError as error:
            _log.warning("render-failed", service=action.service, error=str(error))
            return None

    def _examine(self, action: Examine, asker: Asker | None) -> None:
        executor = self._executors().get(action.cluster)
        cluster = asker.snapshot.fleet.cluster(action.cluster) if asker is not None else None
        if executor is None or cluster is None or asker is None:
            return
        rendered = asker.rendered(action.service, action.environment, cluster, action.revision)
        if rendered is not None:
            key = (action.service, action.environment)
            executor.examine(Examination(key, action.revision.id, rendered))

    def _hold(self, action: Hold) -> None:
        """Tells of a hold once, when it begins or its reason changes; its words alone may change."""
        if action.reason is Reason.RENDERING:
            # Each release waits so for a moment, and what comes of it is told.
            return
        key = (action.service, action.environment)
        now = (action.reason.value, "page" if action.page else "")
        if self._held.get(key) == now:
            return
        self._held[key] = now
        self._on_event(
            Event(
                at=self._clock.now(),
                kind=EventKind.HELD,
                reason=action.reason.value,
                message=action.message,
                service=action.service,
                environment=action.environment,
                detail=(PAGE,) if action.page else (),
            )
        )

    def _tell_intent(self, action: Action) -> None:
        cluster = getattr(action, "cluster", None)
        key = (action.service, action.environment, cluster, type(action))
        if self._would.get(key) == action.message:
            return
        self._would[key] = action.message
        self._on_event(
            Event(
                at=self._clock.now(),
                kind=EventKind.HELD,
                reason=Reason.MODE_OBSERVE.value,
                message=f"would {type(action).__name__}: {action.message}",
                service=action.service,
                environment=action.environment,
                cluster=cluster,
            )
        )

    def _tell(self, action: RecordAction, record: PromotionRecord) -> None:
        revision = record.admitted
        if isinstance(action, Reject):
            revision = action.rejection.revision
        seconds = None
        if isinstance(action, FinishRollBack):
            began = action.rejection.first_failure_at
            seconds = (self._clock.now() - began).total_seconds()
        self._on_event(
            Event(
                at=self._clock.now(),
                kind=_EVENTS[type(action)],
                reason=action.reason,
                message=action.message,
                service=action.service,
                environment=action.environment,
                revision=revision,
                seconds=seconds,
            )
        )
