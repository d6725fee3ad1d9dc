"""What a Pod's status says of the release in it, and of the platform below it.

Only what names the release is laid to it: its image does not exist or is denied, its process ends
again and again, its configuration is not there. Whatever may be the platform's is not a failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model.health import Cause, Evidence, HealthStatus
from reconciler.model.objects import KubeObject

RESTARTS_MIN = 2
"""One early exit of a Pod that then runs is not a bad release."""

EXITED = "Exited"
"""It ended badly, and not often enough to be called a failure yet."""

MESSAGE_MAX = 300
"""A kubelet's message may quote a whole response, or name an image three times by its digest."""

_CUT = " ... "

_NAMES_THE_RELEASE = frozenset({"InvalidImageName", "SignatureValidationFailed"})
PULLS = frozenset({"ErrImagePull", "ErrImageNeverPull", "ImagePullBackOff", "RegistryUnavailable"})
_CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

_LOST = "ContainerStatusUnknown"
"""How a container ended whose node was away: nobody saw its exit code."""

_PLATFORM = re.compile(
    r"\b(?:429|5\d\d)\b|[Tt]oo [Mm]any [Rr]equests|toomanyrequests|rate limit|[Tt]ime-?out|timed out"
    r"|deadline exceeded|cancell?ed|connection re(?:fused|set)|no such host|server misbehaving"
    r"|\bi/o\b|\bEOF\b|TLS handshake|x509|[Tt]emporar|no space left|is reserved for"
)
_NOT_THERE = re.compile(
    r"not found|manifest[ _]unknown|name[ _]unknown|does not exist|no such image|invalid reference",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"unauthorized|authentication required|authorization failed|denied|403 forbidden|401 unauthorized"
    r"|insufficient_scope|not authorized",
    re.IGNORECASE,
)
"""What is denied may be so for every release: credentials expire.

Source: what containerd, CRI-O and registries say, as kubelets pass it on: `pull access denied`, `403
Forbidden`, `manifest unknown`, `X: not found`; against `500 Internal Server Error`, `429 Too Many Requests`,
`TLS handshake timeout`, `context canceled`, `EOF`.
"""

_NAMES = re.compile(r'"[^"]*"|sha256:[0-9a-f]+|(?!i/o\b|net/http\b)(?<!\S)\S*/\S*')
"""Quoted names, digests, URLs and image references: their words and digits say nothing of a cause."""


@dataclass(frozen=True, slots=True)
class PodFinding:
    """Why one Pod is not well.

    Attributes:
        status: FAILED only with `cause` RELEASE; IN_PROGRESS with RELEASE is a suspicion.
        names_release: Whether the release alone explains it: an image that is not there, and no process that ends.
    """

    status: HealthStatus
    reason: str
    message: str
    cause: Cause
    evidence: Evidence
    names_release: bool = False


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
    if reason in _NAMES_THE_RELEASE:
        found = _finding(pod, HealthStatus.FAILED, reason, message, Cause.RELEASE, container)
        return replace(found, names_release=True)
    if reason in PULLS:
        return _pull(pod, container, reason, message)
    if reason in _CONFIG:
        return _configuration(pod, container, reason, message)
    return _exits(pod, container, reason)


def _pull(pod: KubeObject, container: dict[str, Any], reason: str, message: str) -> PodFinding:
    """ "Back-off pulling" alone names no cause; until a kubelet says more, nobody knows whose it is."""
    words = _NAMES.sub("", message)
    is_absent, is_denied = bool(_NOT_THERE.search(words)), bool(_DENIED.search(words))
    if (is_absent or is_denied) and not _PLATFORM.search(words):
        found = _finding(pod, HealthStatus.FAILED, reason, message, Cause.RELEASE, container)
        # "pull access denied, repository does not exist or may require authorization" says only that it is denied.
        return replace(found, names_release=is_absent and not is_denied)
    return _finding(pod, HealthStatus.IN_PROGRESS, reason, message, Cause.PLATFORM, container)


def _configuration(
    pod: KubeObject, container: dict[str, Any], reason: str, message: str
) -> PodFinding:
    """A runtime or a cache that does not answer is the platform's; a missing key or command is not."""
    if _PLATFORM.search(_NAMES.sub("", message)) or "failed to sync" in message:
        return _finding(pod, HealthStatus.IN_PROGRESS, reason, message, Cause.PLATFORM, container)
    return _finding(pod, HealthStatus.FAILED, reason, message, Cause.RELEASE, container)


def _exits(pod: KubeObject, container: dict[str, Any], waiting: str) -> PodFinding | None:
    """A container that ends again and again fails; one that ended badly once is only suspect.

    Suspect is IN_PROGRESS with the cause RELEASE: too little by itself, and enough once a deadline
    has passed.
    """
    state = container.get("state") or {}
    ended = _ended(container)
    why, code = str(ended.get("reason") or ""), _number(ended.get("exitCode"))
    restarts = _number(container.get("restartCount")) or 0
    if container.get("ready") or not ended or why == _LOST:
        return None
    is_clean = code == 0 and why != "OOMKilled" and waiting != "CrashLoopBackOff"
    if is_clean or (restarts < 1 and "terminated" not in state):
        return None
    often = f"{restarts} times, last" if restarts > 1 else "once,"
    message = f"container {container.get('name')} ended {often} with exit code "
    message += f"{'unknown' if code is None else code}" + (f" ({why})" if why else "")
    if restarts >= RESTARTS_MIN and "running" not in state:
        named = why if why == "OOMKilled" else (waiting or why or "CrashLoopBackOff")
        return _finding(pod, HealthStatus.FAILED, named, message, Cause.RELEASE, container)
    return _finding(pod, HealthStatus.IN_PROGRESS, EXITED, message, Cause.RELEASE, container)


def _ended(container: dict[str, Any]) -> dict[str, Any]:
    """Returns how a container ended last, or nothing."""
    now = (container.get("state") or {}).get("terminated")
    return now or (container.get("lastState") or {}).get("terminated") or {}


def _number(value: Any) -> int | None:
    return value if type(value) is int else None


def _finding(
    pod: KubeObject,
    status: HealthStatus,
    reason: str,
    message: str,
    cause: Cause,
    container: dict[str, Any] | None = None,
) -> PodFinding:
    name = str(pod["metadata"]["name"])
    cut = _shortened(message)
    evidence = Evidence(
        kind="Pod",
        name=name,
        reason=reason,
        message=cut,
        exit_code=_number(_ended(container).get("exitCode")) if container is not None else None,
        restarts=(_number(container.get("restartCount")) or 0) if container is not None else None,
    )
    return PodFinding(status, reason, f"Pod {name}: {cut or reason}", cause, evidence)


def _shortened(message: str) -> str:
    """Returns a message's beginning, which says what was done, and its end, which says what came in between."""
    if len(message) <= MESSAGE_MAX:
        return message
    half = (MESSAGE_MAX - len(_CUT)) // 2
    return f"{message[:half]}{_CUT}{message[-half:]}"


def _condition(status: dict[str, Any], type_: str) -> dict[str, Any]:
    conditions = status.get("conditions") or ()
    return next((c for c in conditions if c.get("type") == type_), {})
