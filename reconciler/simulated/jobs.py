"""The controller of Jobs: Pods until enough of them ended well, or too many did not.

Source: Kubernetes v1.37.2, `pkg/controller/job/job_controller.go`; indexes, policies and deadlines are not played.
"""

from __future__ import annotations

from reconciler.simulated.hands import Hands, Object, is_ready, phase

_REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")
_EXCEEDED = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
_SUSPENDED = ("JobSuspended", "Job suspended")
_RESUMED = ("JobResumed", "Job resumed")


def move_job(hands: Hands, obj: Object) -> None:
    """Makes the Pods that are due; a Job that ended stays as it is."""
    status = obj.get("status") or {}
    if any(c["type"] in ("Complete", "Failed") for c in status.get("conditions") or ()):
        return
    spec, pods = obj["spec"], hands.pods(obj)
    completions = spec.get("completions", 1)
    active = [pod for pod in pods if phase(pod) in ("Pending", "Running")]
    succeeded = sum(1 for pod in pods if phase(pod) == "Succeeded")
    failed = sum(1 for pod in pods if phase(pod) == "Failed")
    if failed > spec["backoffLimit"] or _restarted_too_often(spec, active):
        _end(hands, obj, active, "FailureTarget", "Failed", _EXCEEDED, failed + len(active))
        return
    if succeeded >= completions and not active:
        _end(hands, obj, [], "SuccessCriteriaMet", "Complete", _REACHED, failed)
        return
    wanted = 0 if spec["suspend"] else min(spec["parallelism"], max(0, completions - succeeded))
    for pod in active[wanted:]:
        hands.delete(pod)
    for _ in range(wanted - len(active)):
        hands.create_pod(obj, {})
    _write(hands, obj, succeeded, failed, _suspended(hands, obj))


def _restarted_too_often(spec: Object, active: list[Object]) -> bool:
    """Where containers are started again in their Pod, their restarts count instead of Pods."""
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    statuses = [s for p in active for s in (p.get("status") or {}).get("containerStatuses") or ()]
    restarts = sum(int(s["restartCount"]) for s in statuses)
    return restarts >= max(1, int(spec["backoffLimit"]))


def _end(
    hands: Hands,
    obj: Object,
    active: list[Object],
    first: str,
    then: str,
    why: tuple[str, str],
    failed: int,
) -> None:
    """Ends a Job: what still runs is deleted, and counted as failed."""
    for pod in active:
        hands.delete(pod)
    succeeded = sum(1 for pod in hands.pods(obj) if phase(pod) == "Succeeded")
    former = (obj.get("status") or {}).get("conditions") or []
    told = [_condition(hands, type_, "True", *why) for type_ in (first, then)]
    _write(hands, obj, succeeded, failed, [*former, *told], is_complete=then == "Complete")


def _suspended(hands: Hands, obj: Object) -> list[Object]:
    """Returns the conditions of a Job that has not ended: whether it is suspended, once it has been."""
    former: list[Object] = (obj.get("status") or {}).get("conditions") or []
    status = "True" if obj["spec"]["suspend"] else "False"
    if (former or [{"status": "False"}])[0]["status"] == status:
        return former
    why = _SUSPENDED if obj["spec"]["suspend"] else _RESUMED
    return [_condition(hands, "Suspended", status, *why)]


def _write(
    hands: Hands,
    obj: Object,
    succeeded: int,
    failed: int,
    conditions: list[Object],
    *,
    is_complete: bool = False,
) -> None:
    pods = hands.pods(obj)
    started = (obj.get("status") or {}).get("startTime") or hands.now
    status: Object = {
        **({"conditions": conditions} if conditions else {}),
        **({} if obj["spec"]["suspend"] else {"startTime": started}),
        **({"completionTime": hands.now} if is_complete else {}),
        "active": sum(1 for pod in pods if phase(pod) in ("Pending", "Running")),
        "succeeded": succeeded,
        "failed": failed,
        "ready": sum(map(is_ready, pods)),
        "terminating": 0,
        "uncountedTerminatedPods": {},
    }
    hands.write_status(obj, status)


def _condition(hands: Hands, type_: str, status: str, reason: str, message: str) -> Object:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastProbeTime": hands.now,
        "lastTransitionTime": hands.now,
    }
