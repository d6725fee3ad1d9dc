"""One simulated cluster: its objects, its controllers, what was written to it, and what is broken about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from reconciler.errors import Unreachable
from reconciler.model.objects import KubeObject
from reconciler.ports.clock import Clock
from reconciler.simulated.behaviour import Fate, Pace, fate_of
from reconciler.simulated.memory import MemoryKube
from reconciler.simulated.store import Store
from reconciler.simulated.workloads import Workloads


@dataclass(frozen=True, slots=True)
class Written:
    """One write by a client, as an audit log would have it."""

    at: datetime
    verb: str
    kind: str
    namespace: str
    name: str
    obj: KubeObject


@dataclass(slots=True)
class Faults:
    """What is broken about a cluster.

    Attributes:
        is_down: Every connection is refused.
        is_stale: Watches tell nothing of what happens, as where a cache lags; they tell it all later.
        before: Called with verb and kind before every request; raises what is to be met.
    """

    is_down: bool = False
    is_stale: bool = False
    before: Callable[[str, str], None] = field(default=lambda verb, kind: None)


class _Ahead:
    """A clock that is off."""

    def __init__(self, clock: Clock, ahead_s: float) -> None:
        self._clock = clock
        self._ahead = timedelta(seconds=ahead_s)

    def now(self) -> datetime:
        return self._clock.now() + self._ahead

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()


class SimulatedCluster:
    """A cluster in memory.

    Args:
        name: Its name, for errors and UIDs.
        clock: Time.
        pace: How fast its Pods are.
        fates_of: What becomes of a container of an image here.
        skew_s: Seconds that its own clock is ahead.
        on_change: Told of the kind of each change of an object.
    """

    def __init__(
        self,
        name: str,
        *,
        clock: Clock,
        pace: Pace | None = None,
        fates_of: Callable[[str], Fate] = fate_of,
        skew_s: float = 0.0,
        on_change: Callable[[str], None] = lambda kind: None,
    ) -> None:
        self.name = name
        self.skew_s = skew_s
        self._clock = clock
        clock = _Ahead(clock, skew_s) if skew_s else clock
        self._made = 0
        self.store = Store(clock, self._uid, on_change)
        self.faults = Faults()
        self.audit: list[Written] = []
        self._workloads = Workloads(self.store, clock, pace or Pace(), fates_of)
        for namespace in ("default", "kube-system"):
            self.store.create(_namespace(namespace), "kube-apiserver")

    def step(self) -> None:
        """Lets the controllers work."""
        self._workloads.step()

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing moves until somebody writes, or what becomes of an image changes."""
        return self._workloads.is_at_rest

    def client(
        self,
        *,
        before: Callable[[str, str], None] = lambda verb, kind: None,
        wrote: Callable[[Written], None] = lambda written: None,
    ) -> MemoryKube:
        """Returns the cluster behind the port the shell uses.

        Args:
            before: Called before each request of this client, as `Faults.before` is for all.
            wrote: Told of each write of this client.
        """

        def asked(verb: str, kind: str) -> None:
            before(verb, kind)
            self._before(verb, kind)

        def written(verb: str, obj: KubeObject) -> None:
            wrote(self._wrote(verb, obj))

        return MemoryKube(
            self.store,
            before=asked,
            wrote=written,
            skew_s=self.skew_s,
            is_stale=lambda: self.faults.is_stale,
        )

    def _uid(self) -> str:
        self._made += 1
        return f"{self.name}-{self._made:08d}"

    def _before(self, verb: str, kind: str) -> None:
        if self.faults.is_down:
            why = "connection refused"
            raise Unreachable(f"cluster {self.name}", f"{verb} {kind} failed", why)
        self.faults.before(verb, kind)

    def _wrote(self, verb: str, obj: KubeObject) -> Written:
        meta = obj["metadata"]
        written = Written(
            self._clock.now(),
            verb,
            str(obj["kind"]),
            str(meta.get("namespace", "")),
            str(meta["name"]),
            obj,
        )
        self.audit.append(written)
        return written


def _namespace(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name},
        "status": {"phase": "Active"},
    }
