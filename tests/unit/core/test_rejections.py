"""What a rejection holds, where it goes back to, and how a person ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core import rejections
from reconciler.core.judging import Badness
from reconciler.model.actions import Reject
from reconciler.model.facts import Cell
from reconciler.model.reasons import Reason
from reconciler.model.records import EVIDENCE_MAX, MESSAGE_MAX, PromotionRecord, Rejection
from reconciler.model.release import Part, Revision, Values
from tests.fakes.facts import (
    BEFORE,
    CRASHING,
    DEV,
    HEAD,
    NOW,
    PROD,
    STAGING,
    V1,
    V2,
    V3,
    ask,
    cell,
    entry,
    proof,
    record,
    rejection,
    rollout,
    view,
)
from tests.fakes.records import revision

TREE = revision("1.0.0", tree="d" * 40)
VALUES = revision("1.0.0", values=Values.of({"replicas": 3}))
ANEW = revision("1.0.0", renderer="assembly/2")
TREE_AND_VALUES = revision("1.0.0", tree="d" * 40, values=Values.of({"replicas": 3}))


@pytest.mark.parametrize(
    ("bad", "against", "part"),
    [
        pytest.param(V2, V1, Part.IMAGES, id="other images"),
        pytest.param(TREE, V1, Part.TREE, id="the same images, another tree"),
        pytest.param(VALUES, V1, Part.VALUES, id="only other values"),
        pytest.param(TREE_AND_VALUES, V1, Part.TREE, id="a tree comes before values"),
        pytest.param(ANEW, V1, Part.RENDERER, id="only another renderer"),
        pytest.param(
            revision("1", image="v1.0.0", values=Values.of({"a": 1}), renderer="assembly/2"),
            V1,
            Part.VALUES,
            id="a renderer comes last",
        ),
        pytest.param(revision("2", tree="d" * 40), V1, Part.IMAGES, id="images come before all"),
        pytest.param(V1, None, Part.IMAGES, id="nothing is proven to compare with"),
    ],
)
def test_a_failure_is_laid_to_the_first_part_that_changed(
    bad: Revision, against: Revision | None, part: Part
) -> None:
    assert rejections.changed_part(bad, against) is part


@pytest.mark.parametrize(
    ("proofs", "rejected", "leaving", "target"),
    [
        pytest.param((V2, V1), (), V3, V2, id="to the newest that is proven"),
        pytest.param((V2, V1), (), V2, V1, id="not to what is being left"),
        pytest.param((V2, V1), (V2,), V3, V1, id="not to what is rejected"),
        pytest.param((V2, V1), (V2, V1), V3, None, id="nowhere when all are rejected"),
        pytest.param((), (), V1, None, id="nowhere when nothing is proven"),
        pytest.param((V2,), (), V2, None, id="nowhere when only what fails was proven"),
    ],
)
def test_the_way_back_leads(
    proofs: tuple[Revision, ...],
    rejected: tuple[Revision, ...],
    leaving: Revision,
    target: Revision | None,
) -> None:
    known = record(
        DEV,
        leaving,
        proofs=tuple(proof(p) for p in proofs),
        rejections=tuple(rejection(r) for r in rejected),
    )
    assert rejections.way_back(cell(DEV, known), leaving) == target


def test_a_lifted_rejection_may_be_gone_back_to() -> None:
    made = rejection(V2)
    known = record(DEV, V3, proofs=(proof(V2), proof(V1)), rejections=(made,))
    lifted = ask(V3, lifted=(entry(made, lifted="the node was broken"),))
    assert rejections.way_back(cell(DEV, known, lifted), V3) == V2


def test_without_a_record_there_is_no_way_back() -> None:
    assert rejections.way_back(cell(DEV, None, ask(V1)), V1) is None


@pytest.mark.parametrize(
    ("part", "repeated", "answer"),
    [
        pytest.param(Part.IMAGES, revision("2.0.0", tree="d" * 40), True, id="its images"),
        pytest.param(Part.IMAGES, V1, False, id="not its images"),
        pytest.param(Part.TREE, V1, True, id="its tree"),
        pytest.param(Part.TREE, TREE, False, id="not its tree"),
        pytest.param(Part.VALUES, V1, True, id="its values"),
        pytest.param(Part.VALUES, VALUES, False, id="not its values"),
        pytest.param(Part.RENDERER, V1, True, id="its renderer"),
        pytest.param(Part.RENDERER, ANEW, False, id="not its renderer"),
    ],
)
def test_a_revision_repeats_what_was_rejected(part: Part, repeated: Revision, answer: bool) -> None:
    made = rejection(V2, part=part, part_digest=V2.part(part))
    assert rejections.repeats(repeated, made) is answer
    assert rejections.repeats(repeated, entry(made)) is answer


@pytest.mark.parametrize(
    ("changes", "lifted"),
    [
        pytest.param({}, True, id="its own entry"),
        pytest.param({"part": Part.TREE}, False, id="an entry for another part"),
        pytest.param({"part_digest": V3.images_digest}, False, id="an entry for other images"),
        pytest.param({"rejected_at": "2026-01-01T06:00:00Z"}, False, id="an entry of another time"),
        pytest.param({"revision": V3.id}, True, id="its entry, whatever environment's revision"),
    ],
)
def test_a_rejection_is_lifted_by(changes: dict[str, Any], lifted: bool) -> None:
    made = rejection(V2)
    said = ask(V1, lifted=(entry(made, lifted="a reason", **changes),))
    assert rejections.is_lifted(made, said) is lifted
    assert (made in rejections.standing(record(DEV, rejections=(made,)), said)) is not lifted


def failing(environment: Any = STAGING, *, bad: Revision = V2, **changes: Any) -> Rejection:
    """Returns the rejection that is built when a revision fails in an environment."""
    known = record(environment, bad, rollout=rollout(bad, environment), **changes)
    before = (cell(DEV, record(DEV, bad)),) if environment is not DEV else ()
    after = (cell(PROD, record(PROD), ask(bad, PROD)),) if environment is not PROD else ()
    here = cell(environment, known)
    broken = replace(here.members[0], health=CRASHING)
    seen = view(*before, here, *after, at=len(before))
    return rejections.build(seen, bad, Badness(broken, "CrashLoopBackOff", "it ended", False))


def test_a_rejection_names_what_failed_where_and_what_to_go_back_to() -> None:
    made = failing()
    assert made.environments == (STAGING, PROD)
    assert (made.part, made.part_digest) == (Part.IMAGES, V2.images_digest)
    assert made.restore_to == V1
    assert made.evidence == CRASHING.evidence
    assert (made.first_failure_at, made.rejected_at) == (CRASHING.first_failure_at, NOW)
    assert (made.commit, made.cluster, made.rolled_back_at) == (HEAD, "staging-1", None)


def test_a_failure_of_values_holds_in_its_own_environment_alone() -> None:
    made = failing(bad=VALUES)
    assert (made.part, made.environments) == (Part.VALUES, (STAGING,))


def test_a_failure_of_the_renderer_leads_back_to_what_the_former_one_rendered() -> None:
    made = failing(bad=ANEW)
    assert (made.part, made.restore_to) == (Part.RENDERER, V1)
    assert made.environments == (STAGING, PROD)


def test_with_nothing_proven_the_images_are_rejected_and_nothing_is_gone_back_to() -> None:
    made = failing(proofs=())
    assert (made.part, made.restore_to) == (Part.IMAGES, None)


def test_after_a_proof_the_commit_is_the_releases_own() -> None:
    here = cell(DEV, record(DEV, V2))
    made = rejections.build(view(here), V2, Badness(here.members[0], "r", "m", False))
    assert made.commit == V2.release.source
    assert made.first_failure_at == NOW


def test_a_rejection_keeps_so_much_of_what_was_said_and_seen() -> None:
    seen = replace(CRASHING, evidence=CRASHING.evidence * (EVIDENCE_MAX + 1))
    here = cell(DEV, record(DEV, V2))
    told = replace(here.members[0], health=seen)
    made = rejections.build(view(here), V2, Badness(told, "r", "m" * (MESSAGE_MAX + 1), False))
    assert (len(made.message), len(made.evidence)) == (MESSAGE_MAX, EVIDENCE_MAX)


def taken(there: Cell, known: PromotionRecord) -> Reject | None:
    """Returns what staging makes of a rejection in dev."""
    assert known.admitted is not None
    return rejections.take_over(view(there, cell(STAGING, known)), known.admitted)


def test_what_is_rejected_before_goes_back_here_too_as_the_same_fact() -> None:
    made = rejection(V2)
    there = cell(DEV, record(DEV, V1, rejections=(made,)))
    action = taken(there, record(STAGING, V2))
    assert action is not None
    own = action.rejection
    assert own.environments == made.environments
    assert (own.restore_to, own.rolled_back_at, own.rejected_at) == (V1, None, BEFORE)
    assert rejections.is_lifted(own, ask(V1, lifted=(entry(made, lifted="why"),)))


def test_what_is_rejected_before_does_not_go_back_to_the_same_with_other_values() -> None:
    there = cell(DEV, record(DEV, V1, rejections=(rejection(V2),)))
    more = revision("2.0.0", values=Values.of({"replicas": 3}))
    proofs = tuple(proof(r, STAGING) for r in (more, V2, V1))
    action = taken(there, record(STAGING, more, proofs=proofs))
    assert action is not None
    assert action.rejection.restore_to == V1


def test_what_is_rejected_before_stays_where_nothing_else_is_proven() -> None:
    there = cell(DEV, record(DEV, V1, rejections=(rejection(V2),)))
    known = record(STAGING, V2, proofs=(proof(V2, STAGING),))
    assert taken(there, known) is None
    hold = rejections.held(view(there, cell(STAGING, known)), V2)
    assert hold is not None
    assert (hold.reason, hold.page) == (Reason.NOTHING_PROVEN, True)
    assert "rejected in dev" in hold.message


@pytest.mark.parametrize(
    ("made", "lifted"),
    [
        pytest.param(rejection(V3), (), id="something else was rejected"),
        pytest.param(rejection(V2, environments=(DEV,)), (), id="it holds only there"),
        pytest.param(rejection(V2), (entry(rejection(V2), lifted="why"),), id="it was lifted"),
    ],
)
def test_nothing_is_taken_over_when(made: Rejection, lifted: tuple[Any, ...]) -> None:
    there = cell(DEV, record(DEV, V1, rejections=(made,)), ask(V1, lifted=lifted))
    assert taken(there, record(STAGING, V2)) is None
    assert rejections.held(view(there, cell(STAGING, record(STAGING, V2))), V2) is None


def test_an_own_rejection_is_not_taken_over() -> None:
    known = record(DEV, V2, rejections=(rejection(V2, restore_to=None),))
    assert rejections.take_over(view(cell(DEV, known)), V2) is None
