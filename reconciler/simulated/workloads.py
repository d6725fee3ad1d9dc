"""The controllers and kubelets of a simulated cluster: a step moves the stored objects towards their specs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from reconciler.ports.clock import Clock
from reconciler.simulated.behaviour import Fate, Pace, fate_of
from reconciler.simulated.deployments import move_deployment, tell_deployment, tell_replica_set
from reconciler.simulated.hands import Hands, Object
from reconciler.simulated.jobs import move_job
from reconciler.simulated.kubelet import status_of
from reconciler.simulated.sets import (
    move_daemon_set,
    move_stateful_set,
    tell_daemon_set,
    tell_stateful_set,
)
from reconciler.simulated.store import Store

Move = Callable[[Hands, Object], None]

EVER_S = 365 * 86_400.0
"""By then everything that time alone does to a Pod is done."""


class _Born(NamedTuple):
    """When a Pod was seen first: what is told of it hangs on that one moment, and never on another."""

    at: datetime
    s: float


@dataclass(frozen=True, slots=True)
class _Rest:
    """A moment from which on nothing moves by itself in a namespace.

    Attributes:
        version: Of the namespace.
        fates: What becomes of each image that runs.
    """

    version: int
    fates: dict[str, Fate]


class Workloads:
    """Controllers and kubelets of one cluster.

    Args:
        store: Its objects.
        clock: Time.
        pace: How fast Pods get ready, or fail.
        fates_of: What becomes of a container of an image here.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        pace: Pace,
        fates_of: Callable[[str], Fate] = fate_of,
    ) -> None:
        self._store = store
        self._clock = clock
        self._pace = pace
        self._fates_of = fates_of
        self._hands = Hands(store, clock)
        self._born: dict[str, dict[str, _Born]] = {}
        self._now_s = 0.0
        self._begin = _Born(clock.now(), clock.monotonic_s())
        self._rests: dict[str, _Rest] = {}
        self._steps: tuple[tuple[str, str, Move], ...] = (
            ("apps/v1", "Deployment", move_deployment),
            ("apps/v1", "StatefulSet", move_stateful_set),
            ("apps/v1", "DaemonSet", move_daemon_set),
            ("batch/v1", "Job", move_job),
            ("v1", "PersistentVolumeClaim", _bind),
            ("v1", "Pod", self._pod),
            ("apps/v1", "ReplicaSet", tell_replica_set),
            ("apps/v1", "Deployment", tell_deployment),
            ("apps/v1", "StatefulSet", tell_stateful_set),
            ("apps/v1", "DaemonSet", tell_daemon_set),
        )

    def step(self) -> None:
        """Moves everything on to the present moment; at rest that is nothing, and costs next to nothing."""
        with self._store.lock:
            before = self._moving()
            if not before:
                return
            # One moment for all of it: what is at rest a moment later may not have been written yet.
            self._begin = _Born(self._clock.now(), self._clock.monotonic_s())
            self._now_s = self._begin.s
            for api_version, kind, step in self._steps:
                for namespace in before:
                    self._each(api_version, kind, namespace, step)
            after = self._store.moved()
            for namespace, version in before.items():
                rest = self._rest(namespace) if after[namespace] == version else None
                if rest is not None:
                    self._rests[namespace] = rest

    @property
    def is_at_rest(self) -> bool:
        """Whether a step would do nothing."""
        return not self._moving()

    def _moving(self) -> dict[str, int]:
        """Returns the namespaces in which a step may do something, in order of name, and their versions."""
        found = self._store.moved().items()
        return dict(sorted(one for one in found if not self._does_rest(*one)))

    def _does_rest(self, namespace: str, version: int) -> bool:
        rest = self._rests.get(namespace)
        if rest is None or rest.version != version:
            return False
        return all(self._fates_of(image) is fate for image, fate in rest.fates.items())

    def _rest(self, namespace: str) -> _Rest | None:
        """Returns what nothing but a write, or another fate, can change; None where time will.

        Controllers have no clock: time changes Pods alone, and what it leaves alone for ever is at rest.
        """
        ever_s = self._now_s + EVER_S
        # A pull that fails comes round again: it may be where it was, and still not rest.
        again_s = ever_s + self._pace.pull_every_s
        fates: dict[str, Fate] = {}
        for pod in self._hands.listed("v1", "Pod", namespace):
            born = self._born[namespace].get(pod["metadata"]["uid"])
            if born is None:
                # It is on its way out, and left alone.
                continue
            now = self._status(pod, born, self._now_s)
            if any(now != self._status(pod, born, later_s) for later_s in (ever_s, again_s)):
                return None
            images = (str(c.get("image")) for c in pod["spec"].get("containers") or ())
            fates.update((image, self._fates_of(image)) for image in images)
        return _Rest(self._store.moved()[namespace], fates)

    def _each(self, api_version: str, kind: str, namespace: str, step: Move) -> None:
        listed = self._hands.listed(api_version, kind, namespace)
        if kind == "Pod":
            self._forget_pods(namespace, listed)
        for obj in listed:
            if "deletionTimestamp" not in obj["metadata"]:
                step(self._hands, obj)

    def _pod(self, hands: Hands, obj: Object) -> None:
        meta = obj["metadata"]
        born = self._born[meta["namespace"]].setdefault(meta["uid"], self._begin)
        hands.write_status(obj, self._status(obj, born, self._now_s), "kubelet")

    def _status(self, pod: Object, born: _Born, now_s: float) -> Object:
        age_s = now_s - born.s
        return status_of(pod, age_s, born.at + timedelta(seconds=age_s), self._pace, self._fates_of)

    def _forget_pods(self, namespace: str, left: list[Object]) -> None:
        former = self._born.get(namespace, {})
        uids = (pod["metadata"]["uid"] for pod in left)
        self._born[namespace] = {uid: former[uid] for uid in uids if uid in former}


def _bind(hands: Hands, obj: Object) -> None:
    """Every claim gets its volume, as where a class of storage makes one."""
    if (obj.get("status") or {}).get("phase") != "Bound":
        hands.write_status(obj, {"phase": "Bound"})
