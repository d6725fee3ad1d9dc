"""What could not be applied is told beside the order that tries it again, and holds nobody up whom it need not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.actions import Deliver, Hold
from reconciler.model.facts import Ask, Cell, FleetSummary, Ordered
from reconciler.model.reasons import Reason
from reconciler.model.records import RevertProgress
from reconciler.model.release import Revision
from tests.fakes.facts import (
    CLUSTERS,
    DEV,
    NOW,
    PROD,
    STAGING,
    STARTING,
    UNREAD,
    UNTOUCHED,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    failing,
    planned,
    policy,
    record,
    rejection,
    rollout,
    said,
)

DIFFERS = "AdoptionDiffers"
ROLLING_2 = record(PROD, V2, rollout=rollout(V2, PROD))
TOOK_LONG_S = 601.0
REFUSED = "ServiceRecord: HTTP 403"


def rolling(**rules: Any) -> Cell:
    now = rollout(V2, PROD, policy=policy(PROD, **rules))
    wanted = ask(V2, PROD, policy=policy(PROD, **rules))
    return cell(PROD, record(PROD, V2, rollout=now), wanted)


def late(given: Cell, cluster: str) -> Cell:
    members = (
        replace(m, waiting_s=TOOK_LONG_S) if m.cluster == cluster else m for m in given.members
    )
    return replace(given, members=tuple(members))


def paged(given: Cell) -> list[tuple[Reason, bool]]:
    return [(a.reason, a.page) for a in planned(given) if isinstance(a, Hold)]


@pytest.mark.parametrize(
    ("given", "actions", "page"),
    [
        (failing(rolling(), "prod-1", "FieldConflict"), "Progressing", False),
        (late(failing(rolling(), "prod-1", "FieldConflict"), "prod-1"), "ProgressDeadline", True),
        (failing(rolling(), "prod-1", DIFFERS, **UNTOUCHED), DIFFERS, True),
        (failing(rolling(), "prod-2", DIFFERS), DIFFERS, True),
    ],
)
def test_a_roll_out_says_what_it_waits_for(given: Cell, actions: str, page: bool) -> None:
    orders = [a for a in planned(given) if isinstance(a, Deliver)]
    assert len(orders) == 1, "it is tried again"
    assert paged(given) == [(Reason(actions), page)]


def test_a_refusal_of_what_was_asked_before_is_none_of_what_is_asked_now() -> None:
    given = failing(rolling(), "prod-2", DIFFERS, revision=V1)
    assert said(planned(given)) == ["Deliver prod-2 2.0.0"]


def test_a_quorum_does_without_one_that_cannot_be_given_it_in_time() -> None:
    given = late(failing(rolling(quorum=60), "prod-3", "FieldConflict"), "prod-3")
    assert said(planned(given)) == ["Deliver prod-3 2.0.0", "Prove Soaked"]


def test_a_blown_fuse_is_told_beside_a_cluster_that_is_held_by_others() -> None:
    given = asking(settled(DIFFERS), ask(V2, PROD))
    fleet = FleetSummary(fuses_blown={WEB: NOW})
    proven = record(DEV, V2), record(STAGING, V2)
    before = (cell(DEV, proven[0]), cell(STAGING, proven[1]))
    holds = [a for a in planned(*before, given, fleet=fleet) if isinstance(a, Hold)]
    assert [hold.reason for hold in holds] == [Reason.FUSE_BLOWN]


def asking(given: Cell, wanted: Ask) -> Cell:
    return replace(given, ask=wanted)


INVALID = replace(ask(None, PROD), reason=Reason.INVALID_PIN, message="the pin is broken")


def settled(reason: str, *, waiting_s: float = 0.0, **changes: Any) -> Cell:
    given = failing(cell(PROD, record(PROD)), "prod-3", reason, **changes)
    return late(given, "prod-3") if waiting_s else given


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        (settled("FieldConflict"), [(Reason.PROGRESSING, False)]),
        (settled("FieldConflict", waiting_s=TOOK_LONG_S), [(Reason.PROGRESS_DEADLINE, True)]),
        (settled(DIFFERS, **UNTOUCHED), [(Reason.ADOPTION_DIFFERS, True)]),
        # What keeps the next release away is no less told for it, and what pages goes first.
        (asking(settled("FieldConflict"), INVALID), [(Reason.INVALID_PIN, False)]),
        (asking(settled(DIFFERS), INVALID), [(Reason.ADOPTION_DIFFERS, True)]),
    ],
)
def test_what_is_proven_and_cannot_be_given_to_a_cluster_is_told(
    given: Cell, holds: list[tuple[Reason, bool]]
) -> None:
    assert said(planned(given))[0] == "Deliver prod-3 1.0.0"
    assert paged(given) == holds


def going_back(bad: Revision = V2) -> Cell:
    given = rejection(bad, PROD, rolled_back_at=None, revert=RevertProgress())
    return cell(PROD, record(PROD, V1, rejections=(given,)))


def test_a_way_back_waits_for_nobody_who_never_had_anything_of_ours() -> None:
    given = failing(going_back(), "prod-3", DIFFERS, **UNTOUCHED)
    assert said(planned(given)) == [
        "CommitRevert CrashLoopBackOff",
        "Deliver prod-3 1.0.0 back",
        "FinishRollBack RolledBack",
    ]


def test_a_way_back_does_not_wait_for_its_answer_either() -> None:
    given = failing(going_back(), "prod-3", DIFFERS, **UNTOUCHED, revision=V2)
    assert said(planned(given))[1:] == ["Deliver prod-3 1.0.0 back", "FinishRollBack RolledBack"]


@pytest.mark.parametrize("changes", [UNREAD, {"reachable": True, "synced": False}])
def test_what_was_said_of_one_that_is_not_known_now_says_nothing(changes: dict[str, Any]) -> None:
    given = failing(going_back(), "prod-3", DIFFERS, **UNTOUCHED)
    members = tuple(replace(m, **changes) if m.cluster == "prod-3" else m for m in given.members)
    assert said(planned(replace(given, members=members))) == ["Hold RollingBack"]


def test_what_was_said_before_the_order_says_nothing() -> None:
    given = failing(going_back(), "prod-3", DIFFERS, **UNTOUCHED, generation=2)
    assert said(planned(given)) == ["Deliver prod-3 1.0.0 back"]
    given = failing(rolling(), "prod-3", "FieldConflict", generation=2)
    assert said(planned(given)) == ["Deliver prod-3 2.0.0"]


def test_a_soak_hides_no_cluster_that_waits_for_a_person() -> None:
    given = failing(rolling(), "prod-3", DIFFERS)
    members = tuple(replace(m, healthy_s=1) if m.cluster == "prod-2" else m for m in given.members)
    assert paged(replace(given, members=members)) == [(Reason.ADOPTION_DIFFERS, True)]


def test_one_that_was_not_asked_yet_is_not_late() -> None:
    rules = policy(PROD, waves=(tuple(CLUSTERS[PROD]),), max_concurrent=1)
    now = record(PROD, V2, rollout=rollout(V2, PROD, policy=rules))
    members = {"prod-1": {"waiting_s": TOOK_LONG_S}}
    runs = {"prod-1": V1, "prod-3": V1}
    given = cell(PROD, now, ask(V2, PROD, policy=rules), on=runs, members=members)
    given = failing(given, "prod-2", "FieldConflict")
    assert not any(page for _, page in paged(given))


def test_a_lost_record_is_made_from_the_clusters_that_are_ours() -> None:
    known = failing(cell(PROD, record(PROD)), "prod-3", DIFFERS, **UNTOUCHED)
    assert said(planned(replace(known, record=None))) == ["Adopt Adopted"]
    known = failing(cell(PROD, record(PROD)), "prod-3", DIFFERS)
    assert said(planned(replace(known, record=None))) == ["Hold AdoptionDiffers"]


@pytest.mark.parametrize("reason", ["AdmissionDenied", DIFFERS])
def test_it_waits_for_one_that_had_ours_and_cannot_be_put_back_and_pages_in_time(
    reason: str,
) -> None:
    given = failing(going_back(), "prod-3", reason)
    assert said(planned(given)) == ["Deliver prod-3 1.0.0 back", "Hold RollingBack"]
    assert paged(given) == [(Reason.ROLLING_BACK, False)]
    assert paged(late(given, "prod-3")) == [(Reason.ROLLING_BACK, True)]


@pytest.mark.parametrize("overwrite", [True, False])
def test_an_order_says_what_the_pin_says_of_what_is_not_ours(overwrite: bool) -> None:
    wanted = ask(V1, PROD, adopt_overwrite=overwrite)
    (order,) = planned(cell(PROD, record(PROD), wanted, on={"prod-3": None}))
    assert isinstance(order, Deliver) and order.overwrite == overwrite


def retrying(given: Cell, cluster: str, what: Revision, *, waiting_s: float = 5.0) -> Cell:
    """Returns a cell where an order to a cluster is tried again, and nothing was written down of it."""
    refused = Ordered(what.id, waiting_s, REFUSED, 5.0)
    members = (replace(m, order=refused) if m.cluster == cluster else m for m in given.members)
    return replace(given, members=tuple(members))


@pytest.mark.parametrize(("waiting_s", "page"), [(5.0, False), (TOOK_LONG_S, True)])
def test_what_is_proven_and_is_tried_again_for_long_pages(waiting_s: float, page: bool) -> None:
    joined = cell(PROD, record(PROD), on={"prod-3": None})
    assert any(p for _, p in paged(retrying(joined, "prod-3", V1, waiting_s=waiting_s))) == page


@pytest.mark.parametrize(
    ("waiting_s", "reason"), [(5.0, Reason.PROGRESSING), (TOOK_LONG_S, Reason.PROGRESS_DEADLINE)]
)
def test_a_roll_out_says_why_an_order_is_not_carried_out_and_not_how_what_runs_is(
    waiting_s: float, reason: Reason
) -> None:
    given = cell(PROD, ROLLING_2, ask(V2, PROD), on=dict.fromkeys(CLUSTERS[PROD], V1))
    found = planned(retrying(given, "prod-1", V2, waiting_s=waiting_s))
    assert said(found) == ["Deliver prod-1 2.0.0", f"Hold {reason}"]
    (hold,) = (a for a in found if isinstance(a, Hold))
    assert REFUSED in hold.message and hold.page == (reason is Reason.PROGRESS_DEADLINE)


def test_a_way_back_says_why_an_order_is_not_carried_out_and_pages_in_time() -> None:
    given = cell(PROD, going_back().record, on={"prod-3": V2})
    for waiting_s, page in ((5.0, False), (TOOK_LONG_S, True)):
        (hold,) = (
            a
            for a in planned(retrying(given, "prod-3", V1, waiting_s=waiting_s))
            if isinstance(a, Hold)
        )
        assert REFUSED in hold.message and hold.page == page


def test_how_long_one_revision_was_asked_for_says_nothing_of_another() -> None:
    given = late(cell(PROD, ROLLING_2, ask(V2, PROD), on={"prod-3": V1}), "prod-3")
    assert not any(page for _, page in paged(retrying(given, "prod-3", V2)))


def test_a_quorum_does_without_one_whose_record_may_not_be_written() -> None:
    given = replace(rolling(quorum=60), members=cell(PROD, ROLLING_2, on={"prod-3": V1}).members)
    given = retrying(given, "prod-3", V2, waiting_s=TOOK_LONG_S)
    assert said(planned(given)) == ["Deliver prod-3 2.0.0", "Prove Soaked"]


def test_an_order_that_waits_for_what_nobody_wants_any_more_is_replaced() -> None:
    given = retrying(cell(PROD, record(PROD)), "prod-3", V2)
    assert said(planned(given))[0] == "Deliver prod-3 1.0.0"
    rules = rollout(V3, PROD, policy=policy(PROD))
    given = cell(PROD, record(PROD, V3, rollout=rules), ask(V3, PROD), on={"prod-3": V1})
    given = retrying(given, "prod-3", V2)
    assert "Deliver prod-3 3.0.0" in said(planned(given))


def test_what_is_tried_again_hides_nobody_whom_a_person_must_help() -> None:
    given = retrying(cell(PROD, ROLLING_2, ask(V2, PROD), on={"prod-2": V1}), "prod-2", V2)
    members = (
        replace(m, health=STARTING, healthy_s=0, waiting_s=TOOK_LONG_S)
        if m.cluster == "prod-3"
        else m
        for m in given.members
    )
    assert paged(replace(given, members=tuple(members))) == [(Reason.PROGRESS_DEADLINE, True)]


def test_a_pause_before_the_next_wave_hides_nobody_whom_a_person_must_help() -> None:
    rules = policy(PROD, waves=(("prod-1", "prod-2"), ("prod-3",)), max_concurrent=2)
    now = record(PROD, V2, rollout=rollout(V2, PROD, policy=rules))
    wanted = ask(V2, PROD, policy=rules, paused=True)
    given = failing(cell(PROD, now, wanted, on={"prod-2": V1, "prod-3": V1}), "prod-1", DIFFERS)
    assert paged(given) == [(Reason.ADOPTION_DIFFERS, True)]
