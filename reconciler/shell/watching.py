"""One kind of one cluster, listed once and then watched: every change is handed on, none twice unseen."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import structlog

from reconciler.errors import Expired, NotServed, OperatorError, ReconcilerError, TransientError
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.clock import Clock
from reconciler.ports.kube import Change, KubeReader, WatchEvent

SESSION_S = 50.0
"""One watch request; bookmarks come about once a minute, and a dead connection ends with it."""

RETRY_FIRST_S, RETRY_MAX_S = 0.2, 30.0
DENIED_S = 15.0
"""A right that is missing is looked for again, but not often: a person must give it."""

STEADY_S = 5.0
"""A watch that stood this long and then broke is asked again at once, however often that was before."""

HASTY_S = 1.0
"""A server that ends a watch sooner than this is asked again with a back-off, not at once."""

NOTHING = "reconciler.dev/no-object-has-this-label"
"""Selects nothing: the cheapest question after the version that a kind is at."""

_log = structlog.get_logger(__name__)


class KindWatch:
    """A list and the watch that keeps it up to date. Its `step` is one task.

    An error empties nothing: what was seen stays, and `is_fresh` says that it may be old.

    Attributes:
        denied: Why it may not be watched; empty where nothing but time is needed.

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
        on_not_served: For our own records, where a kind that the server does not serve has no
            objects: called then, so that it can be installed. None for every other kind, of which
            the same is an error.
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
        on_not_served: Callable[[], None] | None = None,
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
        self._on_not_served = on_not_served
        self._lock = threading.Lock()
        self._known: dict[ObjectRef, KubeObject] = {}
        self._version = ""
        self._is_listed = False
        self._seen_s: float | None = None
        self._failures = 0
        self._expiries = 0
        self._stopped = threading.Event()
        self._error = ""
        self.denied = ""

    @property
    def heard_s(self) -> float | None:
        """Monotonic time of the last word from the server; None before the first list."""
        with self._lock:
            return self._seen_s

    @property
    def is_fresh(self) -> bool:
        """Whether it has been listed whole, and the last contact is not long ago."""
        return self._clock.monotonic_s() < self.fresh_until_s

    @property
    def fresh_until_s(self) -> float:
        """Monotonic time at which it is fresh no more, unless more is heard."""
        seen_s = self.heard_s
        return float("-inf") if seen_s is None else seen_s + self._fresh_s

    def doubt(self) -> None:
        """Says that nothing may have been told for a while: what was seen counts after a new list."""
        self._is_listed = False
        with self._lock:
            self._seen_s = None

    def stop(self) -> None:
        """Lets further steps do nothing, and a session end at its next event, or break off untold."""
        self._stopped.set()

    def step(self) -> float:
        """Lists if need be, then watches for one session; returns seconds until the next."""
        if self._stopped.is_set():
            return SESSION_S
        began_s = self._clock.monotonic_s()
        watched_s = float("inf")
        try:
            if self._on_not_served is not None and self._api.kind(*self._kind) is None:
                self._not_served(self._on_not_served)
                return DENIED_S
            if not self._is_listed:
                self._list()
            watched_s = self._clock.monotonic_s()
            heard = self._watch()
            if heard:
                # It was ended in good order, so nothing was held back until now: a word like another.
                self._seen()
            elif not self._stopped.is_set():
                self._probe()
        except Expired as error:
            # Once is what happens after a while away; again and again is a broken server.
            self._is_listed = False
            self._expiries = self._counted(self._expiries, watched_s)
            if self._expiries > 1:
                self._tell(error)
            return self._back_off(self._expiries)
        except OperatorError as error:
            self._tell(error)
            self.denied = self._error
            self.doubt()
            if not isinstance(error, NotServed):
                return DENIED_S
            # Its definition may come in the release that brings its first object.
            self._failures = self._counted(self._failures, watched_s)
            return min(DENIED_S, self._back_off(self._failures))
        except TransientError as error:
            self._failures = self._counted(self._failures, watched_s)
            self._tell(error)
            least_s = min(error.retry_after_s or 0.0, RETRY_MAX_S)
            return max(least_s, self._back_off(self._failures))
        self._error = ""
        is_hasty = self._clock.monotonic_s() - began_s < HASTY_S and not self._again_s
        if is_hasty and not heard:
            self._failures += 1
            return self._back_off(self._failures)
        self._failures = self._expiries = 0
        # Spread, so that watches of virtual time do not keep step with what they watch.
        spread = 0.5 + self._jitter.random()
        return RETRY_FIRST_S if is_hasty else self._again_s * spread

    def _list(self) -> None:
        listing = self._api.list(
            *self._kind, namespace=self._namespace, label_selector=self._selector
        )
        found = {ObjectRef.of(self._typed(obj)): self._typed(obj) for obj in listing.items}
        if _number(listing.resource_version) < _number(self._version):
            # The server was restored from a backup: what is known is of another history, and no
            # version of the one can be compared with a version of the other.
            self._forget(self._version)
        for ref in [ref for ref in self._known if ref not in found]:
            self._gone(ref, listing.resource_version)
        for ref, obj in found.items():
            was = self._known.get(ref)
            if was is None or _version(was) != _version(obj):
                change = Change.ADDED if was is None else Change.MODIFIED
                self._note(WatchEvent(change, obj))
        self._version = listing.resource_version
        self._is_listed = True
        self._seen()

    def _watch(self) -> bool:
        """Watches for one session; returns whether anything was heard."""
        heard = False
        events = self._api.watch(
            *self._kind,
            namespace=self._namespace,
            label_selector=self._selector,
            resource_version=self._version,
            timeout_s=SESSION_S,
        )
        for event in events:
            heard = True
            if event.change is not Change.BOOKMARK:
                event = WatchEvent(event.change, self._typed(event.object))  # noqa: PLW2901
                self._note(event)
            self._version = _version(event.object) or self._version
            self._seen()
            if self._stopped.is_set():
                break
        return heard

    def _probe(self) -> None:
        """After a silent session: asks whether the server's history is still the one we know.

        A server has no bookmark to send where nothing happened. It has none either where it was
        restored from a backup and is behind us; then nothing that happens there is told.
        """
        probe = self._api.list(*self._kind, namespace=self._namespace, label_selector=NOTHING)
        if _number(probe.resource_version) < _number(self._version):
            self._is_listed = False
        else:
            self._seen()

    def _not_served(self, tell: Callable[[], None]) -> None:
        """Without its definition there is no object of a kind: the server has just said so."""
        self._forget(self._version)
        self._version, self._is_listed = "", False
        self._seen()
        tell()

    def _forget(self, version: str) -> None:
        for ref in list(self._known):
            self._gone(ref, version)

    def _gone(self, ref: ObjectRef, version: str) -> None:
        obj = self._known[ref]
        metadata = {**obj["metadata"], "resourceVersion": version}
        self._note(WatchEvent(Change.DELETED, {**obj, "metadata": metadata}))

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
        self.denied = ""
        with self._lock:
            self._seen_s = self._clock.monotonic_s()
        if not was_fresh:
            self._on_fresh()

    def _tell(self, error: ReconcilerError) -> None:
        if str(error) != self._error and not self._stopped.is_set():
            _log.warning("watch-failed", kind=self._kind[1], error=str(error))
        self._error = str(error)

    def _counted(self, failures: int, watched_s: float) -> int:
        """Returns the failures with this one, which is the first where the watch stood for a while."""
        return 1 if self._clock.monotonic_s() - watched_s >= STEADY_S else failures + 1

    def _back_off(self, failures: int) -> float:
        """Returns a longer wait after each failure, until a session goes well."""
        wait_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(failures - 1, 10))
        return float(wait_s * (0.5 + self._jitter.random()))


def _version(obj: KubeObject) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _number(version: str) -> int:
    """resourceVersions of one kind can be compared as numbers.

    Source: Kubernetes 1.35, KEP-5504 "Comparable Resource Version".
    """
    return int(version) if version.isdecimal() else 0
