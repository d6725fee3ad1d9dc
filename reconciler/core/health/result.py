"""What a rule answers, before it is put together with the object it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.model.health import Cause, Evidence, HealthStatus


@dataclass(frozen=True, slots=True)
class Result:
    """The answer of one rule; what its fields mean, `ObjectHealth` says."""

    status: HealthStatus
    reason: str = ""
    message: str = ""
    cause: Cause = Cause.NONE
    evidence: tuple[Evidence, ...] = ()
    names_release: bool = False


def current() -> Result:
    """As it should be."""
    return Result(HealthStatus.CURRENT)


def progressing(reason: str, message: str) -> Result:
    """On its way."""
    return Result(HealthStatus.IN_PROGRESS, reason, message)


def failed(reason: str, message: str) -> Result:
    """Failed, by nobody's fault that could be named."""
    return Result(HealthStatus.FAILED, reason, message)


def unknown(reason: str, message: str) -> Result:
    """Nothing certain can be said."""
    return Result(HealthStatus.UNKNOWN, reason, message)


def condition(status: dict[str, Any], type_: str) -> dict[str, Any]:
    """Returns a condition by its type, or an empty one."""
    conditions = status.get("conditions") or ()
    found: dict[str, Any] = next((c for c in conditions if c.get("type") == type_), {})
    return found
