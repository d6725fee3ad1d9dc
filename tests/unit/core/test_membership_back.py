"""Ways back where some clusters join or drain: who is waited for, who is told of, and what each goes back to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.judging import APPLY_REFUSED
from reconciler.model.actions import Hold
from reconciler.model.records import ApplyState
from reconciler.model.release import Values
from tests.fakes.facts import (
    AWAY,
    CRASHING,
    DEV,
    PROD,
    STAGING,
    STARTING,
    UNREAD,
    V1,
    V2,
    V3,
    cell,
    planned,
    proof,
    record,
    rejection,
    rollout,
    said,
)
from tests.fakes.records import revision
from tests.unit.core.test_membership import (
    ALL_DRAIN,
    BACK,
    DRAINS,
    JOINS,
    RETURNED,
    RETURNING,
    V4,
    prod,
    with_record,
)


def test_every_cluster_with_the_bad_release_goes_back_and_the_active_ones_are_waited_for() -> None:
    given = prod(RETURNING, on=dict.fromkeys(("prod-1", "prod-2", "prod-3"), V2), prod_2=DRAINS)
    assert said(planned(given)) == [f"Deliver prod-{n} 1.0.0 back" for n in (1, 2, 3)]
    slow = prod(RETURNING, on={"prod-2": V2}, prod_2=DRAINS)
    assert said(planned(slow)) == ["Deliver prod-2 1.0.0 back", "FinishRollBack RolledBack"]
    away = prod(RETURNING, on={"prod-2": V2}, prod_2=DRAINS | AWAY)
    assert said(planned(away)) == ["FinishRollBack RolledBack"]
    unread = prod(RETURNING, on={"prod-2": V2}, prod_2=JOINS | UNREAD)
    assert said(planned(unread)) == ["FinishRollBack RolledBack"]


def test_one_that_drains_with_something_else_stays_on_a_way_back() -> None:
    given = prod(RETURNING, on={"prod-3": V3}, prod_3=DRAINS)
    assert said(planned(given)) == ["FinishRollBack RolledBack"]


def test_after_the_way_back_one_that_drains_with_the_bad_release_is_put_back_all_the_same() -> None:
    given = prod(RETURNED, on={"prod-3": V2}, prod_3=DRAINS)
    assert said(planned(given)) == ["Deliver prod-3 1.0.0 back"]


@pytest.mark.parametrize(
    ("changes", "pages"),
    [
        pytest.param({"health": STARTING}, False, id="on its way"),
        pytest.param({"health": STARTING, "waiting_s": 700.0}, True, id="late"),
        pytest.param({"health": CRASHING}, True, id="failing"),
    ],
)
@pytest.mark.parametrize("state", [JOINS, DRAINS])
def test_a_way_back_that_nobody_waits_for_pages_when_it_does_not_heal(
    state: dict[str, Any], changes: dict[str, Any], pages: bool
) -> None:
    given = prod(RETURNED, prod_3=state | {"healthy_s": 0.0} | changes)
    given = with_record(given, "prod-3", returning=True, proven=False)
    hold = planned(given)[-1]
    assert isinstance(hold, Hold) and hold.page is pages
    if not (state is JOINS and changes["health"] is CRASHING):
        assert hold.reason == "RollingBack"


def test_once_it_is_well_it_counts_as_returning_no_more() -> None:
    given = with_record(prod(RETURNED, prod_3=DRAINS), "prod-3", returning=True)
    assert said(planned(given)) == ["Deliver prod-3 1.0.0"]


def test_whom_a_person_must_help_is_told_first() -> None:
    given = prod(
        RETURNED,
        prod_2=JOINS | {"health": STARTING, "healthy_s": 0.0},
        prod_3=DRAINS | {"health": STARTING, "healthy_s": 0.0, "waiting_s": 700.0},
    )
    hold = planned(with_record(given, "prod-3", returning=True, proven=False))[-1]
    assert isinstance(hold, Hold) and hold.page and "prod-3" in hold.message


BAD_BEFORE = rejection(V2, DEV)
"""Made in dev; its images may run nowhere."""
V2_AGAIN = revision("2.0.0", values=Values.of({"replicas": 2}))


def test_nobody_goes_back_to_what_was_rejected_before_here() -> None:
    """Two revisions of one bad release gave way to each other at every turn."""
    known = record(PROD, V3, proofs=(proof(V3, PROD), proof(V2_AGAIN, PROD), proof(V1, PROD)))
    before = (
        cell(DEV, record(DEV, V3, rejections=(BAD_BEFORE,))),
        cell(STAGING, record(STAGING, V3)),
    )
    given = prod(known, on={"prod-3": V2}, prod_3=DRAINS)
    assert said(planned(*before, given)) == ["Deliver prod-3 3.0.0 back"]
    given = prod(known, on={"prod-3": V2_AGAIN}, prod_3=DRAINS)
    assert said(planned(*before, given)) == ["Deliver prod-3 3.0.0 back"]
    rolls = replace(known, admitted=V4, rollout=rollout(V4, PROD, restore_to=V2_AGAIN))
    rolls = replace(rolls, proofs=known.proofs[1:])
    before = (
        cell(DEV, record(DEV, V4, rejections=(BAD_BEFORE,))),
        cell(STAGING, record(STAGING, V4)),
    )
    given = prod(rolls, on={"prod-3": None}, prod_3=JOINS)
    assert "Deliver prod-3 1.0.0" in said(planned(*before, given))


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(replace(RETURNED, rollout=None), id="settled"),
        pytest.param(
            record(
                PROD,
                V3,
                rollout=rollout(V3, PROD),
                rejections=RETURNED.rejections,
                proofs=(proof(V1, PROD),),
            ),
            id="something else rolls out",
        ),
    ],
)
def test_one_that_cannot_go_back_pages_whatever_its_environment_does(known: Any) -> None:
    late = {"health": STARTING, "healthy_s": 0.0, "waiting_s": 700.0}
    given = prod(known, on={"prod-3": V1}, prod_3=DRAINS | late)
    given = replace(
        given,
        members=tuple(
            replace(m, healthy_s=1.0) if m.cluster != "prod-3" else m for m in given.members
        ),
    )
    given = with_record(given, "prod-3", returning=True, proven=False)
    paged = [a for a in planned(given) if isinstance(a, Hold) and a.page]
    assert [hold.reason for hold in paged] == ["RollingBack"]
    early = tuple(replace(m, waiting_s=1.0) for m in given.members)
    refused = with_record(
        replace(given, members=early), "prod-3", state=ApplyState.FAILED, reason=APPLY_REFUSED
    )
    assert any(isinstance(a, Hold) and a.page for a in planned(refused))


def test_one_that_is_away_with_what_was_rejected_says_nothing() -> None:
    given = prod(RETURNED, on={"prod-3": V2}, prod_3=DRAINS | AWAY)
    assert said(planned(given)) == ["Hold Settled"]


def test_with_the_active_ones_away_those_that_drain_end_a_way_back() -> None:
    away = prod(RETURNING, prod_1=AWAY, prod_2=DRAINS, prod_3=DRAINS)
    assert said(planned(away)) == ["FinishRollBack RolledBack"]
    nobody = prod(RETURNING, prod_1=AWAY, prod_2=AWAY, prod_3=AWAY)
    (hold,) = planned(nobody)
    assert isinstance(hold, Hold) and "no cluster answers" in hold.message


def test_what_fails_on_a_joining_cluster_is_not_said_of_the_environment() -> None:
    failing = {"health": CRASHING, "healthy_s": 0.0}
    (hold,) = planned(prod(prod_1=JOINS | failing))
    assert isinstance(hold, Hold) and "a cluster that joins" in hold.message
    both = prod(prod_1=JOINS | failing, prod_2=failing)
    (hold,) = planned(both)
    assert isinstance(hold, Hold) and "prod-2" in hold.message and "joins" not in hold.message


def test_with_none_active_a_way_back_waits_for_those_that_go_back_alone() -> None:
    given = prod(RETURNING, on={"prod-1": V3, "prod-2": V2}, **ALL_DRAIN)
    assert said(planned(given)) == ["Deliver prod-2 1.0.0 back"]
    back = prod(RETURNING, on={"prod-1": V3}, **ALL_DRAIN)
    assert said(planned(back)) == ["FinishRollBack RolledBack"]
    unread = prod(RETURNING, **{**ALL_DRAIN, "prod_2": DRAINS | UNREAD})
    assert said(planned(unread)) == ["Hold RollingBack"]


def test_the_commit_waits_for_the_active_clusters() -> None:
    owed = rejection(V2, PROD, rolled_back_at=None, revert=replace(BACK.revert, commit=None))
    known = record(PROD, V1, rejections=(owed,))
    before = prod(known, on={"prod-1": V2}, prod_3=DRAINS)
    assert not any(a.startswith("CommitRevert") for a in said(planned(before)))
    after = prod(known, on={"prod-3": V2}, prod_3=DRAINS)
    assert said(planned(after))[0].startswith("CommitRevert")
