"""What each action makes of a promotion record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.fuses import FUSE_WINDOW
from reconciler.core.moves import RecordAction
from reconciler.core.recording import recorded, with_revert
from reconciler.model.actions import Admit, Adopt, FinishRollBack, Prove, Reject
from reconciler.model.names import CommitId, RenderDigest
from reconciler.model.records import (
    PASSED_MAX,
    PROOFS_MAX,
    REJECTIONS_KEPT,
    REJECTIONS_MAX,
    PromotionRecord,
    RevertProgress,
    in_short,
)
from reconciler.model.release import Revision
from tests.fakes.facts import BEFORE, DEV, NOW, V1, V2, V3, WEB, proof, record, rejection, rollout
from tests.fakes.records import revision

MANY = tuple(revision(f"{n}") for n in range(REJECTIONS_MAX))
LONG_AGO = BEFORE - FUSE_WINDOW
COMMITTED = RevertProgress(CommitId("e" * 40), None, BEFORE)
ROLLING = record(DEV, V2, rollout=rollout(V2))
BAD = rejection(V2, rolled_back_at=None)


def reject(bad: Any = BAD) -> Reject:
    """Returns the rejection of version 2 as an action."""
    return Reject(WEB, DEV, bad, "", "")


@pytest.mark.parametrize(
    ("was", "action", "now"),
    [
        pytest.param(
            None,
            Adopt(WEB, DEV, proof(V1, opens_gates=False), "", ""),
            record(DEV, V1, proofs=(proof(V1, opens_gates=False),)),
            id="adoption begins a record",
        ),
        pytest.param(
            record(DEV, V1),
            Admit(WEB, DEV, V2, rollout(V2), "", ""),
            ROLLING,
            id="an admission begins a roll-out",
        ),
        pytest.param(
            ROLLING,
            Prove(WEB, DEV, proof(V2), "", ""),
            record(DEV, V2, proofs=(proof(V2), proof(V1))),
            id="a proof ends it",
        ),
        pytest.param(
            ROLLING,
            reject(),
            record(DEV, V1, rejections=(BAD,)),
            id="a rejection ends it and admits what is gone back to",
        ),
        pytest.param(
            ROLLING,
            reject(replace(BAD, restore_to=None)),
            replace(ROLLING, rollout=None, rejections=(replace(BAD, restore_to=None),)),
            id="a rejection with nothing to go back to leaves it admitted",
        ),
        pytest.param(
            record(DEV, V1, rejections=(BAD,)),
            FinishRollBack(WEB, DEV, replace(BAD, rolled_back_at=NOW), "", ""),
            record(DEV, V1, rejections=(replace(BAD, rolled_back_at=NOW),)),
            id="the end of a roll-back is noted in the rejection",
        ),
        pytest.param(
            record(DEV, V3, rollout=rollout(V3)),
            reject(),
            record(DEV, V3, rollout=rollout(V3), rejections=(replace(BAD, rolled_back_at=BEFORE),)),
            id="a rejection of what is admitted no more is known, and moves nothing",
        ),
        pytest.param(
            record(DEV, V2, proofs=(proof(V2), proof(V1))),
            Admit(WEB, DEV, V1, None, "", ""),
            record(DEV, V1, proofs=(proof(V1), proof(V2))),
            id="what is gone back to by a pin is the newest proof again",
        ),
        pytest.param(
            record(DEV, V1),
            Admit(WEB, DEV, V2, None, "", "", proof(V2)),
            record(DEV, V2, proofs=(proof(V2), proof(V1))),
            id="a proof that carries over comes with its admission",
        ),
        pytest.param(
            record(DEV, V3, proofs=(proof(V3), proof(V2), proof(V1))),
            reject(rejection(V3, rolled_back_at=None)),
            record(
                DEV,
                V1,
                proofs=(proof(V1), proof(V3), proof(V2)),
                rejections=(rejection(V3, rolled_back_at=None),),
            ),
            id="and so is what is gone back to by a rejection",
        ),
    ],
)
def test_an_action_changes_a_record(
    was: PromotionRecord | None, action: RecordAction, now: PromotionRecord
) -> None:
    assert replace(recorded(was, action), passed=()) == now


def test_a_proof_of_the_same_revision_takes_the_place_of_the_former() -> None:
    was = record(DEV, V1, proofs=(proof(V2), proof(V1, opens_gates=False)))
    now = recorded(was, Prove(WEB, DEV, proof(V1), "", ""))
    assert now.proofs == (proof(V1), proof(V2))


def test_a_proof_of_the_same_objects_takes_the_place_of_the_former() -> None:
    same, other = RenderDigest("sha256:same"), RenderDigest("sha256:other")
    of = (proof(V2, renders=other), proof(V1, renders=same), proof(V3))
    was = record(DEV, MANY[0], rollout=rollout(MANY[0]), proofs=of)
    now = recorded(was, Prove(WEB, DEV, proof(MANY[0], renders=same), "", ""))
    assert now.proofs == (proof(MANY[0], renders=same), proof(V2, renders=other), proof(V3))
    unknown = recorded(was, Prove(WEB, DEV, proof(MANY[0]), "", ""))
    assert unknown.proofs == (proof(MANY[0]), *was.proofs)


def test_only_so_many_proofs_are_kept_and_the_oldest_goes() -> None:
    of = tuple(proof(r) for r in MANY[:PROOFS_MAX])
    was = record(DEV, V1, rollout=rollout(V1), proofs=of)
    now = recorded(was, Prove(WEB, DEV, proof(V1), "", ""))
    assert now.proofs == (proof(V1), *was.proofs[: PROOFS_MAX - 1])


def kept(*made: Any) -> list[Revision]:
    """Returns which rejections are kept when another is made."""
    was = record(DEV, V1, rejections=made)
    return [r.revision for r in recorded(was, reject()).rejections]


def test_only_so_many_rejections_are_kept_and_the_oldest_that_git_has_goes() -> None:
    past = [rejection(r, rejected_at=LONG_AGO) for r in MANY[:REJECTIONS_KEPT]]
    assert kept(*past) == [V2, *MANY[: REJECTIONS_KEPT - 1]]


def test_all_that_fuses_count_are_kept() -> None:
    past = rejection(MANY[-1], rejected_at=LONG_AGO)
    young = [rejection(r) for r in MANY[: REJECTIONS_MAX - 1]]
    assert kept(*young, past) == [V2, *MANY[:-1]]


def test_all_that_git_does_not_have_yet_are_kept() -> None:
    past = rejection(MANY[0], rejected_at=LONG_AGO)
    owed = [replace(past, revision=r, revert=RevertProgress()) for r in MANY[1:]]
    assert kept(past, *owed) == [V2, *MANY[1:]]


def test_a_record_is_full_at_last_and_what_git_does_not_have_is_forgotten_last() -> None:
    young = [rejection(r) for r in MANY[:-1]]
    owed = rejection(MANY[-1], rejected_at=LONG_AGO, revert=RevertProgress())
    assert kept(*young, owed) == [V2, *MANY[:-2], MANY[-1]]


def test_when_git_has_none_the_oldest_goes() -> None:
    owed = [rejection(r, revert=RevertProgress()) for r in MANY]
    assert kept(*owed) == [V2, *MANY[:-1]]


def test_news_of_a_commit_is_noted_in_its_rejection_alone() -> None:
    other = rejection(V3, revert=RevertProgress())
    was = record(DEV, V1, rejections=(BAD, other))
    now = with_revert(was, other, COMMITTED)
    assert now.rejections == (BAD, replace(other, revert=COMMITTED))


def test_news_of_a_commit_for_a_forgotten_rejection_change_nothing() -> None:
    was = record(DEV, V1, rejections=(BAD,))
    assert with_revert(was, rejection(V3), COMMITTED) is was


def test_what_others_wrote_into_the_record_stays() -> None:
    was = replace(record(DEV, V1), epoch=7, holder="one", installation="x", version="12")
    now = recorded(was, reject())
    assert (now.epoch, now.holder, now.installation, now.version) == (7, "one", "x", "12")


PROVE_2 = Prove(WEB, DEV, proof(V2), "", "")


@pytest.mark.parametrize(
    ("was", "action", "passed"),
    [
        pytest.param((), PROVE_2, (V2,), id="what is proven has passed"),
        pytest.param((V1,), PROVE_2, (V2, V1), id="the newest first"),
        pytest.param((V1, V2), PROVE_2, (V2, V1), id="each once"),
        pytest.param(
            (V1,), Admit(WEB, DEV, V2, rollout(V2), "", ""), (V1,), id="not what was only admitted"
        ),
        pytest.param(
            (V1,),
            Admit(WEB, DEV, V2, None, "", "", proof(V2)),
            (V2, V1),
            id="what a proof carries over to",
        ),
    ],
)
def test_a_record_remembers_what_has_passed(
    was: tuple[Revision, ...], action: RecordAction, passed: tuple[Revision, ...]
) -> None:
    before = replace(ROLLING, passed=tuple(in_short(r.identity) for r in was))
    assert recorded(before, action).passed == tuple(in_short(r.identity) for r in passed)


def test_what_is_only_adopted_has_not_passed() -> None:
    assert recorded(None, Adopt(WEB, DEV, proof(V2, opens_gates=False), "", "")).passed == ()


def test_only_so_many_are_remembered() -> None:
    before = replace(ROLLING, passed=tuple(f"{n:016x}" for n in range(PASSED_MAX)))
    after = recorded(before, PROVE_2).passed
    assert len(after) == PASSED_MAX
    assert after[0] == in_short(V2.identity)
    assert after[1:] == before.passed[:-1]
