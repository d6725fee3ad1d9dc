"""The one word that `status` and the board show for a cell; the first of them that holds."""

from __future__ import annotations

from enum import StrEnum

from reconciler.core.gates import is_returning, proof_of
from reconciler.core.holding import told
from reconciler.core.judging import has_arrived
from reconciler.core.rejections import repeats, standing
from reconciler.model.actions import Action, Hold
from reconciler.model.env_repo import QuarantineEntry
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
REJECTED_REASONS = frozenset({Reason.REJECTED, Reason.QUARANTINED, Reason.NOTHING_PROVEN})
PROVEN_REASONS = frozenset({Reason.SETTLED, Reason.JOINING, Reason.PROMOTION_CLOSED})
WAITING_REASONS = frozenset(
    {
        Reason.WAITING_FOR_PROOF,
        Reason.WAITING_FOR_APPROVAL,
        Reason.WAITING_FOR_CHECKS,
        Reason.GATE_CLOSED,
        Reason.PROMOTION_ASKED,
        Reason.WAITING_FOR_DEPENDENCY,
        Reason.WAITING_FOR_PLACE,
        Reason.WAITING_FOR_GROUP,
        Reason.STILL_NEEDED,
        Reason.DEPENDENCY_REJECTED,
        Reason.ADOPTION_PENDING,
        Reason.RENDERING,
    }
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
    holds = [action for action in actions if isinstance(action, Hold)]
    reasons = {hold.reason for hold in holds} | {gate.reason for h in holds for gate in h.gates}
    if cell.suspended or any(m.suspended for m in cell.counted):
        return Phase.SUSPENDED
    if is_returning(cell):
        return Phase.ROLLING_BACK
    if owed_revert(cell) is not None:
        return Phase.REVERT_PENDING
    if reasons & REJECTED_REASONS or _asks_for_what_failed(cell):
        return Phase.REJECTED
    if reasons & UNKNOWN_REASONS:
        return Phase.UNKNOWN
    if Reason.ORPHANED in reasons:
        return Phase.ORPHANED
    if _is_gone(cell, reasons):
        return Phase.ABSENT
    if cell.ask.paused:
        return Phase.PAUSED
    first = told(actions)
    return _held(first.reason) if isinstance(first, Hold) else _moving(cell)


def _is_gone(cell: Cell, reasons: set[Reason]) -> bool:
    """Tells whether it is proven to be gone, and nothing else is asked for."""
    record = cell.record
    if record is None or record.admitted is None or not record.admitted.absent:
        return False
    is_proven = record.rollout is None and proof_of(cell, record.admitted) is not None
    return is_proven and reasons <= PROVEN_REASONS


def _asks_for_what_failed(cell: Cell) -> bool:
    wanted = cell.ask.wanted
    bad: list[Rejection | QuarantineEntry] = [*standing(cell.record, cell.ask)]
    bad += cell.ask.quarantine or ()
    return wanted is not None and any(
        repeats(wanted, one) and cell.environment in one.environments for one in bad
    )


def _held(reason: Reason) -> Phase:
    if reason is Reason.PROGRESSING:
        return Phase.ROLLING_OUT
    if reason is Reason.WAITING_FOR_SOAK:
        return Phase.SOAKING
    if reason in WAITING_REASONS:
        return Phase.WAITING
    return Phase.PROVEN if reason in PROVEN_REASONS else Phase.HELD


def _moving(cell: Cell) -> Phase:
    """A cell with actions and no Hold is on its way; one with neither is not known to be fine."""
    record = cell.record
    if record is None or record.admitted is None:
        return Phase.WAITING
    is_proven = record.rollout is None and proof_of(cell, record.admitted) is not None
    if is_proven and all(has_arrived(m, record.admitted) for m in cell.counted):
        return Phase.PROVEN
    return Phase.ROLLING_OUT
