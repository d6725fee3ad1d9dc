"""One kind of one cluster, listed once and then watched: every change is handed on, none twice unseen."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import structlog

from reconciler.errors import Expired, OperatorError, ReconcilerError, TransientError
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.clock import Clock
from reconciler.ports.kube import Change, KubeReader, WatchEvent

SESSION_S = 50.0
"""One watch request; bookmarks come about once a minute, and a dead connection ends with it."""

RETRY_FIRST_S, RETRY_MAX_S = 0.2, 30.0
DENIED_S = 15.0
"""A right that is missing is looked for again, but not often: a person must give it."""

_log = structlog.get_logger(__name__)


class KindWatch:
    """A list and the watch that keeps it up to date. Its `step` is one task.

    An error empties nothing: what was seen stays, and `is_fresh` says that it may be old.

    Args:
        api: The cluster.
        kind: apiVersion and kind.
        namespace: None for all.
        label_selector: Empty for all.
        clock: Time.
        fresh_s: Seconds without word after which what was seen counts as old.
        on_event: Called with every change, a relist's included.
        on_fresh: Called when what was seen counts again: after the first list, and after a gap.
        jitter: Spreads retries.
        again_s: Seconds between two sessions; above zero only where a session ends at once.
        empty_if_not_served: A kind that the server does not serve has no objects: for our own
            records where nothing has been installed yet.
    """

    def __init__(
        self,
        api: KubeReader,
        kind: tuple[str, str],
        *,
        namespace: str | None,
        label_selector: str,
        clock: Clock,
        fresh_s: float,
        on_event: Callable[[WatchEvent], None],
        on_fresh: Callable[[], None],
        jitter: random.Random,
        again_s: float = 0.0,
        empty_if_not_served: bool = False,
    ) -> None:
        self._api = api
        self._kind = kind
        self._namespace = namespace
        self._selector = label_selector
        self._clock = clock
        self._fresh_s = fresh_s
        self._on_event = on_event
        self._on_fresh = on_fresh
        self._jitter = jitter
        self._again_s = again_s
        self._empty_if_not_served = empty_if_not_served
        self._lock = threading.Lock()
        self._known: dict[ObjectRef, KubeObject] = {}
        self._version = ""
        self._seen_s: float | None = None
        self._failures = 0
        self._stopped = False
        self.error = ""

    @property
    def is_fresh(self) -> bool:
        """Whether it has been listed whole, and the last contact is not long ago."""
        with self._lock:
            seen_s = self._seen_s
        return seen_s is not None and self._clock.monotonic_s() - seen_s <= self._fresh_s

    def stop(self) -> None:
        """Ends a session at its next event; further steps do nothing."""
        self._stopped = True

    def step(self) -> float:
        """Lists if need be, then watches for one session; returns seconds until the next."""
        if self._stopped:
            return SESSION_S
        try:
            if self._empty_if_not_served and self._api.kind(*self._kind) is None:
                self._seen()
                return DENIED_S
            if not self._version:
                self._list()
            self._watch()
        except Expired:
            self._version = ""
            return 0.0
        except OperatorError as error:
            self._failed(error)
            self._version = ""
            return DENIED_S
        except TransientError as error:
            return self._failed(error)
        self._failures, self.error = 0, ""
        return self._again_s

    def _list(self) -> None:
        listing = self._api.list(
            *self._kind, namespace=self._namespace, label_selector=self._selector
        )
        found = {ObjectRef.of(self._typed(obj)): self._typed(obj) for obj in listing.items}
        gone = [obj for ref, obj in self._known.items() if ref not in found]
        for obj in gone:
            self._note(WatchEvent(Change.DELETED, obj))
        for ref, obj in found.items():
            was = self._known.get(ref)
            if was is None or _version(was) != _version(obj):
                change = Change.ADDED if was is None else Change.MODIFIED
                self._note(WatchEvent(change, obj))
        self._version = listing.resource_version
        self._seen()

    def _watch(self) -> None:
        events = self._api.watch(
            *self._kind,
            namespace=self._namespace,
            label_selector=self._selector,
            resource_version=self._version,
            timeout_s=SESSION_S,
        )
        for event in events:
            if event.change is not Change.BOOKMARK:
                event = WatchEvent(event.change, self._typed(event.object))  # noqa: PLW2901
                self._note(event)
            self._version = _version(event.object) or self._version
            self._seen()
            if self._stopped:
                return

    def _note(self, event: WatchEvent) -> None:
        ref = ObjectRef.of(event.object)
        if event.change is Change.DELETED:
            self._known.pop(ref, None)
        else:
            self._known[ref] = event.object
        self._on_event(event)

    def _typed(self, obj: KubeObject) -> KubeObject:
        """Items of a list come without their kind."""
        if "kind" in obj and "apiVersion" in obj:
            return obj
        return {"apiVersion": self._kind[0], "kind": self._kind[1], **obj}

    def _seen(self) -> None:
        was_fresh = self.is_fresh
        with self._lock:
            self._seen_s = self._clock.monotonic_s()
        if not was_fresh:
            self._on_fresh()

    def _failed(self, error: ReconcilerError) -> float:
        if str(error) != self.error:
            _log.warning("watch-failed", kind=self._kind[1], error=str(error))
        self.error = str(error)
        self._failures += 1
        wait_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(self._failures - 1, 10))
        if isinstance(error, TransientError) and error.retry_after_s:
            wait_s = max(wait_s, min(error.retry_after_s, RETRY_MAX_S))
        return float(wait_s * (0.5 + self._jitter.random()))


def _version(obj: KubeObject) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))
