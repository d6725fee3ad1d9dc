"""What a kubelet writes into a Pod's status, field for field, for every fate of its containers.

Source: Kubernetes v1.37.2: `pkg/kubelet/kubelet_pods.go` (`generateAPIPodStatus`, `convertToAPIContainerStatuses`,
`getPhase`), `status/generate.go` for conditions, `images/image_manager.go` and `kuberuntime/kuberuntime_manager.go`
(`doBackOff`) for words. `tests/contract/kubelet` holds what the kubelet's own code answers, and this is held to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from reconciler.model.times import rfc3339
from reconciler.simulated import runtime
from reconciler.simulated.behaviour import Fate, Pace, fate_of

Object = dict[str, Any]

PULL_BACKS_OFF = 'Back-off pulling image "{image}": ErrImagePull: {error}'
NO_CONFIG = 'configmap "missing" not found'
BACKS_OFF = "back-off {wait} restarting failed container={name} pod={pod}_{namespace}({uid})"

BACK_OFF_S, BACK_OFF_S_MAX = 10, 300
"""What a kubelet waits after a container's second end, doubled at each, and what it waits at most."""

ENDS = {
    Fate.CRASH: (1, "Error"),
    Fate.OOM: (137, "OOMKilled"),
    Fate.ONE_EXIT: (1, "Error"),
    Fate.READY: (0, "Completed"),
}
"""The exit code of a container, and the runtime's word for it; one that gets ready ends in a Job's Pod alone."""

_ENDED = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}
"""Why a Pod is not ready any more, by the phase that it stays in."""

INITIALIZING = "PodInitializing"
"""What a container waits for while one before it has not ended well."""

_BLOCKS = frozenset({*runtime.PULL_ERRORS, Fate.NO_CONFIG, Fate.CRASH, Fate.OOM})
"""Fates of an init container that keep others waiting; nobody asks one whether it is ready."""

_COUNTED = ("cpu", "memory")
"""The resources that a Pod's class of service depends on."""


