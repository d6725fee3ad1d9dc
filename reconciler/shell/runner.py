"""All concurrency: tasks that are plain steps, run by threads or one at a time in virtual time."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Protocol

import structlog

from reconciler.errors import ReconcilerError

Step = Callable[[], float]
"""Does what is due, and returns the seconds until it wants to run again at the latest."""

Wake = Callable[[], None]
"""Asks a task to run soon; calling it more than once before it does changes nothing."""

ERROR_WAIT_FIRST_S, ERROR_WAIT_MAX_S = 0.5, 30.0
"""A task that fails is tried again soon, then less and less: it may be failing for the whole fleet."""

SHORTEST_S = 0.005
"""A wait so short that adding it to a clock may change nothing would be waited for ever."""

IDLE_MAX_S = 3600.0
"""No wait is endless, whatever a task answers."""

STEPS_AT_ONCE_MAX = 5_000
"""Virtual time must move; tasks that wake each other for ever are our bug."""

_log = structlog.get_logger(__name__)


class AtStop(Enum):
    """What a stop does about a task that is in the middle of a step."""

    WAIT = "wait"
    """It is waited for: what it has begun is done before what is known is saved."""
    WAIT_LAST = "wait last"
    """It is waited for after that: it has files and processes to clear away, and nothing to say."""
    LEAVE = "leave"
    """It is left: it may hang in a read for long, and has nothing to lose."""


class Runner(Protocol):
    """Runs tasks until it is stopped."""

    def spawn(
        self,
        name: str,
        step: Step,
        *,
        at_stop: AtStop = AtStop.WAIT,
        on_wake: Callable[[Wake], None] = lambda wake: None,
    ) -> Wake:
        """Adds a task, which may be done while others run; its first step is due at once.

        Args:
            name: For logs.
            step: The task.
            at_stop: What a stop does about it.
            on_wake: Given what wakes it, before it runs: whoever learned of that later could not wake
                it in time from the sleep that its first step ends in.
        """
        ...


class _Failures:
    """How long a task that keeps failing waits; it starts anew after a step that worked."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def guarded(self, step: Step) -> float:
        """Runs a step; an error is told and answered with a wait, since one task may not end others."""
        try:
            wait_s = step()
        except ReconcilerError as error:
            _log.warning("step-failed", task=self._name, error=str(error))
        except Exception:  # noqa: BLE001  # our bug must not end the other tasks
            _log.exception("step-crashed", task=self._name)
        else:
            self._count = 0
            return min(max(SHORTEST_S, wait_s), IDLE_MAX_S) if wait_s > 0 else 0.0
        self._count += 1
        return float(min(ERROR_WAIT_MAX_S, ERROR_WAIT_FIRST_S * 2 ** min(self._count - 1, 10)))


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Returns wall time, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Returns seconds since some moment."""
        return time.monotonic()


class ThreadRunner:
    """A thread for each task."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[tuple[threading.Thread, threading.Event, AtStop]] = []
        self._lock = threading.Lock()

    def spawn(
        self,
        name: str,
        step: Step,
        *,
        at_stop: AtStop = AtStop.WAIT,
        on_wake: Callable[[Wake], None] = lambda wake: None,
    ) -> Wake:
        """Starts a task; after `stop` it is never run."""
        woken = threading.Event()
        on_wake(woken.set)
        thread = threading.Thread(
            target=self._run, args=(name, step, woken), name=name, daemon=True
        )
        with self._lock:
            if not self._stopping.is_set():
                self._threads.append((thread, woken, at_stop))
                thread.start()
        return woken.set

    def _run(self, name: str, step: Step, woken: threading.Event) -> None:
        failures = _Failures(name)
        while not self._stopping.is_set():
            woken.clear()
            wait_s = failures.guarded(step)
            if wait_s > 0:
                woken.wait(wait_s)

    def stop(self, timeout_s: float, save: Callable[[], None] = lambda: None) -> tuple[str, ...]:
        """Asks every task to end after its step; returns the names of those that did not in time.

        Args:
            timeout_s: Seconds that all of them together are waited for.
            save: Called once, when no task does anything any more that is worth saving, or is late.
        """
        self._stopping.set()
        with self._lock:
            threads = list(self._threads)
        for _, woken, _ in threads:
            woken.set()
        until_s = time.monotonic() + timeout_s
        first = [thread for thread, _, at_stop in threads if at_stop is AtStop.WAIT]
        last = [thread for thread, _, at_stop in threads if at_stop is AtStop.WAIT_LAST]
        _join(first, until_s)
        save()
        _join(last, until_s)
        return tuple(thread.name for thread in (*first, *last) if thread.is_alive())


def _join(threads: Iterable[threading.Thread], until_s: float) -> None:
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(max(0.0, until_s - time.monotonic()))


class VirtualClock:
    """A clock that only a test or a simulation moves."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """Returns virtual wall time, UTC."""
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        """Returns virtual seconds since the start."""
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Moves time on."""
        self._elapsed_s += max(0.0, seconds)


class SeededRunner:
    """One task at a time, the next of those due chosen by a seed; waiting only moves the clock.

    Args:
        clock: Moved to the time of the next task.
        seed: Decides the order of tasks that are due together.
    """

    def __init__(self, clock: VirtualClock, seed: int) -> None:
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311  # replayable, not secret
        self._queue: list[tuple[float, float, int]] = []
        self._tasks: list[tuple[Step, _Failures]] = []
        self._due: dict[int, float] = {}

    def spawn(
        self,
        name: str,
        step: Step,
        *,
        at_stop: AtStop = AtStop.WAIT,
        on_wake: Callable[[Wake], None] = lambda wake: None,
    ) -> Wake:
        """Adds a task."""
        del at_stop
        number = len(self._tasks)
        self._tasks.append((step, _Failures(name)))

        def wake() -> None:
            self._at(number, 0.0)

        on_wake(wake)
        wake()
        return wake

    def _at(self, number: int, wait_s: float) -> None:
        due = self._clock.monotonic_s() + wait_s
        if self._due.get(number, float("inf")) <= due:
            return
        self._due[number] = due
        heapq.heappush(self._queue, (due, self._random.random(), number))

    def run_until(self, is_done: Callable[[], bool], *, limit_s: float) -> bool:
        """Runs tasks until something holds; returns False when it did not within virtual seconds."""
        until_s = self._clock.monotonic_s() + limit_s
        steps, since_s = 0, self._clock.monotonic_s()
        while not is_done():
            steps = steps + 1 if self._clock.monotonic_s() == since_s else 0
            since_s = self._clock.monotonic_s()
            if steps > STEPS_AT_ONCE_MAX:
                raise AssertionError("tasks run for ever without waiting")
            if not self._queue:
                return False
            due, _, number = heapq.heappop(self._queue)
            if self._due.get(number) != due:
                continue
            if due > until_s:
                self._at_again(number, due)
                self._clock.advance(until_s - self._clock.monotonic_s())
                return is_done()
            del self._due[number]
            self._clock.advance(due - self._clock.monotonic_s())
            step, failures = self._tasks[number]
            self._at(number, failures.guarded(step))
        return True

    def _at_again(self, number: int, due: float) -> None:
        heapq.heappush(self._queue, (due, self._random.random(), number))
