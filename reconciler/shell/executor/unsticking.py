"""Free a StatefulSet on its way back: its controller waits for a broken Pod before it replaces it.

Source: Kubernetes documentation, StatefulSet, "Forced rollback".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from reconciler.errors import Conflict
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.kube import KubeApi, Propagation
from reconciler.shell.executor.live import LiveObjects

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


def stuck_below(objects: Iterable[KubeObject], live: LiveObjects) -> list[KubeObject]:
    """Returns the stuck Pods of all the StatefulSets among some objects."""
    found: list[KubeObject] = []
    for obj in objects:
        seen = live.get(ObjectRef.of(obj)) if obj.get("kind") == "StatefulSet" else None
        if seen is not None:
            family = (one for one in live.family(seen) if one.get("kind") == "Pod")
            found.extend(stuck_pods(seen, family))
    return found


def delete_stuck(api: KubeApi, pods: Iterable[KubeObject]) -> None:
    """Deletes stuck Pods, each only as it was seen."""
    for pod in pods:
        meta = pod["metadata"]
        # One that changed since it was seen is for the next look to decide.
        with contextlib.suppress(Conflict):
            api.delete(
                ObjectRef.of(pod),
                uid=str(meta["uid"]),
                resource_version=str(meta["resourceVersion"]),
                propagation=Propagation.BACKGROUND,
            )


def _is_ready(pod: KubeObject) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)
