"""What a kubelet writes into a Pod's status, field for field, for every fate of its containers.

Source: Pod statuses of Kubernetes 1.37 with containerd 2, as `kubectl get pod -o yaml` shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from reconciler.model.times import rfc3339
from reconciler.simulated.behaviour import Fate, Pace, fate_of

Object = dict[str, Any]

PULL_ERRORS = {
    Fate.NO_IMAGE: 'failed to resolve reference "{image}": {image}: not found',
    Fate.DENIED: 'failed to resolve reference "{image}": pull access denied, repository does not'
    " exist or may require authorization: authorization failed: no basic auth credentials",
    Fate.THROTTLED: 'failed to copy: httpReadSeeker: failed open: unexpected status code "{image}":'
    " 429 Too Many Requests",
    Fate.PULL_TIMEOUT: 'failed to resolve reference "{image}": dial tcp: i/o timeout',
}
"""containerd's words for why an image could not be pulled."""

PULL_FAILED = 'failed to pull and unpack image "{image}": {error}'
PULL_BACKS_OFF = 'Back-off pulling image "{image}": ErrImagePull: {error}'

_PULLS = frozenset(PULL_ERRORS)


def status_of(
    pod: Object,
    age_s: float,
    now: datetime,
    pace: Pace,
    fates_of: Callable[[str], Fate] = fate_of,
) -> Object:
    """Returns a Pod's status at an age.

    Args:
        pod: As it was created.
        age_s: Seconds since then.
        now: Wall time, UTC.
        pace: How fast this cluster is.
        fates_of: What becomes of a container of an image here.
    """
    born = now - timedelta(seconds=age_s)
    containers = pod["spec"].get("containers") or []
    fates = [fates_of(str(c.get("image"))) for c in containers]
    if Fate.UNSCHEDULABLE in fates:
        return _unscheduled(born)
    statuses = [
        _container(container, fate, age_s, born, pace)
        for container, fate in zip(containers, fates, strict=True)
    ]
    ready = bool(statuses) and all(s["ready"] for s in statuses)
    running = any("running" in s["state"] for s in statuses)
    crashed = any(s["restartCount"] for s in statuses)
    names = " ".join(s["name"] for s in statuses if not s["ready"])
    not_ready = {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{names}]",
    }
    became = rfc3339(_whole(born + timedelta(seconds=pace.ready_after_s)))
    started = rfc3339(_whole(born))
    return {
        "phase": "Running" if ready or running or crashed else "Pending",
        "conditions": [
            _condition("PodReadyToStartContainers", met=True, at=started),
            _condition("Initialized", met=True, at=started),
            _condition("Ready", met=ready, at=became, why={} if ready else not_ready),
            _condition("ContainersReady", met=ready, at=became, why={} if ready else not_ready),
            _condition("PodScheduled", met=True, at=started),
        ],
        "containerStatuses": statuses,
        "hostIP": "10.0.0.1",
        "podIP": "10.1.0.1",
        "qosClass": "BestEffort",
        "startTime": started,
    }


def _unscheduled(born: datetime) -> Object:
    why = {
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available:"
        " 1 No preemption victims found for incoming pod.",
    }
    at = rfc3339(_whole(born))
    return {
        "phase": "Pending",
        "conditions": [_condition("PodScheduled", met=False, at=at, why=why)],
        "qosClass": "BestEffort",
    }


def _container(container: Object, fate: Fate, age_s: float, born: datetime, pace: Pace) -> Object:
    state: Object
    last: Object = {}
    restarts, ready = 0, False
    image = str(container.get("image"))
    started = rfc3339(_whole(born))
    running = {"running": {"startedAt": started}}
    if fate in _PULLS:
        state = {"waiting": _pull(image, fate, age_s, pace)}
    elif fate is Fate.NO_CONFIG:
        message = 'configmap "missing" not found'
        state = {"waiting": {"reason": "CreateContainerConfigError", "message": message}}
    elif fate in (Fate.CRASH, Fate.OOM):
        restarts = int(age_s / pace.crash_every_s)
        state, last = _crashed(container, fate, restarts, started)
    elif age_s < pace.ready_after_s:
        state = {"waiting": {"reason": "ContainerCreating"}}
    elif fate is Fate.ONE_EXIT:
        restarts, ready, state = 1, True, running
        last = {"terminated": _terminated(1, "Error", started)}
    else:
        state, ready = running, fate is not Fate.NEVER_READY
    return {
        "name": container["name"],
        "image": image,
        "imageID": image if ready else "",
        "ready": ready,
        "started": "running" in state,
        "restartCount": restarts,
        "state": state,
        "lastState": last,
    }


def _pull(image: str, fate: Fate, age_s: float, pace: Pace) -> Object:
    error = PULL_FAILED.format(image=image, error=PULL_ERRORS[fate].format(image=image))
    if int(age_s / pace.pull_every_s) % 2 == 0:
        return {"reason": "ErrImagePull", "message": error}
    return {
        "reason": "ImagePullBackOff",
        "message": PULL_BACKS_OFF.format(image=image, error=error),
    }


def _crashed(container: Object, fate: Fate, restarts: int, started: str) -> tuple[Object, Object]:
    exit_code, reason = (137, "OOMKilled") if fate is Fate.OOM else (1, "Error")
    ended = {"terminated": _terminated(exit_code, reason, started)}
    if restarts == 0:
        return ended, {}
    message = f"back-off 10s restarting failed container={container['name']}"
    return {"waiting": {"reason": "CrashLoopBackOff", "message": message}}, ended


def _terminated(exit_code: int, reason: str, at: str) -> Object:
    return {
        "exitCode": exit_code,
        "reason": reason,
        "startedAt": at,
        "finishedAt": at,
        "containerID": "containerd://0000",
    }


def _condition(type_: str, *, met: bool, at: str, why: Object | None = None) -> Object:
    return {
        "type": type_,
        "status": "True" if met else "False",
        "lastProbeTime": None,
        "lastTransitionTime": at,
        **(why or {}),
    }


def _whole(at: datetime) -> datetime:
    return at.replace(microsecond=0)
