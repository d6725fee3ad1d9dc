"""Before anything was ever delivered: how what is live compares with a render. Writes nothing."""

from __future__ import annotations

import threading
from datetime import datetime
from math import inf

from reconciler.core.health import assess
from reconciler.errors import ReconcilerError
from reconciler.model.facts import LiveState, MemberHealth
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeReader
from reconciler.shell.executor.cells import Examined, member_health
from reconciler.shell.executor.foreign import fields_that_differ
from reconciler.shell.executor.live import LOOKED_THROUGH, LiveObjects
from reconciler.shell.executor.orders import CellKey, Examination

AGAIN_FIRST_S, AGAIN_MOST_S = 0.05, 5.0
"""When what could not be read is read again: soon, as its kinds may just be being listed, and then ever later."""


class Examinations:
    """What is still to be compared, and when.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[CellKey, tuple[Examination, float]] = {}
        self._again_s: dict[CellKey, float] = {}

    def put(self, examination: Examination) -> bool:
        """Takes a question in the place of another of the same cell; returns whether anything is new."""
        key = examination.key
        with self._lock:
            former = self._waiting.get(key)
            if former is not None and former[0].revision == examination.revision:
                return False
            due_s = self._clock.monotonic_s() + self._again_s.get(key, 0.0)
            self._waiting[key] = (examination, due_s)
            return True

    def take(self) -> Examination | None:
        """Returns one whose time has come, and forgets it."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            found = next((e for e, due_s in self._waiting.values() if due_s <= now_s), None)
            if found is not None:
                del self._waiting[found.key]
            return found

    def note(self, found: Examined, key: CellKey) -> None:
        """Takes an answer: where it says nothing, the next question waits for longer."""
        with self._lock:
            if found.live is not LiveState.UNKNOWN:
                self._again_s.pop(key, None)
            else:
                former_s = self._again_s.get(key, AGAIN_FIRST_S / 2)
                self._again_s[key] = min(AGAIN_MOST_S, 2 * former_s)

    def clear(self) -> None:
        """Forgets all of them."""
        with self._lock:
            self._waiting.clear()

    def due_s(self) -> float:
        """Returns the monotonic time at which the next one is due; infinity without any."""
        with self._lock:
            return min((due_s for _, due_s in self._waiting.values()), default=inf)


def examine(
    api: KubeReader, examination: Examination, live: LiveObjects, *, now: datetime, now_s: float
) -> Examined:
    """Reads every object of a render from the server; any that cannot be read leaves it unknown."""

    def answer(state: LiveState, health: MemberHealth | None = None) -> Examined:
        return Examined(examination.revision, state, health or MemberHealth(), now_s)

    live.watch(LOOKED_THROUGH)
    if not live.is_fresh(LOOKED_THROUGH):
        return answer(LiveState.UNKNOWN)
    found: list[tuple[KubeObject, KubeObject | None]] = []
    for desired in examination.rendered.objects:
        ref = ObjectRef.of(desired)
        try:
            served = api.kind(ref.api_version, ref.kind)
            found.append((desired, api.get(ref) if served is not None else None))
        except ReconcilerError as error:
            return answer(LiveState.UNKNOWN, MemberHealth(reason="Unread", message=str(error)))
    there = [(desired, seen) for desired, seen in found if seen is not None]
    if not _own(there, found):
        return answer(LiveState.ABSENT)
    if len(there) < len(found) or any(fields_that_differ(desired, seen) for desired, seen in there):
        return answer(LiveState.DIFFERS)
    healths = [assess(seen, live.family(seen)) for _, seen in there]
    return answer(LiveState.EQUAL, member_health(healths, now=now, former=MemberHealth()))


def _own(
    there: list[tuple[KubeObject, KubeObject]],
    found: list[tuple[KubeObject, KubeObject | None]],
) -> list[tuple[KubeObject, KubeObject]]:
    """A Namespace that is there already does not make a service present: people make them ahead."""
    if all(desired["kind"] == "Namespace" for desired, _ in found):
        return there
    return [(desired, seen) for desired, seen in there if desired["kind"] != "Namespace"]
