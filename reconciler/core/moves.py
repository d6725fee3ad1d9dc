"""How an environment moves: every state of a promotion record, and every action that leads from one to another.

`recording` is held to this table, and `docs/promotion.md` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from reconciler.model.actions import Admit, Adopt, FinishRollBack, Prove, Reject
from reconciler.model.records import PromotionRecord

RecordAction = Adopt | Admit | Prove | Reject | FinishRollBack
"""The actions that change what is known about an environment, and nothing else."""


class CellState(StrEnum):
    """Where a service stands in an environment, told by its promotion record alone."""

    NOTHING_ADMITTED = "NothingAdmitted"
    ADOPTED = "Adopted"
    ROLLING_OUT = "RollingOut"
    PROVEN = "Proven"
    RETURNING = "Returning"
    STOPPED = "Stopped"


MEANING: dict[CellState, str] = {
    CellState.NOTHING_ADMITTED: "Nothing was let on to the environment yet, as far as the home knows.",
    CellState.ADOPTED: "What was live when it was first seen is admitted: a target to go back to that opens no gate.",
    CellState.ROLLING_OUT: "A revision is on its way, wave by wave, and is judged.",
    CellState.PROVEN: "What is admitted is proven here; within its watch a failure still takes it back.",
    CellState.RETURNING: "What was admitted is rejected, and the clusters are being put back on what is proven.",
    CellState.STOPPED: "What is admitted is not proven, and nothing rolls out: objects and pin stay, a person acts.",
}


class Move(StrEnum):
    """What an action does to a record; one kind of action may do different things."""

    ADOPT = "Adopt"
    ADMIT = "Admit"
    ADMIT_PROVEN = "Admit, proven here"
    PROVE = "Prove"
    REJECT = "Reject"
    REJECT_WITHOUT_A_WAY_BACK = "Reject, nothing proven"
    REJECT_ALREADY_BACK = "Reject, already back"
    REJECT_WHAT_LEFT = "Reject, admitted no more"
    FINISH_ROLL_BACK = "FinishRollBack"


@dataclass(frozen=True, slots=True)
class Row:
    """One move of the promotion state machine.

    Attributes:
        when: In which case it is planned, as one sentence.
    """

    was: CellState
    move: Move
    becomes: CellState
    when: str


_LATE = "A cluster holds a rejection that the home lacks, of what is admitted no more: it is known, and moves nothing."
_PASSED_BEFORE = (
    "HEAD asks for what was proven here before, or what renders to exactly that: it goes at once"
)
_BEFORE = "or an environment before this one rejected it"
_LOST = "its proof was lost with the record"
_HOME_AGAIN = "A cluster holds the rejection of what is admitted, made and done with while the home was out of reach"

_NOTHING, _ADOPTED, _ROLLING = (
    CellState.NOTHING_ADMITTED,
    CellState.ADOPTED,
    CellState.ROLLING_OUT,
)
_PROVEN, _RETURNING, _STOPPED = CellState.PROVEN, CellState.RETURNING, CellState.STOPPED
_AT_REST = (_PROVEN, _ADOPTED, _STOPPED)
_ELSEWHERE = {
    _ADOPTED: "An environment before this one rejected it, and something else is proven here.",
    _STOPPED: "An environment before this one rejected it, and what is proven here was so until a person lifted that.",
}
_STILL = {_PROVEN: "", _ADOPTED: "; it was adopted", _STOPPED: f"; {_LOST}"}

TABLE: tuple[Row, ...] = (
    Row(
        _NOTHING,
        Move.ADOPT,
        _ADOPTED,
        "What is live on every cluster equals what the pin renders to, or the clusters' own records agree on it.",
    ),
    Row(
        _NOTHING,
        Move.ADMIT,
        _ROLLING,
        "Nothing is live, or the pin says `adopt: overwrite`, and every gate is open.",
    ),
    Row(
        _ADOPTED,
        Move.PROVE,
        _PROVEN,
        "It was observed healthy on every cluster for a whole soak; from now on it opens gates.",
    ),
    Row(
        _ROLLING,
        Move.PROVE,
        _PROVEN,
        "Every cluster that the quorum asks for was healthy for the whole soak.",
    ),
    Row(
        _ROLLING,
        Move.ADMIT,
        _ROLLING,
        "A newer commit takes its place: every gate is open for what HEAD asks for now.",
    ),
    *(
        Row(was, Move.ADMIT, _ROLLING, "HEAD asks for another release, and every gate is open.")
        for was in _AT_REST
    ),
    *(
        Row(was, Move.ADMIT_PROVEN, becomes, f"{_PASSED_BEFORE}{_STILL[becomes]}.")
        for was in (_ROLLING, *_AT_REST)
        for becomes in (_PROVEN, _ADOPTED)
    ),
    Row(
        _ROLLING,
        Move.REJECT,
        _RETURNING,
        f"It failed by its own fault, {_BEFORE}: the newest that is proven here and not rejected is admitted.",
    ),
    Row(
        _ROLLING,
        Move.REJECT_WITHOUT_A_WAY_BACK,
        _STOPPED,
        "It failed by its own fault, and nothing is proven here to go back to.",
    ),
    Row(
        _PROVEN,
        Move.REJECT,
        _RETURNING,
        f"It fails within its watch, {_BEFORE}, and something else is proven here.",
    ),
    *(Row(was, Move.REJECT, _RETURNING, _ELSEWHERE[was]) for was in (_ADOPTED, _STOPPED)),
    Row(
        _RETURNING,
        Move.REJECT,
        _RETURNING,
        "What is gone back to turns out to be rejected: a cluster kept that while the home was out of reach.",
    ),
    Row(
        _RETURNING,
        Move.FINISH_ROLL_BACK,
        _PROVEN,
        "Every cluster that answers is back, current and ready.",
    ),
    Row(
        _RETURNING,
        Move.FINISH_ROLL_BACK,
        _ADOPTED,
        "The same, and what it is back on was adopted.",
    ),
    Row(
        _RETURNING,
        Move.FINISH_ROLL_BACK,
        _STOPPED,
        f"The same, and {_LOST}.",
    ),
    *(
        Row(was, Move.REJECT_ALREADY_BACK, becomes, f"{_HOME_AGAIN}{_STILL[becomes]}.")
        for was in (_ROLLING, _RETURNING, *_AT_REST)
        for becomes in _AT_REST
    ),
    *(Row(was, Move.REJECT_WHAT_LEFT, was, _LATE) for was in (_ROLLING, _RETURNING, *_AT_REST)),
)
"""Every move there is; `as_tabled` refuses any other."""

_KNOWN = frozenset((row.was, row.move, row.becomes) for row in TABLE)


def is_returning(record: PromotionRecord | None) -> bool:
    """Tells whether a roll-back is still to be completed."""
    if record is None or not record.rejections:
        return False
    newest = record.rejections[0]
    return (
        newest.restore_to is not None
        and newest.rolled_back_at is None
        and record.admitted is not None
        and record.admitted.id == newest.restore_to.id
    )


def state_of(record: PromotionRecord | None) -> CellState:
    """Returns where a record says that its service stands in its environment."""
    if record is None or record.admitted is None:
        return CellState.NOTHING_ADMITTED
    if record.rollout is not None:
        return CellState.ROLLING_OUT
    if is_returning(record):
        return CellState.RETURNING
    proof = next((p for p in record.proofs if p.revision.id == record.admitted.id), None)
    if proof is None:
        return CellState.STOPPED
    return CellState.PROVEN if proof.opens_gates else CellState.ADOPTED


def move_of(record: PromotionRecord | None, action: RecordAction) -> Move:
    """Returns what an action does to the record that it was planned from."""
    match action:
        case Adopt():
            return Move.ADOPT
        case Admit():
            return Move.ADMIT if action.rollout is not None else Move.ADMIT_PROVEN
        case Prove():
            return Move.PROVE
        case Reject():
            if speaks_of_what_left(record, action):
                return Move.REJECT_WHAT_LEFT
            if action.rejection.restore_to is None:
                return Move.REJECT_WITHOUT_A_WAY_BACK
            is_back = action.rejection.rolled_back_at is not None
            return Move.REJECT_ALREADY_BACK if is_back else Move.REJECT
        case FinishRollBack():
            return Move.FINISH_ROLL_BACK
        case _:
            assert_never(action)


def speaks_of_what_left(record: PromotionRecord | None, action: Reject) -> bool:
    """Tells whether a rejection, brought home late, is of what is admitted no more."""
    admitted = record.admitted if record is not None else None
    return admitted is not None and admitted.id != action.rejection.revision.id


def as_tabled(
    was: PromotionRecord | None, action: RecordAction, now: PromotionRecord
) -> PromotionRecord:
    """Returns a record after an action, as the table has it.

    Raises:
        AssertionError: The table has no such move. It is our bug, and nothing is written: the cell is held.
    """
    taken = (state_of(was), move_of(was, action), state_of(now))
    if taken not in _KNOWN:
        before, move, after = taken
        raise AssertionError(f"no move in core/moves.py: {before}, {move}, {after}")
    return now
