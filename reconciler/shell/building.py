"""Builds made behind the scenes, so that nothing waits for the slowest of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from reconciler.errors import TransientError
from reconciler.model.names import ServiceName
from reconciler.ports.clock import Clock
from reconciler.shell.runner import IDLE_MAX_S, AtStop, Runner, Wake

BUILDERS = 2
"""Builds that may run at once: each may take a core and a gigabyte."""

Build = Callable[[], object]
"""Makes something and keeps it, or the error that stands in its place."""


class BeingRendered(TransientError):
    """Nothing is wrong: it is being rendered, and whoever asked is woken when it is there."""


class BuildQueue:
    """What is to be built: one thing of a service at a time, and first what was quick to build before.

    So a service whose builds run into their limits leaves the other builders to all who are not like
    it. All but `start` may be called from any thread.

    Args:
        clock: Tells how long a build takes.
        on_built: Told of a service after each of its builds, however it ended.
    """

    def __init__(self, clock: Clock, on_built: Callable[[ServiceName], None]) -> None:
        self._clock = clock
        self._on_built = on_built
        self._lock = threading.Lock()
        self._waiting: OrderedDict[ServiceName, OrderedDict[Hashable, Build]] = OrderedDict()
        self._built: dict[ServiceName, Hashable] = {}
        self._took_s: dict[ServiceName, float] = {}
        self._wakes: list[Wake] = []

    def start(self, runner: Runner) -> None:
        """Hands the builders to a runner, which waits last for what is being built: it has files and a process."""
        for number in range(BUILDERS):
            runner.spawn(
                f"build {number}",
                self.step,
                at_stop=AtStop.WAIT_LAST,
                on_wake=self._wakes.append,
            )

    def put(self, service: ServiceName, key: Hashable, build: Build) -> None:
        """Has something built soon, once for each key however often it is asked for meanwhile."""
        with self._lock:
            if self._built.get(service) == key:
                return
            self._waiting.setdefault(service, OrderedDict()).setdefault(key, build)
        for wake in self._wakes:
            wake()

    def clear(self) -> None:
        """Forgets what waits; what still counts is put in again by whoever asks for it."""
        with self._lock:
            self._waiting.clear()

    def step(self) -> float:
        """Builds one thing; returns at once if more may wait, else what no wait is longer than, seconds."""
        found = self._take()
        if found is None:
            return IDLE_MAX_S
        service, build = found
        began_s = self._clock.monotonic_s()
        try:
            build()
        finally:
            with self._lock:
                del self._built[service]
                self._took_s[service] = self._clock.monotonic_s() - began_s
            self._on_built(service)
        return 0.0

    def _take(self) -> tuple[ServiceName, Build] | None:
        with self._lock:
            free = (name for name in self._waiting if name not in self._built)
            # Of those that take as long, who has waited the longest.
            service = min(free, key=lambda name: self._took_s.get(name, 0.0), default=None)
            if service is None:
                return None
            builds = self._waiting.pop(service)
            key, build = builds.popitem(last=False)
            if builds:
                self._waiting[service] = builds
            self._built[service] = key
            return service, build