def back_off(restarts: int) -> str:
    """Returns how long a container's next start is put off, as Go writes a time."""
    doubled = min(restarts - 1, BACK_OFF_S_MAX.bit_length())
    wait_s = min(BACK_OFF_S * 2**doubled, BACK_OFF_S_MAX)
    minutes, seconds = divmod(wait_s, 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


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
        return _unscheduled(pod, born)
    init = _init_containers(pod, age_s, born, pace, fates_of)
    is_blocked = not all(s["ready"] for s in init)
    statuses = [
        _waiting(container, INITIALIZING)
        if is_blocked
        else _container(pod, container, fate, age_s, born, pace)
        for container, fate in zip(containers, fates, strict=True)
    ]
    is_new = all(_waits_for(s) == "ContainerCreating" for s in statuses)
    phase = _phase(pod, statuses)
    return {
        "observedGeneration": _generation(pod),
        "phase": phase,
        "conditions": _ended_conditions(pod, phase, born, pace)
        if phase in _ENDED
        else _conditions(pod, init, statuses, born, pace),
        **({"initContainerStatuses": init} if init else {}),
        # A kubelet tells them in order of name, whatever their order in the Pod.
        "containerStatuses": sorted(statuses, key=lambda s: str(s["name"])),
        "hostIP": "10.0.0.1",
        "hostIPs": [{"ip": "10.0.0.1"}],
        **({} if is_new else {"podIP": "10.1.0.1", "podIPs": [{"ip": "10.1.0.1"}]}),
        "qosClass": _qos_class(containers),
        **_resources(containers),
        "startTime": _time(born),
    }


def _init_containers(
    pod: Object, age_s: float, born: datetime, pace: Pace, fates_of: Callable[[str], Fate]
) -> list[Object]:
    """Returns the statuses of init containers, one after the other; each ends at once, or fails again and again."""
    statuses: list[Object] = []
    for container in pod["spec"].get("initContainers") or ():
        fate = fates_of(str(container.get("image")))
        if not all(s["ready"] for s in statuses):
            statuses.append(_waiting(container, INITIALIZING))
        elif fate in _BLOCKS:
            statuses.append(_container(pod, container, fate, age_s, born, pace))
        else:
            statuses.append(_ended_well(pod, container, fate, _time(born)))
    return statuses


def _ended_well(pod: Object, container: Object, fate: Fate, at: str) -> Object:
    restarts = 1 if fate is Fate.ONE_EXIT else 0
    last = _ended(pod, container, fate, 0, at) if restarts else None
    done = _ended(pod, container, Fate.READY, restarts, at)
    return _made(pod, container, done, last=last, restarts=restarts, ready=True)


def _conditions(
    pod: Object, init: list[Object], statuses: list[Object], born: datetime, pace: Pace
) -> list[Object]:
    unready, incomplete = (
        " ".join(s["name"] for s in some if not s["ready"]) for some in (statuses, init)
    )
    why = {
        "reason": "ContainersNotReady",
        "message": f"containers with unready status: [{unready}]",
    }
    not_initialized = {
        "reason": "ContainersNotInitialized",
        "message": f"containers with incomplete status: [{incomplete}]",
    }
    started, became = _time(born), _time(born + timedelta(seconds=pace.ready_after_s))

    def condition(type_: str, at: str, why: Object | None = None) -> Object:
        return _condition(pod, type_, at, why)

    return [
        condition("PodReadyToStartContainers", started),
        condition("Initialized", started, not_initialized if incomplete else None),
        condition("Ready", became, why if unready else None),
        condition("ContainersReady", became, why if unready else None),
        condition("PodScheduled", started),
    ]


def _ended_conditions(pod: Object, phase: str, born: datetime, pace: Pace) -> list[Object]:
    """Source: `pkg/kubelet/status/generate.go`, the conditions of a terminal phase."""
    why, started = {"reason": _ENDED[phase]}, _time(born)
    became = _time(born + timedelta(seconds=pace.ready_after_s))
    initialized = _condition(pod, "Initialized", started)
    stopped = {"reason": "PodSandboxNotReady", "message": "pod sandbox is not ready"}
    return [
        _condition(pod, "PodReadyToStartContainers", became, stopped),
        {**initialized, **why} if phase == "Succeeded" else initialized,
        _condition(pod, "Ready", became, why),
        _condition(pod, "ContainersReady", became, why),
        _condition(pod, "PodScheduled", started),
    ]


def _unscheduled(pod: Object, born: datetime) -> Object:
    """Returns what the scheduler writes: no kubelet has seen the Pod."""
    why = {
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available:"
        " 1 Preemption is not helpful for scheduling.",
    }
    return {
        "phase": "Pending",
        "conditions": [_condition(pod, "PodScheduled", _time(born), why)],
        "qosClass": _qos_class(pod["spec"]["containers"]),
    }


def _phase(pod: Object, statuses: list[Object]) -> str:
    """Returns Pending while a container has never run; one that ended and is started again counts as run."""
    if not statuses or any("waiting" in s["state"] and not s["lastState"] for s in statuses):
        return "Pending"
    policy = pod["spec"].get("restartPolicy", "Always")
    codes = [s["state"].get("terminated", {}).get("exitCode") for s in statuses]
    if policy == "Always" or None in codes:
        return "Running"
    if not any(codes):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _container(
    pod: Object, container: Object, fate: Fate, age_s: float, born: datetime, pace: Pace
) -> Object:
    image = str(container.get("image"))
    started = _time(born)
    running = {"running": {"startedAt": started}}
    if fate in runtime.PULL_ERRORS:
        return _waiting(container, **_pull(image, fate, age_s, pace))
    if fate is Fate.NO_CONFIG:
        return _waiting(container, "CreateContainerConfigError", NO_CONFIG)
    is_left = pod["spec"].get("restartPolicy") == "Never"
    if fate in (Fate.CRASH, Fate.OOM):
        restarts = 0 if is_left else int(age_s / pace.crash_every_s)
        ended = _ended(pod, container, fate, restarts, started)
        if restarts == 0:
            return _made(pod, container, ended)
        waits = {"reason": "CrashLoopBackOff", "message": _backs_off(pod, container, restarts)}
        return _made(pod, container, {"waiting": waits}, last=ended, restarts=restarts)
    if age_s < pace.ready_after_s:
        return _waiting(container, "ContainerCreating")
    restarts = 0
    last: Object | None = None
    if fate is Fate.ONE_EXIT:
        restarts, last = 1, _ended(pod, container, fate, 0, started)
        if is_left:
            return _made(pod, container, last)
    if _is_of_job(pod) and fate is not Fate.NEVER_READY and age_s >= 2 * pace.ready_after_s:
        done = _ended(pod, container, Fate.READY, restarts, started)
        return _made(pod, container, done, last=last, restarts=restarts)
    ready = fate is not Fate.NEVER_READY
    return _made(pod, container, running, last=last, restarts=restarts, ready=ready)


def _waiting(container: Object, reason: str, message: str = "") -> Object:
    """Returns the status of a container that the runtime has not made."""
    return {
        "name": container["name"],
        "image": str(container.get("image")),
        "imageID": "",
        "ready": False,
        "started": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": reason, **({"message": message} if message else {})}},
        "lastState": {},
    }


def _made(
    pod: Object,
    container: Object,
    state: Object,
    *,
    last: Object | None = None,
    restarts: int = 0,
    ready: bool = False,
) -> Object:
    """Returns the status of a container that the runtime has made, whatever became of it."""
    image, resources = str(container.get("image")), container.get("resources") or {}
    requests = resources.get("requests")
    return {
        "name": container["name"],
        "containerID": _container_id(pod, container, restarts),
        "image": runtime.image_name(image),
        "imageID": runtime.image_ref(image),
        "ready": ready,
        "started": "running" in state,
        "restartCount": restarts,
        "state": state,
        "lastState": last or {},
        "resources": resources,
        **({"allocatedResources": requests} if requests else {}),
        "user": runtime.ROOT,
    }


def _pull(image: str, fate: Fate, age_s: float, pace: Pace) -> Object:
    error = runtime.pull_error(image, fate)
    if int(age_s / pace.pull_every_s) % 2 == 0:
        return {"reason": "ErrImagePull", "message": error}
    return {
        "reason": "ImagePullBackOff",
        "message": PULL_BACKS_OFF.format(image=image, error=error),
    }


def _backs_off(pod: Object, container: Object, restarts: int) -> str:
    meta = pod["metadata"]
    return BACKS_OFF.format(
        wait=back_off(restarts),
        name=container["name"],
        pod=meta["name"],
        namespace=meta.get("namespace"),
        uid=meta.get("uid"),
    )


def _ended(pod: Object, container: Object, fate: Fate, start: int, at: str) -> Object:
    exit_code, reason = ENDS[fate]
    return {
        "terminated": {
            "exitCode": exit_code,
            "reason": reason,
            "startedAt": at,
            "finishedAt": at,
            "containerID": _container_id(pod, container, start),
        }
    }


def _container_id(pod: Object, container: Object, start: int) -> str:
    return runtime.container_id(str(pod["metadata"].get("uid")), container["name"], start)


def _qos_class(containers: Sequence[Object]) -> str:
    """Returns the class of service that a Pod's resources give it.

    Source: `GetPodQOS`, pkg/apis/core/helper/qos/qos.go.
    """
    asked = [(_counted(c, "requests"), _counted(c, "limits")) for c in containers]
    if not any(requests or limits for requests, limits in asked):
        return "BestEffort"
    is_sure = all(
        len(limits) == len(_COUNTED) and {**limits, **requests} == limits
        for requests, limits in asked
    )
    return "Guaranteed" if is_sure else "Burstable"


def _counted(container: Object, key: str) -> Object:
    named = (container.get("resources") or {}).get(key) or {}
    return {name: value for name, value in named.items() if name in _COUNTED}


def _resources(containers: Sequence[Object]) -> Object:
    """Returns what a Pod has of its containers' resources; sums are left out, since nobody here reads them."""
    each = [c.get("resources") or {} for c in containers]
    if len(each) > 1 and any(each):
        return {}
    resources = each[0] if each else {}
    requests = resources.get("requests")
    return {"resources": resources, **({"allocatedResources": requests} if requests else {})}


def _is_of_job(pod: Object) -> bool:
    return any(o["kind"] == "Job" for o in pod["metadata"].get("ownerReferences") or ())


def _waits_for(status: Object) -> str | None:
    reason: str | None = status["state"].get("waiting", {}).get("reason")
    return reason


def _generation(pod: Object) -> int:
    return int(pod["metadata"].get("generation") or 1)


def _condition(pod: Object, type_: str, at: str, why: Object | None = None) -> Object:
    """Returns a condition that is met, or one that is not for a reason."""
    return {
        "type": type_,
        "observedGeneration": _generation(pod),
        "status": "False" if why else "True",
        "lastProbeTime": None,
        "lastTransitionTime": at,
        **(why or {}),
    }


def _time(at: datetime) -> str:
    return rfc3339(at.replace(microsecond=0))
