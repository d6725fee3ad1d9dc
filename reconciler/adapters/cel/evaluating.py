"""One condition over some facts: true, false, or why neither; run where it may be ended at any time."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from cel_expr_python import cel

from reconciler.schema.conditions import language

WHY_CHARACTERS_MAX = 200

TIMES = ("now",)
"""Facts that are times."""


def evaluate(expression: str, facts: str) -> bool | str:
    """Returns what a condition comes to, or why it comes to nothing.

    Args:
        expression: The condition.
        facts: As core/condition_facts.py makes them.

    Raises:
        MemoryError: It takes more than there may be.
    """
    tree: dict[str, Any] = json.loads(facts)
    for name in TIMES:
        tree[name] = datetime.fromisoformat(tree[name])
    try:
        value = language().compile(expression).eval(data=tree)
    except RuntimeError as error:
        return str(error)[:WHY_CHARACTERS_MAX]
    if value.type() == cel.Type.BOOL:
        return bool(value.value())
    if value.type() == cel.Type.ERROR:
        return str(value.value())[:WHY_CHARACTERS_MAX]
    return f"it comes to {value.type().name().lower()}, and not to bool"
