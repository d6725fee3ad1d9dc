"""The controllers of StatefulSets and DaemonSets, whose Pods carry the hash of their template.

Source: Kubernetes v1.37.2, `pkg/controller/statefulset/stateful_set_control.go` and `pkg/controller/daemon`.
"""

from __future__ import annotations

from reconciler.simulated.admission import GENERATION
from reconciler.simulated.hands import SET_HASH, Hands, Object, digest, is_ready

_POD_NAME, _POD_INDEX = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"


def move_stateful_set(hands: Hands, obj: Object) -> None:
    """One Pod after the other, and none while one before it is not ready: not even to replace a broken one."""
    revision, name = _revision(obj), obj["metadata"]["name"]
    pods = {pod["metadata"]["name"]: pod for pod in hands.pods(obj)}
    wanted = [f"{name}-{index}" for index in range(int(obj["spec"]["replicas"]))]
    for index, pod_name in enumerate(wanted):
        pod = pods.get(pod_name)
        if pod is None:
            _claim(hands, obj, pod_name)
            labels = {SET_HASH: revision, _POD_NAME: pod_name, _POD_INDEX: str(index)}
            hands.create_pod(obj, labels, name=pod_name)
            return
        if not is_ready(pod):
            return
    extra = sorted(set(pods) - set(wanted), key=_ordinal)
    updated = [] if _is_by_hand(obj) else wanted[_partition(obj) :]
    old = [n for n in updated if pods[n]["metadata"]["labels"].get(SET_HASH) != revision]
    going = extra or old
    if going:
        hands.delete(pods[going[-1]])


def _claim(hands: Hands, obj: Object, pod_name: str) -> None:
    """Makes a Pod's claims, which nobody owns: they outlive the Pod and the StatefulSet."""
    for template in obj["spec"].get("volumeClaimTemplates") or ():
        meta = template["metadata"]
        labels = {**(meta.get("labels") or {}), **obj["spec"]["selector"]["matchLabels"]}
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": f"{meta['name']}-{pod_name}",
                "namespace": obj["metadata"]["namespace"],
                "labels": labels,
            },
            "spec": template["spec"],
        }
        if hands.fresh(claim) is None:
            hands.create(claim)


def tell_stateful_set(hands: Hands, obj: Object) -> None:
    """Writes a StatefulSet's status: its revision is current once every Pod carries it and is ready."""
    revision = _revision(obj)
    pods = hands.pods(obj)
    carried = [pod["metadata"]["labels"].get(SET_HASH) for pod in pods]
    ready, updated = sum(map(is_ready, pods)), carried.count(revision)
    is_complete = updated == ready == len(pods) == int(obj["spec"]["replicas"])
    former = (obj.get("status") or {}).get("currentRevision")
    current = revision if is_complete or former is None else former
    hands.write_status(
        obj,
        {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": carried.count(current),
            "updatedReplicas": updated,
            "currentRevision": current,
            "updateRevision": revision,
            "collisionCount": 0,
        },
    )


def move_daemon_set(hands: Hands, obj: Object) -> None:
    """One Pod on the one node; an old one goes before the new one comes."""
    pods = hands.pods(obj)
    if not _is_by_hand(obj):
        for pod in pods:
            if not _is_updated(pod, obj):
                hands.delete(pod)
        pods = hands.pods(obj)
    if not pods:
        generation = (obj["metadata"].get("annotations") or {})[GENERATION]
        labels = {SET_HASH: _hash(obj), "pod-template-generation": generation}
        hands.create_pod(obj, labels)


def tell_daemon_set(hands: Hands, obj: Object) -> None:
    """Writes a DaemonSet's status."""
    pods = hands.pods(obj)
    ready = sum(map(is_ready, pods))
    hands.write_status(
        obj,
        {
            "observedGeneration": obj["metadata"]["generation"],
            "currentNumberScheduled": len(pods),
            "desiredNumberScheduled": 1,
            "updatedNumberScheduled": sum(1 for pod in pods if _is_updated(pod, obj)),
            "numberAvailable": ready,
            "numberUnavailable": 1 - ready,
            "numberReady": ready,
            "numberMisscheduled": 0,
        },
    )


def _is_by_hand(obj: Object) -> bool:
    """Whether old Pods are left for people to delete."""
    return (obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"


def _partition(obj: Object) -> int:
    """Returns how many of a StatefulSet's first Pods keep the template that they have."""
    rolling = (obj["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return int(rolling.get("partition") or 0)


def _is_updated(pod: Object, obj: Object) -> bool:
    return bool(pod["metadata"]["labels"].get(SET_HASH) == _hash(obj))


def _revision(obj: Object) -> str:
    return f"{obj['metadata']['name']}-{_hash(obj)}"


def _hash(obj: Object) -> str:
    return digest(obj["spec"]["template"])


def _ordinal(pod_name: str) -> int:
    return int(pod_name.rpartition("-")[2])
