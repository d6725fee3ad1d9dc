"""The controllers and kubelets of a simulated cluster: a step moves the stored objects towards their specs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

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

EVER = timedelta(days=365)
"""By then everything that time alone does to a Pod is done."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """A moment from which on nothing moves by itself.

    Attributes:
        version: Of the store.
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
        self._born_s: dict[str, float] = {}
        self._now, self._now_s = clock.now(), clock.monotonic_s()
        self._rests: _Rest | None = None

    def step(self) -> None:
        """Moves everything on to the present moment; at rest that is nothing, and costs next to nothing."""
        with self._store.lock:
            if self.is_at_rest:
                return
            before = self._store.version
            # One moment for all of it: what is at rest a moment later may not have been written yet.
            self._now, self._now_s = self._clock.now(), self._clock.monotonic_s()
            self._each("apps/v1", "Deployment", move_deployment)
            self._each("apps/v1", "StatefulSet", move_stateful_set)
            self._each("apps/v1", "DaemonSet", move_daemon_set)
            self._each("batch/v1", "Job", move_job)
            self._each("v1", "PersistentVolumeClaim", _bind)
            self._forget_pods()
            self._each("v1", "Pod", self._pod)
            self._each("apps/v1", "ReplicaSet", tell_replica_set)
            self._each("apps/v1", "Deployment", tell_deployment)
            self._each("apps/v1", "StatefulSet", tell_stateful_set)
            self._each("apps/v1", "DaemonSet", tell_daemon_set)
            self._rests = self._rest() if self._store.version == before else None

    @property
    def is_at_rest(self) -> bool:
        """Whether a step would do nothing."""
        rests = self._rests
        if rests is None or rests.version != self._store.version:
            return False
        return all(self._fates_of(image) is fate for image, fate in rests.fates.items())

    def _rest(self) -> _Rest | None:
        """Returns what nothing but a write, or another fate, can change; None where time will.

        Controllers have no clock: time changes Pods alone, and what it leaves alone for ever is at rest.
        """
        ever, ever_s = self._now + EVER, self._now_s + EVER.total_seconds()
        fates: dict[str, Fate] = {}
        for pod in self._hands.listed("v1", "Pod"):
            born_s = self._born_s.get(pod["metadata"]["uid"])
            if born_s is None:
                # It is on its way out, and left alone.
                continue
            now = self._status(pod, self._now_s - born_s, self._now)
            if now != self._status(pod, ever_s - born_s, ever):
                return None
            images = (str(c.get("image")) for c in pod["spec"].get("containers") or ())
            fates.update((image, self._fates_of(image)) for image in images)
        return _Rest(self._store.version, fates)

    def _each(self, api_version: str, kind: str, step: Callable[[Hands, Object], None]) -> None:
        for obj in self._hands.listed(api_version, kind):
            if "deletionTimestamp" not in obj["metadata"]:
                step(self._hands, obj)

    def _pod(self, hands: Hands, obj: Object) -> None:
        born_s = self._born_s.setdefault(obj["metadata"]["uid"], self._now_s)
        hands.write_status(obj, self._status(obj, self._now_s - born_s, self._now), "kubelet")

    def _status(self, pod: Object, age_s: float, now: datetime) -> Object:
        return status_of(pod, age_s, now, self._pace, self._fates_of)

    def _forget_pods(self) -> None:
        uids = {pod["metadata"]["uid"] for pod in self._hands.listed("v1", "Pod")}
        self._born_s = {uid: born_s for uid, born_s in self._born_s.items() if uid in uids}


def _bind(hands: Hands, obj: Object) -> None:
    """Every claim gets its volume, as where a class of storage makes one."""
    if (obj.get("status") or {}).get("phase") != "Bound":
        hands.write_status(obj, {"phase": "Bound"})
