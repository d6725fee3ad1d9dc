"""The one word that `status` and the board show for a cell; the first of them that holds."""

from __future__ import annotations

from enum import StrEnum

from reconciler.core.gates import is_returning, proof_of
from reconciler.core.rejections import standing
from reconciler.model.actions import Action, Hold
from reconciler.model.facts import Cell
from reconciler.model.reasons import Reason
from reconciler.model.records import Rejection


class Phase(StrEnum):
    """In the order in which they are looked for."""

    SUSPENDED = "Suspended"
    ROLLING_BACK = "RollingBack"
    REVERT_PENDING = "RevertPending"
    REJECTED = "Rejected"
    UNKNOWN = "Unknown"
    ORPHANED = "Orphaned"
    ABSENT = "Absent"
    PAUSED = "Paused"
    ROLLING_OUT = "RollingOut"
    SOAKING = "Soaking"
    HELD = "Held"
    WAITING = "Waiting"
    PROVEN = "Proven"


UNKNOWN_REASONS = frozenset(
    {
        Reason.HOME_UNREACHABLE,
        Reason.GIT_UNKNOWN,
        Reason.CLUSTER_UNKNOWN,
        Reason.CLUSTER_UNREACHABLE,
        Reason.PROGRESS_DEADLINE,
    }
)
WAITING_REASONS = frozenset(
    {Reason.WAITING_FOR_PROOF, Reason.WAITING_FOR_DEPENDENCY, Reason.ADOPTION_PENDING}
)


def owed_revert(cell: Cell) -> Rejection | None:
    """Returns the newest rejection made here whose commit is not on the remote yet."""
    return next(
        (
            r
            for r in standing(cell.record, cell.ask)
            if r.revert.commit is None and r.environments[0] == cell.environment
        ),
        None,
    )


def phase_of(cell: Cell, actions: tuple[Action, ...]) -> Phase:
    """Returns a cell's phase from its facts and from what was planned for it."""
    if any(m.suspended for m in cell.members):
        return Phase.SUSPENDED
    if is_returning(cell):
        return Phase.ROLLING_BACK
    if owed_revert(cell) is not None:
        return Phase.REVERT_PENDING
    hold = next((a for a in actions if isinstance(a, Hold)), None)
    return _held(cell, hold) if hold is not None else _moving(cell)


def _held(cell: Cell, hold: Hold) -> Phase:
    reason = hold.reason
    if reason in (Reason.REJECTED, Reason.QUARANTINED, Reason.NOTHING_PROVEN):
        return Phase.REJECTED
    if reason in UNKNOWN_REASONS:
        return Phase.UNKNOWN
    if reason is Reason.ORPHANED:
        return Phase.ORPHANED
    if reason is Reason.PAUSED:
        return Phase.PAUSED
    if reason is Reason.PROGRESSING:
        return Phase.ROLLING_OUT
    if reason is Reason.WAITING_FOR_SOAK:
        return Phase.SOAKING
    if reason in WAITING_REASONS:
        return Phase.WAITING
    return Phase.PROVEN if reason is Reason.SETTLED else Phase.HELD


def _moving(cell: Cell) -> Phase:
    """A cell with actions and no Hold is on its way; one with neither is not known to be fine."""
    record = cell.record
    if record is None or record.admitted is None:
        return Phase.WAITING
    if record.rollout is None and proof_of(cell, record.admitted) is not None:
        return Phase.PROVEN
    return Phase.ROLLING_OUT
