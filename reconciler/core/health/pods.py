"""What a Pod's status says of the release in it, and of the platform below it.

Only what names the release is laid to it: its image does not exist or is denied, its process ends
again and again, its configuration is not there. Whatever may be the platform's is not a failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.model.health import Cause, Evidence, HealthStatus
from reconciler.model.objects import KubeObject

RESTARTS_MIN = 2
"""One early exit of a Pod that then runs is not a bad release."""

MESSAGE_MAX = 300
"""A kubelet's message may quote a whole response; its beginning names the cause."""

_PULLS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

_PLATFORM_PULL = re.compile(
    r"429|too many requests|toomanyrequests|rate limit|\b50[0234]\b|timeout|timed out|deadline exceeded"
    r"|connection refused|connection reset|no such host|i/o|EOF|TLS handshake|temporarily",
    re.IGNORECASE,
)
_RELEASE_PULL = re.compile(
    r"not found|manifest unknown|manifest_unknown|name unknown|does not exist|no such image"
    r"|unauthorized|authentication required|access denied|access to the resource is denied|\bdenied\b"
    r"|403 forbidden|401 unauthorized|insufficient_scope|invalid reference",
    re.IGNORECASE,
)
"""Source: containerd's and the distribution API's error codes, as kubelets pass them on."""


@dataclass(frozen=True, slots=True)
class PodFinding:
    """Why one Pod is not well.

    Attributes:
        status: FAILED only with `cause` RELEASE.
    """

    status: HealthStatus
    reason: str
    message: str
    cause: Cause
    evidence: Evidence


def findings(pod: KubeObject) -> Iterator[PodFinding]:
    """Yields what is wrong with a Pod, in the order of its containers."""
    status = pod.get("status") or {}
    for container in _containers(status):
        found = _container(pod, container)
        if found is not None:
            yield found
    unscheduled = _condition(status, "PodScheduled")
    if unscheduled.get("status") == "False":
        reason = str(unscheduled.get("reason") or "Unschedulable")
        message = str(unscheduled.get("message") or "")
        yield _finding(pod, HealthStatus.IN_PROGRESS, reason, message, Cause.PLATFORM)
    if status.get("phase") == "Failed" and not any(_containers(status)):
        reason = str(status.get("reason") or "Failed")
        message = str(status.get("message") or "")
        yield _finding(pod, HealthStatus.IN_PROGRESS, reason, message, Cause.PLATFORM)


def is_ready(pod: KubeObject) -> bool:
    """Whether a Pod's Ready condition is true."""
    return _condition(pod.get("status") or {}, "Ready").get("status") == "True"


def _containers(status: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from status.get("initContainerStatuses") or ()
    yield from status.get("containerStatuses") or ()


def _container(pod: KubeObject, container: dict[str, Any]) -> PodFinding | None:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
    restarts = int(container.get("restartCount") or 0)
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    if reason == "InvalidImageName":
        return _finding(pod, HealthStatus.FAILED, reason, message, Cause.RELEASE, container)
    if reason in _PULLS:
        return _pull(pod, container, reason, message)
    if reason in _CONFIG:
        return _configuration(pod, container, reason, message)
    if restarts >= RESTARTS_MIN and not _is_running_well(container, state):
        return _exits(pod, container, reason, ended, restarts)
    return None


def _is_running_well(container: dict[str, Any], state: dict[str, Any]) -> bool:
    return bool(container.get("ready")) or "running" in state


def _pull(pod: KubeObject, container: dict[str, Any], reason: str, message: str) -> PodFinding:
    """ "Back-off pulling" alone names no cause; until a kubelet says more, nobody knows whose it is."""
    if _RELEASE_PULL.search(message) and not _PLATFORM_PULL.search(_without_names(message)):
        return _finding(pod, HealthStatus.FAILED, reason, message, Cause.RELEASE, container)
    return _finding(pod, HealthStatus.IN_PROGRESS, reason, message, Cause.PLATFORM, container)


def _without_names(message: str) -> str:
    """Leaves out quoted image names and digests, whose digits look like status codes."""
    return re.sub(r'"[^"]*"|sha256:[0-9a-f]+|https?://\S+', "", message)


def _configuration(
    pod: KubeObject, container: dict[str, Any], reason: str, message: str
) -> PodFinding:
    """A runtime that does not answer is the platform's; a missing key or command is the release's."""
    if reason == "CreateContainerError" and _PLATFORM_PULL.search(_without_names(message)):
        return _finding(pod, HealthStatus.IN_PROGRESS, reason, message, Cause.PLATFORM, container)
    if reason == "CreateContainerConfigError" and "failed to sync" in message:
        return _finding(pod, HealthStatus.IN_PROGRESS, reason, message, Cause.PLATFORM, container)
    return _finding(pod, HealthStatus.FAILED, reason, message, Cause.RELEASE, container)


def _exits(
    pod: KubeObject,
    container: dict[str, Any],
    reason: str,
    ended: dict[str, Any],
    restarts: int,
) -> PodFinding | None:
    why = str(ended.get("reason") or "")
    named = why if why == "OOMKilled" else (reason or why or "CrashLoopBackOff")
    if ended.get("exitCode") == 0 and why != "OOMKilled" and reason != "CrashLoopBackOff":
        return None
    message = f"container {container.get('name')} ended {restarts} times, last with exit code "
    message += f"{ended.get('exitCode', 'unknown')}" + (f" ({why})" if why else "")
    return _finding(pod, HealthStatus.FAILED, named, message, Cause.RELEASE, container)


def _finding(
    pod: KubeObject,
    status: HealthStatus,
    reason: str,
    message: str,
    cause: Cause,
    container: dict[str, Any] | None = None,
) -> PodFinding:
    name = str(pod["metadata"]["name"])
    cut = message[:MESSAGE_MAX]
    ended: dict[str, Any] = {}
    if container is not None:
        state = container.get("state") or {}
        last = (container.get("lastState") or {}).get("terminated")
        ended = state.get("terminated") or last or {}
    evidence = Evidence(
        kind="Pod",
        name=name,
        reason=reason,
        message=cut,
        exit_code=ended.get("exitCode"),
        restarts=int(container.get("restartCount") or 0) if container is not None else None,
    )
    return PodFinding(status, reason, f"Pod {name}: {cut or reason}", cause, evidence)


def _condition(status: dict[str, Any], type_: str) -> dict[str, Any]:
    conditions = status.get("conditions") or ()
    return next((c for c in conditions if c.get("type") == type_), {})
