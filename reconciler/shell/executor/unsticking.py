"""Free a StatefulSet on its way back: its controller waits for a broken Pod before it replaces it.

Source: Kubernetes documentation, StatefulSet, "Forced rollback".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.errors import Conflict
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import KubeApi, Propagation

_HASH = "controller-revision-hash"


def stuck_pods(stateful_set: KubeObject, pods: Iterable[KubeObject]) -> Iterator[KubeObject]:
    """Yields Pods that are not ready and carry another template than the one that is asked for.

    None while the controller has not yet seen the template: until then nobody knows which Pods
    are of the old one.
    """
    status = stateful_set.get("status") or {}
    wanted = status.get("updateRevision")
    if not wanted or status.get("observedGeneration") != stateful_set["metadata"].get("generation"):
        return
    for pod in pods:
        meta = pod["metadata"]
        carries = (meta.get("labels") or {}).get(_HASH)
        if carries and carries != wanted and not _is_ready(pod) and "deletionTimestamp" not in meta:
            yield pod


def delete_stuck(api: KubeApi, stateful_set: KubeObject, family: Iterable[KubeObject]) -> int:
    """Deletes the stuck Pods of a StatefulSet; returns how many."""
    count = 0
    for pod in stuck_pods(stateful_set, (o for o in family if o.get("kind") == "Pod")):
        meta = pod["metadata"]
        try:
            api.delete(
                ObjectRef.of(pod),
                uid=str(meta["uid"]),
                resource_version=str(meta["resourceVersion"]),
                propagation=Propagation.BACKGROUND,
            )
        except Conflict:
            # It changed since it was seen; the next look decides again.
            continue
        count += 1
    return count


def _is_ready(pod: KubeObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
