"""The controllers and kubelets of a simulated cluster: a step moves the stored objects towards their specs."""

from __future__ import annotations

from collections.abc import Callable

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

    def step(self) -> None:
        """Moves everything on to the present moment."""
        with self._store.changed:
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

    def _each(self, api_version: str, kind: str, step: Callable[[Hands, Object], None]) -> None:
        for obj in self._hands.listed(api_version, kind):
            if "deletionTimestamp" not in obj["metadata"]:
                step(self._hands, obj)

    def _pod(self, hands: Hands, obj: Object) -> None:
        now_s = self._clock.monotonic_s()
        born_s = self._born_s.setdefault(obj["metadata"]["uid"], now_s)
        now = self._clock.now()
        status = status_of(obj, now_s - born_s, now, self._pace, self._fates_of)
        hands.write_status(obj, status, "kubelet")

    def _forget_pods(self) -> None:
        uids = {pod["metadata"]["uid"] for pod in self._hands.listed("v1", "Pod")}
        self._born_s = {uid: born_s for uid, born_s in self._born_s.items() if uid in uids}


def _bind(hands: Hands, obj: Object) -> None:
    """Every claim gets its volume, as where a class of storage makes one."""
    if (obj.get("status") or {}).get("phase") != "Bound":
        hands.write_status(obj, {"phase": "Bound"})
