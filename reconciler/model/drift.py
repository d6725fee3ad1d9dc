"""How a live object differs from what is applied there, field by field."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

Shown = str | int | float | bool | None
"""A value as people and documents are shown it: a scalar as it is, anything larger as JSON text."""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field.

    Attributes:
        path: Dotted, list items by their key: `spec.template.spec.containers[name=web].image`.
        live: What the API server has; None when the field is not there.
        desired: What was applied; a Secret's values are masked on both sides.
        manager: Who wrote it last as far as the server knows, or empty.
        at: When, RFC 3339 by the server's own clock, or empty.
    """

    path: str
    live: Shown
    desired: Shown
    manager: str = ""
    at: str = ""


def short(value: Any) -> Shown:
    """Returns a scalar as it is, and anything else as JSON text; a long text is cut."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"


SHOWN_MAX = 200
"""Of one value in a log line, a page or an answer; whoever needs more asks the cluster."""
