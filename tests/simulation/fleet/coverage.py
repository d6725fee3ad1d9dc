"""How often daemons did what under which fault: a table in which zeros are seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.simulation.fleet.script import FAULTS

ACTIONS = (
    "Adopt",
    "Admit",
    "Deliver",
    "Withdraw",
    "Examine",
    "Prove",
    "Reject",
    "FinishRollBack",
    "CommitRevert",
    "Applied",
    "RevertPushed",
    "RevertRefused",
    "Pruned",
    "PruneHeld",
    "DriftSeen",
    "DriftCorrected",
    "Leading",
    "HeadRefused",
)


def table(counted: Counter[tuple[str, str]]) -> Iterator[str]:
    """Yields the lines of the table: a row for each fault, a column for each thing that daemons do."""
    width = max(len(kind.value) for kind in FAULTS) + 1
    columns = [max(8, len(action) + 1) for action in ACTIONS]
    heads = "".join(f"{a:>{w}}" for a, w in zip(ACTIONS, columns, strict=True))
    yield f"{'under':<{width}}{heads}"
    for fault in ("", *(kind.value for kind in FAULTS)):
        numbers = (counted[fault, action] for action in ACTIONS)
        row = "".join(f"{n:>{w}}" for n, w in zip(numbers, columns, strict=True))
        yield f"{fault or '(any time)':<{width}}{row}"
