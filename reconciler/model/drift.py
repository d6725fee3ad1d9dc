"""How a live object differs from what is applied there, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field.

    Attributes:
        path: Dotted, list items by their key: `spec.template.spec.containers[name=web].image`.
        live: What the API server has, a short text; None when the field is not there.
        desired: What was applied, a short text; a Secret's values are masked on both sides.
        manager: Who wrote it last as far as the server knows, or empty.
        at: When, RFC 3339 by the server's own clock, or empty.
    """

    path: str
    live: str | None
    desired: str | None
    manager: str = ""
    at: str = ""


def short(value: Any) -> str | None:
    """Returns a value as a short text for people; None stays None."""
    if value is None:
        return None
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[: SHOWN_MAX - 1]}…"


SHOWN_MAX = 200
"""Of one value in a log line, a page or an answer; whoever needs more asks the cluster."""
