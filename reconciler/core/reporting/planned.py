"""The document `reconciler.plan/v1`: what would be done now."""

from __future__ import annotations

from reconciler.core.reporting.documents import Document, blank, by_cell, unseen
from reconciler.model.view import View


def plan(view: View) -> Document:
    """Returns the document.

    Args:
        view: What a turn saw and decided.
    """
    actions = [
        {
            "kind": type(action).__name__,
            "service": action.service,
            "environment": action.environment,
            "cluster": getattr(action, "cluster", None),
            "reason": str(action.reason),
            "message": action.message,
            "step": step,
        }
        for planned in view.services.values()
        for step, cell in enumerate(planned.facts.cells, start=1)
        for action in planned.of(cell.environment)
    ]
    return {
        **blank("plan"),
        "commit": view.head.snapshot.commit if view.head.snapshot else None,
        "actions": sorted(actions, key=lambda a: (*by_cell(a), a["cluster"] or "", a["kind"])),
        "errors": unseen(view),
    }
