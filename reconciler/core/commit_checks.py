"""Whether the checks of a commit let it pass: three-valued, as a gate is."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.actions import GateState
from reconciler.model.answers import NotKnown
from reconciler.model.forge import CommitStatus, Statuses, StatusState

PASSED = frozenset({StatusState.SUCCESS, StatusState.SKIPPED})
"""As Gitea itself counts them for a merge; whatever is not here holds."""

WAITED_FOR = frozenset({StatusState.PENDING})


@dataclass(frozen=True, slots=True)
class Passage:
    """What the checks of a commit come to.

    Attributes:
        message: For a person; empty where they let it pass.
        retry_after_s: Seconds that the forge asked us to wait, if it said so.
    """

    state: GateState
    message: str = ""
    retry_after_s: float | None = None


def passage(seen: Statuses | NotKnown, required: tuple[str, ...]) -> Passage:
    """Returns whether a commit may pass.

    Args:
        seen: What the forge says.
        required: The checks that must have passed; none: each that has said anything, and at least one.
    """
    if isinstance(seen, NotKnown):
        return Passage(GateState.UNKNOWN, seen.message, seen.retry_after_s)
    said = {check.context: check for check in seen.checks}
    wanted = required or tuple(said)
    if not wanted:
        return Passage(GateState.CLOSED, "no check has said anything yet")
    missing = [name for name in wanted if name not in said]
    found = [said[name] for name in wanted if name in said]
    failed = [c for c in found if c.state not in PASSED | WAITED_FOR | {StatusState.UNKNOWN}]
    if failed:
        return Passage(GateState.CLOSED, f"failed: {_named(failed)}")
    odd = [check for check in found if check.state is StatusState.UNKNOWN]
    if odd:
        names = ", ".join(check.context for check in odd)
        return Passage(GateState.UNKNOWN, f"said in a word that is not known: {names}")
    waiting = [check.context for check in found if check.state in WAITED_FOR] + missing
    if waiting:
        return Passage(GateState.CLOSED, f"not passed yet: {', '.join(sorted(waiting))}")
    return Passage(GateState.OPEN)


def _named(checks: list[CommitStatus]) -> str:
    return ", ".join(f"{check.context} ({check.state})" for check in sorted(checks))
