"""The orders of one cluster that wait to be carried out, or to be tried again; one for a cell."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from reconciler.shell.executor.orders import CellKey, Order
from reconciler.shell.executor.retries import Retries


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an order could not be carried out so far."""

    reason: str
    message: str


class Backlog:
    """Orders by cell; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: dict[CellKey, Order] = {}
        self._retries: Retries[CellKey] = Retries()
        self._troubles: dict[CellKey, Trouble] = {}

    def put(self, order: Order) -> bool:
        """Takes an order in the place of any for the same cell; False when an equal one waits."""
        with self._lock:
            waiting = self._orders.get(order.key)
            if waiting is not None and order.is_met_by(waiting):
                return False
            self._orders[order.key] = order
            self._retries.worked(order.key)
            if waiting is None or waiting.deliver.revision.id != order.deliver.revision.id:
                self._troubles.pop(order.key, None)
            return True

    def first(self) -> tuple[Order | None, float]:
        """Returns the order that is due first, and the monotonic time at which it is."""
        with self._lock:
            key, due_s = self._retries.first_due(self._orders)
            return (None if key is None else self._orders[key]), due_s

    def has(self, key: CellKey) -> bool:
        """Whether an order waits for a cell."""
        with self._lock:
            return key in self._orders

    def trouble(self, key: CellKey) -> Trouble | None:
        """Returns why a cell's waiting order could not be carried out so far."""
        with self._lock:
            return self._troubles.get(key)

    def retry_in_s(self, key: CellKey, now_s: float) -> float | None:
        """Returns the seconds until a cell's waiting order is tried again; None: it has not failed."""
        with self._lock:
            return max(0.0, self._retries.due_s(key) - now_s) if key in self._troubles else None

    def done(self, order: Order) -> None:
        """Forgets an order, unless another has taken its place."""
        with self._lock:
            if self._orders.get(order.key) is order:
                self._forget(order.key)

    def postpone(self, order: Order, error: Exception, trouble: Trouble, now_s: float) -> bool:
        """Keeps an order for another try; returns whether its trouble is news."""
        with self._lock:
            if self._orders.get(order.key) is not order:
                return False
            self._retries.failed(order.key, error, now_s)
            news = self._troubles.get(order.key) != trouble
            self._troubles[order.key] = trouble
            return news

    def clear(self) -> tuple[CellKey, ...]:
        """Forgets everything: what it rested on is not known any more. Returns the cells."""
        with self._lock:
            keys = tuple(self._orders)
            for key in keys:
                self._forget(key)
            return keys

    def _forget(self, key: CellKey) -> None:
        del self._orders[key]
        self._retries.worked(key)
        self._troubles.pop(key, None)
