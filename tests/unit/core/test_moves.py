"""The promotion state machine: each row comes about, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings

from reconciler.core.moves import (
    MEANING,
    TABLE,
    CellState,
    Move,
    RecordAction,
    Row,
    move_of,
    state_of,
)
from reconciler.core.plan import plan_service
from reconciler.core.recording import recorded
from reconciler.model.actions import Admit, Adopt, FinishRollBack, Prove, Reject
from reconciler.model.facts import FleetSummary, ServiceFacts
from reconciler.model.records import PromotionRecord, Proof, Rejection
from tests.fakes.facts import BEFORE, DEV, NOW, V1, V2, V3, WEB, proof, record, rejection, rollout
from tests.property.worlds import fleets, services

SOAKED, ONLY_ADOPTED = proof(V1), proof(V1, opens_gates=False)
BAD = rejection(V2, rolled_back_at=None)
BACK_ON = {CellState.PROVEN: (SOAKED,), CellState.ADOPTED: (ONLY_ADOPTED,), CellState.STOPPED: ()}
"""The proofs of version 1 that a record has where going back to it leads to a state."""


def was(state: CellState, of: tuple[Proof, ...]) -> PromotionRecord | None:
    """Returns a record in a state, that has some proofs beside those which make it so; version 2 is admitted."""
    match state:
        case CellState.NOTHING_ADMITTED:
            return None
        case CellState.ROLLING_OUT:
            return record(DEV, V2, rollout=rollout(V2), proofs=of)
        case CellState.PROVEN:
            return record(DEV, V2, proofs=(proof(V2), *of))
        case CellState.ADOPTED:
            return record(DEV, V2, proofs=(proof(V2, opens_gates=False), *of))
        case CellState.STOPPED:
            return record(DEV, V2, proofs=of)
        case CellState.RETURNING:
            from_3 = rejection(V3, restore_to=V2, rolled_back_at=None)
            return record(DEV, V2, proofs=of, rejections=(from_3,))


def action(row: Row) -> RecordAction:
    """Returns what the row's move is made by."""
    match row.move:
        case Move.ADOPT:
            return Adopt(WEB, DEV, ONLY_ADOPTED, "", "")
        case Move.ADMIT:
            return Admit(WEB, DEV, V3, rollout(V3), "", "")
        case Move.ADMIT_PROVEN:
            return Admit(WEB, DEV, V1, None, "", "")
        case Move.PROVE:
            return Prove(WEB, DEV, proof(V2), "", "")
        case Move.REJECT:
            return _reject(BAD)
        case Move.REJECT_WITHOUT_A_WAY_BACK:
            return _reject(replace(BAD, restore_to=None))
        case Move.REJECT_ALREADY_BACK:
            return _reject(replace(BAD, rolled_back_at=BEFORE))
        case Move.REJECT_WHAT_LEFT:
            return _reject(rejection(V3, rejected_at=NOW, rolled_back_at=None))
        case Move.FINISH_ROLL_BACK:
            return FinishRollBack(WEB, DEV, replace(BAD, rolled_back_at=NOW), "", "")


def _reject(of: Rejection) -> Reject:
    return Reject(WEB, DEV, of, "", "")


def before(row: Row) -> PromotionRecord | None:
    """Returns a record from which the row's move leads to where the row says."""
    if row.move is Move.FINISH_ROLL_BACK:
        return record(DEV, V1, proofs=BACK_ON[row.becomes], rejections=(BAD,))
    if row.move in (Move.REJECT_ALREADY_BACK, Move.ADMIT_PROVEN):
        return was(row.was, BACK_ON[row.becomes])
    return was(row.was, (SOAKED,) if row.move is Move.REJECT else ())


@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r.was}, {r.move}, {r.becomes}")
def test_each_row_leads_from_where_it_says_to_where_it_says(row: Row) -> None:
    given, by = before(row), action(row)
    assert (state_of(given), move_of(given, by)) == (row.was, row.move)
    assert state_of(recorded(given, by)) == row.becomes


def test_no_row_stands_there_twice_and_every_state_is_left_and_told_of() -> None:
    assert len({(row.was, row.move, row.becomes) for row in TABLE}) == len(TABLE)
    assert {row.was for row in TABLE} == set(CellState) == set(MEANING)
    assert all(row.when.endswith(".") for row in TABLE)


@pytest.mark.parametrize(
    ("given", "by"),
    [
        pytest.param(
            None, Prove(WEB, DEV, SOAKED, "", ""), id="a proof of what was never admitted"
        ),
        pytest.param(
            record(DEV, V2), Prove(WEB, DEV, proof(V2), "", ""), id="a proof of what is proven"
        ),
        pytest.param(
            record(DEV, V1), Adopt(WEB, DEV, SOAKED, "", ""), id="an adoption over what is admitted"
        ),
        pytest.param(
            record(DEV, V1, rejections=(BAD,)),
            Admit(WEB, DEV, V3, rollout(V3), "", ""),
            id="a way forward before a roll-back is complete",
        ),
        pytest.param(
            record(DEV, V2, rollout=rollout(V2)),
            FinishRollBack(WEB, DEV, replace(BAD, rolled_back_at=NOW), "", ""),
            id="the end of a roll-back in the middle of a roll-out",
        ),
    ],
)
def test_what_is_no_move_is_refused(given: PromotionRecord | None, by: RecordAction) -> None:
    with pytest.raises(AssertionError, match="no move in core/moves"):
        recorded(given, by)


def test_a_rejection_of_another_brought_home_ends_no_roll_back() -> None:
    returning = record(DEV, V1, rejections=(BAD,))
    now = recorded(returning, _reject(rejection(V3, rejected_at=NOW, rolled_back_at=None)))
    assert state_of(now) is CellState.RETURNING
    assert [r.revision for r in now.rejections] == [V2, V3]
    assert now.rejections[1].rolled_back_at is not None


def test_a_rejection_that_holds_again_leads_back_again() -> None:
    again, other = rejection(V2), rejection(V3, rejected_at=NOW)
    rolling = record(DEV, V2, rollout=rollout(V2), rejections=(other, again))
    now = recorded(rolling, _reject(replace(again, rolled_back_at=None)))
    assert state_of(now) is CellState.RETURNING
    assert [r.revision for r in now.rejections] == [V2, V3]


def comes_about(known: PromotionRecord | None) -> bool:
    """Tells whether actions make such a record: Hypothesis draws others, too."""
    if known is None:
        return True
    proven = {proof.revision.id for proof in known.proofs}
    if known.admitted is None:
        return not known.proofs and not known.rejections
    return known.rollout is None or known.admitted.id not in proven


@settings(max_examples=100)
@given(services, fleets)
def test_whatever_is_planned_is_a_row(facts: ServiceFacts, fleet: FleetSummary) -> None:
    records = {cell.environment: cell.record for cell in facts.cells}
    for by in plan_service(facts, fleet, NOW):
        known = records[by.environment]
        if isinstance(by, get_args(RecordAction)) and comes_about(known):
            recorded(known, by)
