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
from reconciler.shell.bugs import bug
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
    live.watch(LOOKED_THROUGH)
    state, health = LiveState.UNKNOWN, MemberHealth()
    if live.is_fresh(LOOKED_THROUGH):
        try:
            state, health = _compared(api, examination.rendered.objects, live, now)
        except ReconcilerError as error:
            health = MemberHealth(reason="Unread", message=str(error))
        except Exception as error:  # noqa: BLE001  # our bug must not stand before the orders of others
            service, environment = examination.key
            unread = bug(f"{service} in {environment}", error)
            health = MemberHealth(reason="Unread", message=str(unread))
    return Examined(examination.revision, state, health, now_s)


def _compared(
    api: KubeReader, objects: tuple[KubeObject, ...], live: LiveObjects, now: datetime
) -> tuple[LiveState, MemberHealth]:
    found: list[tuple[KubeObject, KubeObject | None]] = []
    for desired in objects:
        ref = ObjectRef.of(desired)
        served = api.kind(ref.api_version, ref.kind)
        found.append((desired, api.get(ref) if served is not None else None))
    there = [(desired, seen) for desired, seen in found if seen is not None]
    if not _own(there, found):
        return LiveState.ABSENT, MemberHealth()
    if len(there) < len(found) or any(fields_that_differ(desired, seen) for desired, seen in there):
        return LiveState.DIFFERS, MemberHealth()
    healths = [assess(seen, live.family(seen)) for _, seen in there]
    return LiveState.EQUAL, member_health(healths, now=now, former=MemberHealth())


def _own(
    there: list[tuple[KubeObject, KubeObject]],
    found: list[tuple[KubeObject, KubeObject | None]],
) -> list[tuple[KubeObject, KubeObject]]:
    """A Namespace that is there already does not make a service present: people make them ahead."""
    if all(desired["kind"] == "Namespace" for desired, _ in found):
        return there
    return [(desired, seen) for desired, seen in there if desired["kind"] != "Namespace"]
