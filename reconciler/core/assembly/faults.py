"""Every fault of one render, carried by one error."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.errors import InvalidInput

_SHOWN_MAX = 20
"""More than a person reads at once, and few enough for a condition's message."""


class Unrenderable(InvalidInput):
    """A revision cannot be rendered.

    Args:
        subject: What was to be rendered, e.g. `service web in prod`.
        faults: All that is wrong, at least one; `why` shows the first of them.
    """

    def __init__(self, subject: str, faults: Sequence[InvalidInput]) -> None:
        shown = [str(fault) for fault in faults[:_SHOWN_MAX]]
        if len(faults) > _SHOWN_MAX:
            shown.append(f"and {len(faults) - _SHOWN_MAX} more")
        super().__init__(subject, "it cannot be rendered", " | ".join(shown))
        self.faults = tuple(faults)


def raise_all(subject: str, faults: Sequence[InvalidInput]) -> None:
    """Raises Unrenderable when there is at least one fault."""
    if faults:
        raise Unrenderable(subject, faults)
