"""What is known about a live object's health, and whose fault a failure seems to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.objects import ObjectRef


class HealthStatus(StrEnum):
    """The five states; an object about which nothing certain can be said is Unknown."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    UNKNOWN = "Unknown"


WORST_FIRST = (
    HealthStatus.FAILED,
    HealthStatus.UNKNOWN,
    HealthStatus.TERMINATING,
    HealthStatus.IN_PROGRESS,
    HealthStatus.CURRENT,
)


class Cause(StrEnum):
    """Whose fault a failure seems to be; only RELEASE may lead to a verdict of bad."""

    NONE = "none"
    RELEASE = "release"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observation behind a failure; holds no log lines and no Secret's value.

    Attributes:
        exit_code: Of the container's last termination, if there was one.
        restarts: Of the container, if known.
    """

    kind: str
    name: str
    reason: str
    message: str
    exit_code: int | None = None
    restarts: int | None = None


@dataclass(frozen=True, slots=True)
class ObjectHealth:
    """The health of one object, its Pods looked through.

    Attributes:
        names_release: Whether the failure names the release: whatever else fails, the platform does not explain it.
    """

    ref: ObjectRef
    status: HealthStatus
    reason: str = ""
    message: str = ""
    cause: Cause = Cause.NONE
    evidence: tuple[Evidence, ...] = ()
    names_release: bool = False


def worst(statuses: tuple[HealthStatus, ...]) -> HealthStatus:
    """Returns the worst of some states; of none it is Unknown, since nothing was seen."""
    return min(statuses, key=WORST_FIRST.index, default=HealthStatus.UNKNOWN)
