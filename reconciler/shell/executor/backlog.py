"""The orders of one cluster that wait to be carried out, or to be tried again; one for a cell."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from reconciler.model.facts import Ordered
from reconciler.model.names import EnvironmentName, RevisionId, ServiceName
from reconciler.shell.executor.orders import CellKey, Order
from reconciler.shell.executor.retries import Retries


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an order could not be carried out so far."""

    reason: str
    message: str


@dataclass(slots=True)
class _Waiting:
    """An order, since when its revision is waited for, and why it could not be carried out so far."""

    order: Order
    since_s: float
    trouble: Trouble | None = None


class Backlog:
    """Orders by cell; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[CellKey, _Waiting] = {}
        self._environments: dict[ServiceName, frozenset[EnvironmentName]] = {}
        self._retries: Retries[CellKey] = Retries()

    def put(self, order: Order, now_s: float) -> bool:
        """Takes an order in the place of any for the same cell; False when an equal one waits."""
        with self._lock:
            waiting = self._waiting.get(order.key)
            if waiting is not None and order.is_met_by(waiting.order):
                return False
            self._retries.worked(order.key)
            is_same = waiting is not None and waiting.order.revision == order.revision
            if waiting is not None and is_same:
                waiting.order = order
            else:
                self._waiting[order.key] = _Waiting(order, now_s)
                service, environment = order.key
                self._environments[service] = self.environments(service) | {environment}
            return True

    def first(self) -> tuple[Order | None, float]:
        """Returns the order that is due first, and the monotonic time at which it is."""
        with self._lock:
            key, due_s = self._retries.first_due(self._waiting)
            return (None if key is None else self._waiting[key].order), due_s

    def has(self, key: CellKey) -> bool:
        """Whether an order waits for a cell."""
        with self._lock:
            return key in self._waiting

    def cells(self) -> tuple[CellKey, ...]:
        """Returns the cells for which an order waits."""
        with self._lock:
            return tuple(self._waiting)

    def environments(self, service: ServiceName) -> frozenset[EnvironmentName]:
        """Returns the environments in which an order for a service waits, without a look at others."""
        return self._environments.get(service, frozenset())

    def trouble(self, key: CellKey) -> Trouble | None:
        """Returns why a cell's waiting order could not be carried out so far."""
        with self._lock:
            waiting = self._waiting.get(key)
            return waiting.trouble if waiting is not None else None

    def since_s(self, key: CellKey, now_s: float) -> float:
        """Returns the monotonic time since which a cell's waiting order is to be carried out; now without one."""
        with self._lock:
            waiting = self._waiting.get(key)
            return waiting.since_s if waiting is not None else now_s

    def ordered(self, key: CellKey, now_s: float) -> Ordered | None:
        """Returns what is told of a cell's waiting order."""
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting is None:
                return None
            why = waiting.trouble.message if waiting.trouble is not None else ""
            retry_in_s = max(0.0, self._retries.due_s(key) - now_s)
            return Ordered(waiting.order.revision, now_s - waiting.since_s, why, retry_in_s)

    def done(self, order: Order) -> None:
        """Forgets an order, unless another has taken its place."""
        with self._lock:
            if self._is_waiting(order):
                self._forget(order.key)

    def drop(self, key: CellKey, unless: RevisionId | None) -> bool:
        """Forgets what waits for a cell, unless it is for a revision; returns whether there was anything."""
        with self._lock:
            waiting = self._waiting.get(key)
            if waiting is None or waiting.order.revision == unless:
                return False
            self._forget(key)
            return True

    def postpone(self, order: Order, error: Exception, trouble: Trouble, now_s: float) -> bool:
        """Keeps an order for another try; returns whether its trouble is news."""
        with self._lock:
            if not self._is_waiting(order):
                return False
            self._retries.failed(order.key, error, now_s)
            waiting = self._waiting[order.key]
            news = waiting.trouble != trouble
            waiting.trouble = trouble
            return news

    def clear(self) -> tuple[CellKey, ...]:
        """Forgets everything: what it rested on is not known any more. Returns the cells."""
        with self._lock:
            keys = tuple(self._waiting)
            for key in keys:
                self._forget(key)
            return keys

    def _is_waiting(self, order: Order) -> bool:
        waiting = self._waiting.get(order.key)
        return waiting is not None and waiting.order is order

    def _forget(self, key: CellKey) -> None:
        service, environment = key
        del self._waiting[key]
        left = self._environments.pop(service) - {environment}
        if left:
            self._environments[service] = left
        self._retries.worked(key)
