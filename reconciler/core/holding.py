"""A cell that is held: the one place that knows whose stopwatches may be told."""

from __future__ import annotations

from reconciler.core.view import CellView
from reconciler.model.actions import Hold
from reconciler.model.reasons import Reason


def hold(
    view: CellView,
    reason: Reason,
    message: str,
    *,
    page: bool = False,
    due_in_s: float | None = None,
) -> Hold:
    """Returns the Hold of a cell; the time that is left is told only where it is measured."""
    left_s = due_in_s if view.fleet.keeps_time else None
    return Hold(view.service, view.environment, reason, message, page=page, due_in_s=left_s)
