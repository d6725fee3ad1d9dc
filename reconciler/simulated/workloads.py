"""The controllers of a simulated cluster, each a step that moves the stored objects towards their specs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from reconciler.model.times import rfc3339
from reconciler.ports.clock import Clock
from reconciler.simulated.behaviour import Fate, Pace, fate_of
from reconciler.simulated.kinds import Kind
from reconciler.simulated.kubelet import status_of
from reconciler.simulated.store import Store

Object = dict[str, Any]

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_SET_HASH = "controller-revision-hash"
_MANAGER = "kube-controller-manager"


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
        self._born_s: dict[str, float] = {}
        self._names = 0

    def step(self) -> None:
        """Moves everything on to the present moment."""
        with self._store.changed:
            self._each("apps/v1", "Deployment", self._deployment)
            self._each("apps/v1", "StatefulSet", self._stateful_set)
            self._each("apps/v1", "DaemonSet", self._daemon_set)
            self._each("batch/v1", "Job", self._job)
            self._each("v1", "PersistentVolumeClaim", self._claim)
            self._each("v1", "Pod", self._pod)
            self._each("apps/v1", "ReplicaSet", self._replica_set_status)
            self._each("apps/v1", "Deployment", self._deployment_status)
            self._each("apps/v1", "StatefulSet", self._stateful_set_status)

    def _each(self, api_version: str, kind: str, step: Any) -> None:
        for obj in self._list(api_version, kind):
            if "deletionTimestamp" not in obj["metadata"]:
                step(obj)

    def _list(self, api_version: str, kind: str, namespace: str | None = None) -> list[Object]:
        return self._store.peek(self._kind(api_version, kind), namespace)

    def _kind(self, api_version: str, kind: str) -> Kind:
        found = self._store.served(api_version, kind)
        assert found is not None
        return found

    # Deployments.

    def _deployment(self, obj: Object) -> None:
        sets = self._owned("apps/v1", "ReplicaSet", obj)
        wanted = int(obj["spec"]["replicas"])
        newest = self._newest_set(obj, sets)
        old = [s for s in sets if s["metadata"]["uid"] != newest["metadata"]["uid"]]
        new_pods = self._pods(newest)
        old_pods = [pod for s in old for pod in self._pods(s)]
        surge = max(1, wanted // 4)
        for _ in range(min(wanted - len(new_pods), wanted + surge - len(new_pods) - len(old_pods))):
            self._create_pod(newest, obj["spec"]["template"], {})
        available = sum(1 for pod in (*new_pods, *old_pods) if _ready(pod))
        for pod in sorted(old_pods, key=_ready):
            if _ready(pod):
                if available - 1 < wanted - wanted // 4:
                    continue
                available -= 1
            self._delete(pod)
        for pod in sorted(new_pods, key=_ready)[: max(0, len(new_pods) - wanted)]:
            self._delete(pod)
        for replica_set in sets:
            is_new = replica_set["metadata"]["uid"] == newest["metadata"]["uid"]
            self._scale(replica_set, wanted if is_new else len(self._pods(replica_set)))

    def _newest_set(self, obj: Object, sets: list[Object]) -> Object:
        """Returns the ReplicaSet of the template; an older one that fits is made the newest."""
        template = _digest(obj["spec"]["template"])
        found = next((s for s in sets if s["metadata"]["labels"].get(_HASH) == template), None)
        highest = max((_revision(s) for s in sets), default=0)
        if found is not None and _revision(found) == highest:
            self._annotate_revision(obj, highest)
            return found
        if found is not None:
            found = self._store.replace(_annotated(found, highest + 1), _MANAGER)
            self._annotate_revision(obj, highest + 1)
            return found
        labels = {**obj["spec"]["template"]["metadata"].get("labels", {}), _HASH: template}
        made = self._store.create(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{obj['metadata']['name']}-{template}",
                    "namespace": obj["metadata"]["namespace"],
                    "labels": labels,
                    "annotations": {_REVISION: str(highest + 1)},
                    "ownerReferences": [_owner(obj)],
                },
                "spec": {
                    "replicas": 0,
                    "selector": {"matchLabels": labels},
                    "template": obj["spec"]["template"],
                },
            },
            _MANAGER,
        )
        self._annotate_revision(obj, highest + 1)
        sets.append(made)
        return made

    def _annotate_revision(self, obj: Object, revision: int) -> None:
        if (obj["metadata"].get("annotations") or {}).get(_REVISION) != str(revision):
            self._store.replace(_annotated(obj, revision), _MANAGER)

    def _scale(self, replica_set: Object, replicas: int) -> None:
        found = self._fresh(replica_set)
        if found is not None and found["spec"]["replicas"] != replicas:
            spec = {**found["spec"], "replicas": replicas}
            self._store.replace({**found, "metadata": _unversioned(found), "spec": spec}, _MANAGER)

    def _replica_set_status(self, obj: Object) -> None:
        pods = self._pods(obj)
        ready = sum(1 for pod in pods if _ready(pod))
        self._write_status(
            obj,
            {
                "replicas": len(pods),
                "fullyLabeledReplicas": len(pods),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "observedGeneration": obj["metadata"]["generation"],
            },
        )

    def _deployment_status(self, obj: Object) -> None:
        sets = self._owned("apps/v1", "ReplicaSet", obj)
        if not sets:
            return
        newest = max(sets, key=_revision)
        new_pods = self._pods(newest)
        pods = [pod for s in sets for pod in self._pods(s)]
        ready, wanted = sum(1 for pod in pods if _ready(pod)), int(obj["spec"]["replicas"])
        complete = len(new_pods) == len(pods) == wanted and ready >= wanted
        available = ready >= wanted - wanted // 4
        now = rfc3339(self._clock.now().replace(microsecond=0))
        former = {c["type"]: c for c in (obj.get("status") or {}).get("conditions", ())}
        conditions = [
            _condition(
                former,
                now,
                "Available",
                "True" if available else "False",
                "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
            ),
            _condition(
                former,
                now,
                "Progressing",
                "True",
                "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated",
            ),
        ]
        self._write_status(
            obj,
            {
                "observedGeneration": obj["metadata"]["generation"],
                "replicas": len(pods),
                "updatedReplicas": len(new_pods),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "unavailableReplicas": max(0, wanted - ready),
                "conditions": conditions,
            },
        )

    # Other workloads.

    def _stateful_set(self, obj: Object) -> None:
        """One Pod after the other, and none while one before it is not ready."""
        revision = _digest(obj["spec"]["template"])
        pods = {pod["metadata"]["name"]: pod for pod in self._pods(obj)}
        wanted, name = int(obj["spec"]["replicas"]), obj["metadata"]["name"]
        for index in range(wanted):
            pod = pods.get(f"{name}-{index}")
            if pod is None:
                labels = {_SET_HASH: f"{name}-{revision}"}
                self._create_pod(obj, obj["spec"]["template"], labels, name=f"{name}-{index}")
                return
            if not _ready(pod):
                return
        for extra in sorted(set(pods) - {f"{name}-{i}" for i in range(wanted)}, reverse=True):
            self._delete(pods[extra])
            return
        for index in reversed(range(wanted)):
            pod = pods[f"{name}-{index}"]
            if pod["metadata"]["labels"].get(_SET_HASH) != f"{name}-{revision}":
                self._delete(pod)
                return

    def _stateful_set_status(self, obj: Object) -> None:
        name = obj["metadata"]["name"]
        revision = f"{name}-{_digest(obj['spec']['template'])}"
        pods = self._pods(obj)
        updated = [p for p in pods if p["metadata"]["labels"].get(_SET_HASH) == revision]
        ready = sum(1 for pod in pods if _ready(pod))
        complete = len(updated) == len(pods) == int(obj["spec"]["replicas"])
        former = (obj.get("status") or {}).get("currentRevision")
        self._write_status(
            obj,
            {
                "observedGeneration": obj["metadata"]["generation"],
                "replicas": len(pods),
                "readyReplicas": ready,
                "availableReplicas": ready,
                "updatedReplicas": len(updated),
                "currentRevision": revision if complete or former is None else former,
                "updateRevision": revision,
            },
        )

    def _daemon_set(self, obj: Object) -> None:
        revision = _digest(obj["spec"]["template"])
        pods = self._pods(obj)
        updated = [p for p in pods if p["metadata"]["labels"].get(_SET_HASH) == revision]
        for pod in pods:
            if pod not in updated:
                self._delete(pod)
        if not updated:
            self._create_pod(obj, obj["spec"]["template"], {_SET_HASH: revision})
        ready = sum(1 for pod in updated if _ready(pod))
        self._write_status(
            obj,
            {
                "observedGeneration": obj["metadata"]["generation"],
                "currentNumberScheduled": 1,
                "desiredNumberScheduled": 1,
                "updatedNumberScheduled": len(updated),
                "numberAvailable": ready,
                "numberReady": ready,
                "numberMisscheduled": 0,
            },
        )

    def _job(self, obj: Object) -> None:
        pods = self._pods(obj)
        if not pods:
            self._create_pod(obj, obj["spec"]["template"], {})
        done = sum(1 for pod in pods if _ready(pod))
        now = rfc3339(self._clock.now().replace(microsecond=0))
        conditions = [{"type": "Complete", "status": "True", "lastTransitionTime": now}]
        status = obj.get("status") or {}
        if done and not status.get("succeeded"):
            self._write_status(obj, {"succeeded": 1, "conditions": conditions})
        elif not status:
            self._write_status(obj, {"active": 1})

    def _claim(self, obj: Object) -> None:
        if (obj.get("status") or {}).get("phase") != "Bound":
            self._write_status(obj, {"phase": "Bound"})

    # Pods.

    def _pod(self, obj: Object) -> None:
        now_s = self._clock.monotonic_s()
        born_s = self._born_s.setdefault(obj["metadata"]["uid"], now_s)
        now = self._clock.now()
        status = status_of(obj, now_s - born_s, now, self._pace, self._fates_of)
        self._write_status(obj, status, "kubelet")

    def _create_pod(
        self, owner: Object, template: Object, labels: dict[str, str], name: str = ""
    ) -> None:
        self._names += 1
        meta = template.get("metadata") or {}
        inherited = (
            {_HASH: owner["metadata"]["labels"][_HASH]} if owner["kind"] == "ReplicaSet" else {}
        )
        self._store.create(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name or f"{owner['metadata']['name']}-{_suffix(self._names)}",
                    "namespace": owner["metadata"]["namespace"],
                    "labels": {**(meta.get("labels") or {}), **inherited, **labels},
                    "annotations": meta.get("annotations") or {},
                    "ownerReferences": [_owner(owner)],
                },
                "spec": {**template["spec"], "nodeName": "node-0"},
            },
            _MANAGER,
        )

    def _delete(self, pod: Object) -> None:
        self._born_s.pop(pod["metadata"]["uid"], None)
        meta = pod["metadata"]
        self._store.delete(self._kind("v1", "Pod"), meta["namespace"], meta["name"])

    def _owned(self, api_version: str, kind: str, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            obj
            for obj in self._list(api_version, kind, owner["metadata"]["namespace"])
            if any(r["uid"] == uid for r in obj["metadata"].get("ownerReferences") or ())
        ]

    def _pods(self, owner: Object) -> list[Object]:
        return self._owned("v1", "Pod", owner)

    def _fresh(self, obj: Object) -> Object | None:
        kind = self._kind(obj["apiVersion"], obj["kind"])
        found = self._store.peek(kind, obj["metadata"]["namespace"])
        name = obj["metadata"]["name"]
        return next((o for o in found if o["metadata"]["name"] == name), None)

    def _write_status(self, obj: Object, status: Object, manager: str = _MANAGER) -> None:
        now = {k: v for k, v in status.items() if v != 0 or k in ("observedGeneration", "replicas")}
        if obj.get("status") != now:
            self._store.replace(
                {**obj, "metadata": _unversioned(obj), "status": now},
                manager,
                subresource="status",
            )


def _condition(former: dict[str, Object], now: str, type_: str, status: str, reason: str) -> Object:
    was = former.get(type_)
    if was is not None and (was["status"], was["reason"]) == (status, reason):
        return was
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "lastTransitionTime": now,
        "lastUpdateTime": now,
    }


def _annotated(obj: Object, revision: int) -> Object:
    meta = obj["metadata"]
    annotations = {**(meta.get("annotations") or {}), _REVISION: str(revision)}
    return {**obj, "metadata": {**_unversioned(obj), "annotations": annotations}}


def _owner(obj: Object) -> Object:
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_REVISION, 0))


def _digest(template: Object) -> str:
    text = json.dumps(template, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _suffix(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:5]


def _ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _unversioned(obj: Object) -> Object:
    """A controller's step sees all that it writes, so that it may write over what it has just read."""
    return {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
