"""What was let in beside a release of another service goes back with it, and comes again only beside a newer one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.core.gates import admission
from reconciler.core.leaning import withdrawn
from reconciler.core.recording import recorded
from reconciler.model.actions import Admit
from reconciler.model.facts import FleetSummary, Support
from reconciler.model.names import ServiceName
from reconciler.model.records import LEANS_MAX, Beside, Lean, PromotionRecord, in_short
from tests.fakes.facts import (
    BEFORE,
    CRASHING,
    DEV,
    NOW,
    STAGING,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    planned,
    proof,
    record,
    rejection,
    rollout,
    said,
    states,
    view,
)
from tests.fakes.records import revision

API = ServiceName("api")
OLD, NEW = "0000000000000001", "0000000000000002"
LEANS = (Lean(in_short(V2.identity), (Beside(API, NEW),)),)
STANDS = (Support(API, NEW),)
TAKEN_BACK = (Support(API, OLD, frozenset({NEW})),)


def leaning(**changes: Any) -> PromotionRecord:
    """Returns the record of an environment on version 2, let in beside the newer release of api."""
    return record(DEV, V2, **{"leans": LEANS, **changes})


def test_it_goes_back_in_the_turn_in_which_the_other_does_and_not_before() -> None:
    stays = cell(DEV, leaning(), supports=STANDS)
    assert said(planned(stays)) == ["Hold Settled"]
    goes = cell(DEV, leaning(), supports=TAKEN_BACK)
    (action,) = planned(goes)
    assert isinstance(action, Admit) and action.rollout is None
    assert (action.revision, action.reason) == (V1, "DependencyRejected")


def test_it_goes_back_whatever_is_paused_and_out_of_a_roll_out_too() -> None:
    rolling = leaning(rollout=rollout(V2))
    paused = replace(ask(V2), paused=True)
    for known in (leaning(), rolling):
        (action,) = planned(cell(DEV, known, paused, supports=TAKEN_BACK))
        assert isinstance(action, Admit) and action.revision == V1


def test_a_failure_of_its_own_is_not_laid_to_it_then() -> None:
    known = leaning(rollout=rollout(V2))
    crashing = cell(DEV, known, members={"dev-1": {"health": CRASHING}}, supports=TAKEN_BACK)
    assert said(planned(crashing)) == ["Admit DependencyRejected"]
    alone = cell(DEV, known, members={"dev-1": {"health": CRASHING}}, supports=STANDS)
    assert said(planned(alone)) == ["Reject CrashLoopBackOff"]


def test_it_goes_to_what_stands_without_what_was_taken_back() -> None:
    leans = (*LEANS, Lean(in_short(V3.identity), (Beside(API, NEW),)))
    known = record(DEV, V3, leans=leans, proofs=tuple(map(proof, (V3, V2, V1))))
    (action,) = planned(cell(DEV, known, supports=TAKEN_BACK))
    assert isinstance(action, Admit) and action.revision == V1


def test_with_nothing_to_go_back_to_it_stays_and_a_person_hears_of_it() -> None:
    known = leaning(proofs=(proof(V2),))
    actions = planned(cell(DEV, known, supports=TAKEN_BACK))
    assert said(actions) == ["Hold DependencyRejected"] and actions[0].page  # type: ignore[union-attr]


def test_a_quarantine_that_cannot_be_read_holds_it_and_says_so() -> None:
    unread = replace(ask(V2), quarantine=None)
    actions = planned(cell(DEV, leaning(), unread, supports=TAKEN_BACK))
    assert said(actions) == ["Hold QuarantineUnreadable"] and actions[0].page  # type: ignore[union-attr]


def test_who_does_not_lead_leaves_it_to_who_does() -> None:
    halted = FleetSummary(halted="another daemon leads")
    assert said(planned(cell(DEV, leaning(), supports=TAKEN_BACK), fleet=halted)) == [
        "Hold Settled"
    ]


def test_it_is_not_let_in_again_there_or_later_while_nothing_newer_is_proven() -> None:
    back = replace(leaning(), admitted=V1)
    given = cell(DEV, back, ask(V2), supports=TAKEN_BACK)
    assert states(admission(view(given), V2)) == {"StillSupported": "closed DependencyRejected"}
    assert said(planned(given)) == ["Hold DependencyRejected"]
    later = cell(STAGING, record(STAGING), ask(V2, STAGING))
    assert states(admission(view(given, later), V2)) == {
        "StillSupported": "closed DependencyRejected"
    }
    again = cell(DEV, back, ask(V2), supports=(Support(API, "0000000000000003"),))
    assert states(admission(view(again), V2)) == {}


def test_what_leans_on_nothing_that_is_known_stays() -> None:
    assert said(planned(cell(DEV, record(DEV, V2), supports=TAKEN_BACK))) == ["Hold Settled"]


def test_a_release_is_withdrawn_once_it_was_left_and_until_something_newer_is_proven() -> None:
    bad = rejection(V2, rejected_at=BEFORE + timedelta(hours=1))
    left = record(DEV, V1, rejections=(bad,))
    assert withdrawn(cell(DEV, left)) == {in_short(V2.identity)}
    stays = replace(left, admitted=V2)
    assert withdrawn(cell(DEV, stays)) == frozenset(), "nothing was there to go back to"
    newer = replace(left, admitted=V3, proofs=(proof(V3, proven_at=NOW), proof(V1)))
    assert withdrawn(cell(DEV, newer)) == frozenset()
    assert withdrawn(cell(DEV, None)) == frozenset()


def test_what_leans_on_what_was_withdrawn_is_withdrawn_too() -> None:
    back = cell(DEV, replace(leaning(), admitted=V1), supports=TAKEN_BACK)
    assert withdrawn(back) == {in_short(V2.identity)}


def test_a_record_says_beside_what_each_of_few_releases_was_let_in() -> None:
    known = record(DEV, V1)
    for number in range(LEANS_MAX + 2):
        what = revision(f"{number}.0.0")
        action = Admit(
            WEB, DEV, what, rollout(what), "GatesOpen", "", beside=(Beside(API, str(number)),)
        )
        known = recorded(known, action)
    assert len(known.leans) == LEANS_MAX
    newest = known.leans[0]
    assert (newest.identity, newest.beside) == (in_short(what.identity), (Beside(API, "6"),))
    anew = recorded(known, replace(action, beside=(Beside(API, "9"),)))
    assert anew.leans == (replace(newest, beside=(Beside(API, "9"),)), *known.leans[1:])
    back = recorded(anew, Admit(WEB, DEV, V1, None, "ProvenHere", ""))
    assert back.leans == anew.leans
