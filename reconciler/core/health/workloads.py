"""The built-in workloads: current by their own counts, failed only by what their new Pods say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reconciler.core.health.holding_back import holds_back
from reconciler.core.health.pods import PULLS, findings, is_ready
from reconciler.core.health.result import Result, condition, current, failed, progressing
from reconciler.model.health import Cause, Evidence, HealthStatus
from reconciler.model.objects import KubeObject

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "controller-revision-hash"
EVIDENCE_MAX = 5

_OWN_FAILURES = frozenset(
    {"BackoffLimitExceeded", "FailedIndexes", "MaxFailedIndexesExceeded", "PodFailurePolicy"}
)
"""Reasons of a failed Job that count exits of its containers; not DeadlineExceeded, which counts time."""

_NOT_OBSERVED = progressing("NotObserved", "its controller has not seen it yet")

_TAKEN = frozenset({"Evicted", "NodeLost", "NodeShutdown", "Preempting", "Shutdown", "Terminated"})
"""Reasons of a failed Pod that speak of its node."""


def deployment(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    """A Deployment: every replica updated, available, and none of the old ones left."""
    status, wanted = _status(obj), _replicas(obj)
    own = _look_through(_newest_replica_set_pods(obj, family), family)
    if own is not None and own.status is HealthStatus.FAILED:
        return own
    stuck = condition(status, "Progressing")
    if stuck.get("reason") == "ProgressDeadlineExceeded":
        # Whose fault it is only Pods can say; the deadline alone names nobody.
        return own or failed("ProgressDeadlineExceeded", str(stuck.get("message") or ""))
    if not _is_observed(status):
        return _NOT_OBSERVED
    short = _short(
        obj,
        f"{wanted} replicas",
        wanted,
        updated=int(status.get("updatedReplicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
    )
    if short is not None:
        return own or short
    if int(status.get("replicas") or 0) > wanted:
        return progressing("RollingOut", "old replicas are still there")
    available = condition(status, "Available")
    if available and available.get("status") != "True":
        return own or progressing("NotAvailable", str(available.get("message") or ""))
    return current()


def replica_set(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    """A ReplicaSet of its own: every replica available."""
    status, wanted = _status(obj), _replicas(obj)
    own = _look_through([o for o in family if o.get("kind") == "Pod"])
    if own is not None and own.status is HealthStatus.FAILED:
        return own
    if not _is_observed(status):
        return _NOT_OBSERVED
    count = int(status.get("availableReplicas") or 0)
    if count < wanted:
        return own or progressing("RollingOut", f"{count} of {wanted} replicas are available")
    return current()


def stateful_set(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    """A StatefulSet: every Pod of the update revision, and ready."""
    status, wanted = _status(obj), _replicas(obj)
    update = str(status.get("updateRevision") or "")
    own = _look_through(_carrying(family, update), family)
    if own is not None and own.status is HealthStatus.FAILED:
        return own
    if not _is_observed(status):
        return _NOT_OBSERVED
    updated = int(status.get("updatedReplicas") or 0)
    if update and status.get("currentRevision") == update:
        # Older API servers counted Pods of a revision that is both as current alone (gitops-engine's testdata).
        updated = max(updated, int(status.get("currentReplicas") or 0))
    ready = int(status.get("readyReplicas") or 0)
    short = _short(obj, f"{wanted} replicas", wanted, updated=updated, ready=ready)
    if short is not None:
        return own or short
    if int(status.get("replicas") or 0) > wanted:
        return progressing("RollingOut", "old replicas are still there")
    return current()


def daemon_set(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    """A DaemonSet: on every node it is meant for, updated and available."""
    status = _status(obj)
    own = _look_through(_of_generation(obj, family), family)
    if own is not None and own.status is HealthStatus.FAILED:
        return own
    if not _is_observed(status):
        return _NOT_OBSERVED
    wanted = int(status.get("desiredNumberScheduled") or 0)
    short = _short(
        obj,
        f"{wanted} Pods",
        wanted,
        updated=int(status.get("updatedNumberScheduled") or 0),
        available=int(status.get("numberAvailable") or 0),
        ready=int(status.get("numberReady") or 0),
    )
    return own or short if short is not None else current()


def job(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    """A Job: complete; one that still runs is in progress, as people wait for it."""
    status = _status(obj)
    pods = [o for o in family if o.get("kind") == "Pod"]
    if condition(status, "Failed").get("status") == "True":
        return _failed_job(obj, condition(status, "Failed"), pods)
    if condition(status, "Complete").get("status") == "True":
        return current()
    if condition(status, "Suspended").get("status") == "True":
        return current()
    own = _look_through(pods)
    return own or progressing("Running", f"{int(status.get('active') or 0)} Pods are active")


def _failed_job(obj: KubeObject, why: dict[str, Any], pods: Sequence[KubeObject]) -> Result:
    """A Job that ran out of time, or whose Pods were taken from it, has not failed by its own fault."""
    reason, message = str(why.get("reason") or "Failed"), str(why.get("message") or "")
    evidence = Evidence("Job", str(obj["metadata"]["name"]), reason, message[:300])
    taken = [p for p in pods if (p.get("status") or {}).get("reason") in _TAKEN]
    is_own = reason in _OWN_FAILURES and not (pods and len(taken) == len(pods))
    own = _look_through(pods)
    if own is not None and own.status is HealthStatus.FAILED:
        return own
    cause = Cause.RELEASE if is_own else Cause.NONE
    return Result(HealthStatus.FAILED, reason, message, cause, (evidence,))


def pod(obj: KubeObject, family: Sequence[KubeObject]) -> Result:
    """A Pod of its own: ready, or ended well."""
    del family
    status = obj.get("status") or {}
    phase = status.get("phase")
    own = _look_through([obj])
    if phase == "Succeeded":
        return current()
    if own is not None:
        return own
    if phase == "Failed":
        return failed(str(status.get("reason") or "Failed"), str(status.get("message") or ""))
    if phase == "Running" and condition(status, "Ready").get("status") == "True":
        return current()
    return progressing("NotReady", f"its phase is {phase or 'not known yet'}")


def _short(obj: KubeObject, all_of: str, wanted: int, **counts: int) -> Result | None:
    """Returns the first count that is too low, with what of the object's own keeps it so, or None."""
    for name, count in counts.items():
        if count < wanted:
            seen = f"{count} of {all_of} are {name}"
            own = holds_back(obj) if name == "updated" else None
            if own is not None:
                return progressing(own.reason, f"{seen}: {own.why}; {own.fix}")
            return progressing("RollingOut", seen)
    return None


