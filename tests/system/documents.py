"""Whether a document keeps to what scripts may rely on: its shape, and the order of its lists."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from tests.system.shapes import (
    Bootstrap,
    Committed,
    Demo,
    Diff,
    Explain,
    HealthOf,
    History,
    Plan,
    Render,
    Status,
    Validate,
)

DOCUMENTS: dict[str, type[BaseModel]] = {
    "approve": Committed,
    "bootstrap": Bootstrap,
    "demo": Demo,
    "diff": Diff,
    "explain": Explain,
    "freeze": Committed,
    "health": HealthOf,
    "history": History,
    "lift": Committed,
    "pause": Committed,
    "plan": Plan,
    "promote": Committed,
    "render": Render,
    "resume": Committed,
    "retry": Committed,
    "rollback": Committed,
    "run": Status,
    "status": Status,
    "thaw": Committed,
    "validate": Validate,
}
"""By command."""

_ORDERS: dict[str, tuple[str, ...]] = {
    "actions": ("service", "environment"),
    "cells": ("service", "environment"),
    "checks": ("name",),
    "clusters": ("name",),
    "environments": ("environment",),
    "errors": ("object",),
    "fields": ("path",),
    "final": ("cluster", "service"),
    "gates": ("name",),
    "items": ("at",),
    "commits": ("at",),
    "timeline": ("at",),
    "reverts_pending": ("service",),
}


def unordered(tree: Any, name: str = "") -> list[str]:
    """Returns the names of the lists below a tree that are out of order."""
    if isinstance(tree, dict):
        return [fault for key, value in tree.items() for fault in unordered(value, key)]
    if not isinstance(tree, list):
        return []
    rows = [row for row in tree if isinstance(row, dict)]
    keys = [k for k in _ORDERS.get(name, ()) if all(k in row for row in rows)]
    order = [tuple(str(row[k]) for k in keys) for row in rows]
    texts = [row for row in tree if isinstance(row, str)]
    is_mixed = order != sorted(order) or (name == "environments" and texts != sorted(texts))
    return [*([name] if is_mixed else []), *(fault for row in rows for fault in unordered(row))]


def check(command: str, document: Any) -> None:
    """Fails unless a document has its command's shape and its lists are in order."""
    DOCUMENTS[command].model_validate(document)
    assert unordered(document) == []
