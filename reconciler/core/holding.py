"""A cell that is held: whose stopwatches may be told, and which of several reasons."""

from __future__ import annotations

from reconciler.core.view import CellView
from reconciler.model.actions import Action, Hold
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


def told(actions: tuple[Action, ...]) -> Action | None:
    """Returns the one of a cell's actions that says most, on every page, as an event and as a metric.

    That is a Hold that a person must hear of, else any Hold, else what is only carried on.
    """
    holds = [action for action in actions if isinstance(action, Hold)]
    return next((h for h in holds if h.page), next(iter((*holds, *actions)), None))