def _look_through(pods: Sequence[KubeObject], family: Sequence[KubeObject] = ()) -> Result | None:
    """Returns the worst that the new Pods say, or None when they say nothing.

    New ones that fail while old ones beside them are ready name the release.
    """
    found = [f for pod in sorted(pods, key=_name) if not _is_going(pod) for f in findings(pod)]
    if not found:
        return None
    bad = [f for f in found if f.status is HealthStatus.FAILED]
    worst = min(bad or found, key=lambda f: not f.names_release)
    evidence = tuple(f.evidence for f in (bad or found)[:EVIDENCE_MAX])
    # An old Pod had its image before whatever denies it to the new ones.
    ran = any(f.reason not in PULLS for f in bad)
    names = bool(bad) and (worst.names_release or (ran and _has_ready(family, but=pods)))
    return Result(worst.status, worst.reason, worst.message, worst.cause, evidence, names)


def _has_ready(family: Sequence[KubeObject], *, but: Sequence[KubeObject]) -> bool:
    """Tells whether any other Pod of a workload is ready, and stays."""
    new = {_name(pod_) for pod_ in but}
    return any(
        o.get("kind") == "Pod" and _name(o) not in new and not _is_going(o) and is_ready(o)
        for o in family
    )


def _newest_replica_set_pods(obj: KubeObject, family: Sequence[KubeObject]) -> list[KubeObject]:
    """Returns the Pods of the newest ReplicaSet: those of the old template prove nothing.

    While the Deployment names a later revision than any ReplicaSet seen, the new one is not seen yet.
    """
    sets = [o for o in family if o.get("kind") == "ReplicaSet"]
    if not sets:
        return []
    newest = max(sets, key=_revision)
    named = (obj["metadata"].get("annotations") or {}).get(_REVISION)
    if named is not None and int(named) > _revision(newest):
        return []
    uid = newest["metadata"].get("uid")
    return [
        o
        for o in family
        if o.get("kind") == "Pod"
        and any(ref.get("uid") == uid for ref in o["metadata"].get("ownerReferences") or ())
    ]


def _revision(replica_set_: KubeObject) -> int:
    return int((replica_set_["metadata"].get("annotations") or {}).get(_REVISION) or 0)


def _carrying(family: Sequence[KubeObject], revision: str) -> list[KubeObject]:
    """Returns the Pods of a revision; while none is named, nobody knows which those are."""
    pods = [o for o in family if o.get("kind") == "Pod"]
    return [o for o in pods if revision and _label(o, _HASH) == revision]


def _of_generation(obj: KubeObject, family: Sequence[KubeObject]) -> list[KubeObject]:
    """Returns the Pods of a DaemonSet's present template.

    API servers name it in an annotation that is called deprecated. Without it, it is what the Pods
    carry that were made last, once the controller has counted one as updated.
    """
    annotations = obj["metadata"].get("annotations") or {}
    newest = str(annotations.get("deprecated.daemonset.template.generation") or "")
    pods = [o for o in family if o.get("kind") == "Pod"]
    if newest:
        return [o for o in pods if _label(o, "pod-template-generation") == newest]
    if not pods or not int(_status(obj).get("updatedNumberScheduled") or 0):
        return []
    last = max(str(o["metadata"].get("creationTimestamp") or "") for o in pods)
    made_last = {
        _label(o, _HASH) for o in pods if (o["metadata"].get("creationTimestamp") or "") == last
    }
    return _carrying(pods, made_last.pop()) if last and len(made_last) == 1 else []


def _label(obj: KubeObject, name: str) -> str:
    return str((obj["metadata"].get("labels") or {}).get(name) or "")


def _name(obj: KubeObject) -> str:
    return str(obj["metadata"]["name"])


def _is_going(pod_: KubeObject) -> bool:
    return "deletionTimestamp" in pod_["metadata"]


def _status(obj: KubeObject) -> dict[str, Any]:
    return dict(obj.get("status") or {})


def _is_observed(status: dict[str, Any]) -> bool:
    """Whether a controller wrote it: of one that is new an API server says none, which is as many as none."""
    return bool(status.get("observedGeneration"))


def _replicas(obj: KubeObject) -> int:
    """The API server writes 1 where nothing is given."""
    replicas = obj["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)
