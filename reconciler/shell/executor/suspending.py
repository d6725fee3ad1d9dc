"""Tells a person once that a suspension is not written as it should be; what it stops is decided in core."""

from __future__ import annotations

import structlog

from reconciler.core.suspending import suspension_fault
from reconciler.model.objects import KubeObject

_log = structlog.get_logger(__name__)


def tell_suspension(obj: KubeObject, was: KubeObject | None, **where: str) -> None:
    """Logs what is wrong with an object's suspension, unless the same was wrong with it before.

    Args:
        obj: As it was just seen.
        was: As it was last seen; None: not before.
        **where: Of which cluster it is, for the log.
    """
    fault, former = suspension_fault(obj), suspension_fault(was)
    if fault is not None and str(fault) != str(former):
        _log.warning("suspension-wrong", **where, error=str(fault))
