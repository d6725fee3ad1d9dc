"""Every fault of one render, carried by one error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.errors import InvalidInput

_SHOWN_MAX = 20
"""More than a person reads at once, and few enough for a condition's message."""

FAULTS_MAX = 50
"""As many as are told of any other file; one of two megabytes can hold a hundred thousand."""


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


class Faults:
    """What is wrong with one render; past the first FAULTS_MAX it only counts."""

    def __init__(self) -> None:
        self._kept: list[InvalidInput] = []
        self._left_out = 0

    def note(self, fault: InvalidInput) -> None:
        """Takes one more."""
        if len(self._kept) < FAULTS_MAX:
            self._kept.append(fault)
        else:
            self._left_out += 1

    def raise_any(self, subject: str) -> None:
        """Raises Unrenderable when there is at least one; the last says how many more there are."""
        if self._left_out:
            what, why = "it has more faults", f"{self._left_out} more were left out"
            fix = "correct those that are told, and look again"
            self._kept.append(InvalidInput(self._kept[-1].object, what, why, fix))
        if self._kept:
            raise Unrenderable(subject, self._kept)


def raise_all(subject: str, faults: Iterable[InvalidInput]) -> None:
    """Raises Unrenderable when there is at least one fault."""
    found = Faults()
    for fault in faults:
        found.note(fault)
    found.raise_any(subject)
