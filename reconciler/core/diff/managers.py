"""Who holds a field, and who wrote it last, as the API server's managedFields tell it."""

from __future__ import annotations

from typing import Any

from reconciler.model.objects import KubeObject

OURS = "reconciler"


def manager_of(live: KubeObject, fields: tuple[str, ...]) -> tuple[str, str]:
    """Returns (manager, time) of the newest write of a field that was not ours, else of any.

    Args:
        live: With its managedFields.
        fields: Names of the fields down to it; a list item counts as its list.

    Returns:
        Two empty texts when nobody is known.
    """
    found = _writers(live, fields)
    others = [item for item in found if item[1] != OURS]
    at, manager = max(others or found, default=("", ""))
    return manager, at


def is_ours_alone(live: KubeObject, fields: tuple[str, ...]) -> bool:
    """Whether a field is ours and nobody else's, so that it would go if we left it out."""
    managers = {manager for _, manager in _writers(live, fields)}
    return managers == {OURS}


def applied_by_us(live: KubeObject) -> list[dict[str, Any]]:
    """Returns the fieldsV1 trees of what our applies name, whoever else holds a field of them, too.

    Args:
        live: With its managedFields.
    """
    entries = live["metadata"].get("managedFields") or ()
    ours = (e for e in entries if (e.get("manager"), e.get("operation")) == (OURS, "Apply"))
    return [fields for entry in ours if (fields := entry.get("fieldsV1"))]


def is_applied_by_us(live: KubeObject, fields: tuple[str, ...]) -> bool:
    """Whether our last apply named a field: what a person wrote by hand, it did not."""
    return any(_holds(tree, fields) for tree in applied_by_us(live))


def _writers(live: KubeObject, fields: tuple[str, ...]) -> list[tuple[str, str]]:
    """Returns (time, manager) of everyone who manages a field."""
    entries = live.get("metadata", {}).get("managedFields") or ()
    return [
        (str(entry.get("time") or ""), str(entry.get("manager") or ""))
        for entry in entries
        if _holds(entry.get("fieldsV1") or {}, fields)
    ]


def _holds(tree: Any, fields: tuple[str, ...]) -> bool:
    """Whether a fieldsV1 tree names a field, in whichever items of the lists on the way."""
    if not fields:
        return True
    if not isinstance(tree, dict):
        return False
    child = tree.get(f"f:{fields[0]}")
    if child is not None and _holds(child, fields[1:]):
        return True
    return any(_holds(item, fields) for key, item in tree.items() if key.startswith("k:"))
