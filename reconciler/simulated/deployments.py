"""The controller of Deployments and of the ReplicaSets below them."""

from __future__ import annotations

from reconciler.simulated.hands import Hands, Object, digest, is_ready, owner_of

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


def move_deployment(hands: Hands, obj: Object) -> None:
    """Makes Pods of the present template and takes old ones away, a quarter at a time; a paused one stays as it is.

    With `Recreate` every old one is gone before a new one is made.
    """
    if obj["spec"].get("paused"):
        return
    sets = hands.owned("apps/v1", "ReplicaSet", obj)
    wanted = int(obj["spec"]["replicas"])
    newest = _newest_set(hands, obj, sets)
    old = [s for s in sets if s["metadata"]["uid"] != newest["metadata"]["uid"]]
    new_pods = hands.pods(newest)
    old_pods = [pod for s in old for pod in hands.pods(s)]
    is_anew = (obj["spec"].get("strategy") or {}).get("type") == "Recreate"
    kept, surge = (wanted - wanted // 4, max(1, wanted // 4)) if not is_anew else (0, 0)
    most = wanted + surge - len(new_pods) - len(old_pods) if not (is_anew and old_pods) else 0
    for _ in range(min(wanted - len(new_pods), most)):
        hands.create_pod(newest, {_HASH: newest["metadata"]["labels"][_HASH]})
    available = sum(1 for pod in (*new_pods, *old_pods) if is_ready(pod))
    for pod in sorted(old_pods, key=is_ready):
        if is_ready(pod):
            if available - 1 < kept:
                continue
            available -= 1
        hands.delete(pod)
    for pod in sorted(new_pods, key=is_ready)[: max(0, len(new_pods) - wanted)]:
        hands.delete(pod)
    for replica_set in sets:
        is_new = replica_set["metadata"]["uid"] == newest["metadata"]["uid"]
        _scale(hands, replica_set, wanted if is_new else len(hands.pods(replica_set)))


def _newest_set(hands: Hands, obj: Object, sets: list[Object]) -> Object:
    """Returns the ReplicaSet of the template; an older one that fits is made the newest."""
    template = digest(obj["spec"]["template"])
    found = next((s for s in sets if s["metadata"]["labels"].get(_HASH) == template), None)
    highest = max((_revision(s) for s in sets), default=0)
    if found is not None and _revision(found) == highest:
        _annotate_revision(hands, obj, highest)
        return found
    if found is not None:
        found = hands.replace(_annotated(found, highest + 1))
        _annotate_revision(hands, obj, highest + 1)
        return found
    labels = {**obj["spec"]["template"]["metadata"].get("labels", {}), _HASH: template}
    made = hands.create(
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                "name": f"{obj['metadata']['name']}-{template}",
                "namespace": obj["metadata"]["namespace"],
                "labels": labels,
                "annotations": {_REVISION: str(highest + 1)},
                "ownerReferences": [owner_of(obj)],
            },
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": obj["spec"]["template"],
            },
        }
    )
    _annotate_revision(hands, obj, highest + 1)
    sets.append(made)
    return made


def _annotate_revision(hands: Hands, obj: Object, revision: int) -> None:
    if (obj["metadata"].get("annotations") or {}).get(_REVISION) != str(revision):
        hands.replace(_annotated(obj, revision))


def _scale(hands: Hands, replica_set: Object, replicas: int) -> None:
    found = hands.fresh(replica_set)
    if found is not None and found["spec"]["replicas"] != replicas:
        spec = {**found["spec"], "replicas": replicas}
        hands.replace({**found, "spec": spec})


def tell_replica_set(hands: Hands, obj: Object) -> None:
    """Writes a ReplicaSet's status."""
    pods = hands.pods(obj)
    ready = sum(1 for pod in pods if is_ready(pod))
    hands.write_status(
        obj,
        {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "observedGeneration": obj["metadata"]["generation"],
        },
    )


def tell_deployment(hands: Hands, obj: Object) -> None:
    """Writes a Deployment's status."""
    sets = hands.owned("apps/v1", "ReplicaSet", obj)
    if not sets:
        return
    newest = max(sets, key=_revision)
    # A paused Deployment has no ReplicaSet of a template that came since.
    is_its = newest["metadata"]["labels"].get(_HASH) == digest(obj["spec"]["template"])
    new_pods = hands.pods(newest) if is_its else []
    pods = [pod for s in sets for pod in hands.pods(s)]
    ready, wanted = sum(1 for pod in pods if is_ready(pod)), int(obj["spec"]["replicas"])
    complete = len(new_pods) == len(pods) == wanted and ready >= wanted
    available = ready >= wanted - wanted // 4
    now = hands.now
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
    hands.write_status(
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
    return {**obj, "metadata": {**meta, "annotations": annotations}}


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_REVISION, 0))
