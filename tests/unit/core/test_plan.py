"""The whole plan of a service: what comes before what, and what Git is owed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.plan import plan_service
from reconciler.model.actions import CommitRevert, Hold, Reject
from reconciler.model.facts import Cell, FleetSummary, Ordered
from reconciler.model.names import ClusterName
from reconciler.model.reasons import Reason
from reconciler.model.records import Rejection, RevertProgress
from tests.fakes.facts import (
    AWAY,
    BLOWN_UNTIL,
    CRASHING,
    DEV,
    NOW,
    PROD,
    STAGING,
    SUSPENDED,
    UNREAD,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    entry,
    in_line,
    planned,
    proof,
    record,
    rejection,
    rollout,
    said,
)

OWED = rejection(V2, PROD, rolled_back_at=None, revert=RevertProgress())
"""Rejected in prod a moment ago: not rolled back, and not in Git."""

DONE = replace(OWED, rolled_back_at=NOW)


def back(bad: Rejection = OWED, **members: Any) -> Cell:
    """Returns prod with version 1 admitted again; members by their number."""
    on = {n.replace("_", "-"): g.pop("on") for n, g in members.items() if "on" in g}
    changes = {n.replace("_", "-"): g for n, g in members.items()}
    known = record(PROD, V1, rejections=(bad,))
    return cell(PROD, known, ask(V1, PROD), on=on, members=changes)


@pytest.mark.parametrize(
    ("given", "owed"),
    [
        pytest.param(back, True, id="every cluster was given the one to go back to"),
        pytest.param(
            lambda: back(prod_3={"on": V2}), False, id="one cluster still has the bad one"
        ),
        pytest.param(
            lambda: back(prod_3={"on": V2, **AWAY}), True, id="the one that has it does not answer"
        ),
        pytest.param(
            lambda: back(prod_3={"on": V2, "suspended": SUSPENDED}),
            True,
            id="the one that has it is suspended",
        ),
        pytest.param(lambda: back(prod_3={**UNREAD}), False, id="one was not read yet"),
        pytest.param(
            lambda: back(prod_3={"order": Ordered(V2.id)}),
            False,
            id="one was not given the bad one yet, and an order of it waits there",
        ),
        pytest.param(
            lambda: back(prod_3={"order": Ordered(V1.id)}),
            True,
            id="for one only an order of the same one waits",
        ),
        pytest.param(
            lambda: back(prod_1=dict(AWAY), prod_2=dict(AWAY), prod_3=dict(AWAY)),
            False,
            id="nobody answers, so nobody is known to be back",
        ),
        pytest.param(
            lambda: back(DONE, prod_1=dict(AWAY), prod_2=dict(AWAY), prod_3=dict(AWAY)),
            True,
            id="they were back before they went away",
        ),
        pytest.param(
            lambda: back(replace(DONE, revert=RevertProgress(V1.release.source))),
            False,
            id="it is in Git already",
        ),
        pytest.param(
            lambda: back(replace(DONE, revert=RevertProgress(branch="reconciler/revert-web-1"))),
            True,
            id="it is on a branch for a person, and still owed",
        ),
        pytest.param(
            lambda: back(replace(DONE, environments=(DEV, STAGING, PROD))),
            False,
            id="another environment failed, which commits for all",
        ),
        pytest.param(
            lambda: back(replace(OWED, restore_to=None), prod_3={"on": V2}),
            True,
            id="there is nothing to go back to",
        ),
    ],
)
def test_a_commit_is_owed_once_the_clusters_are_back(given: Any, owed: bool) -> None:
    actions = planned(given())
    assert any(isinstance(action, CommitRevert) for action in actions) is owed


def test_a_commit_goes_before_what_is_planned_next_for_the_environment() -> None:
    assert said(planned(back(DONE))) == ["CommitRevert CrashLoopBackOff", "Hold Settled"]


def test_a_person_who_lifts_a_rejection_is_owed_no_commit() -> None:
    given = back(DONE)
    lifted = replace(given.ask, lifted=(entry(DONE, lifted="why"),))
    assert said(planned(replace(given, ask=lifted))) == ["Hold Settled"]


@pytest.mark.parametrize(
    ("fleet", "direct"),
    [
        ({}, True),
        ({"fuses_blown": {WEB: BLOWN_UNTIL}}, False),
        ({"fleet_fuse_blown": BLOWN_UNTIL}, False),
        ({"fuses_blown": {"api": BLOWN_UNTIL}}, True),
    ],
    ids=["a whole fuse", "its own fuse blown", "the fleet's fuse blown", "another's fuse blown"],
)
def test_with_a_blown_fuse_the_commit_goes_to_a_branch(fleet: dict[str, Any], direct: bool) -> None:
    (action, *_) = planned(back(DONE), fleet=FleetSummary(**fleet))
    assert isinstance(action, CommitRevert)
    assert action.direct is direct


def test_nothing_is_committed_while_nothing_may_move() -> None:
    fleet = FleetSummary(halted="the history was rewritten")
    assert said(planned(back(DONE), fleet=fleet)) == ["Hold Settled"]


@pytest.mark.parametrize(
    "given",
    [
        cell(PROD, record(PROD, V2, rollout=rollout(V2, PROD))),
        cell(PROD, record(PROD, V2), members={"prod-1": {"health": CRASHING}}),
        cell(PROD, None, ask(V1, PROD)),
    ],
    ids=["rolling out", "failing", "nothing known"],
)
def test_nothing_is_decided_without_the_record(given: Cell) -> None:
    (hold,) = planned(replace(given, record_known=False))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.HOME_UNREACHABLE, False)


def test_environments_are_planned_in_the_order_of_the_path() -> None:
    cells = (
        cell(DEV, record(DEV)),
        cell(STAGING, record(STAGING, V2)),
        cell(PROD, record(PROD), on={"prod-1": None}),
    )
    actions = plan_service(in_line(WEB, cells), FleetSummary(), NOW)
    assert [a.environment for a in actions] == [DEV, STAGING, PROD]


def test_a_service_without_environments_has_no_plan() -> None:
    assert plan_service(in_line(WEB, ()), FleetSummary(), NOW) == ()


# A rejection that was written to a cluster while the home was out of reach.

ELSEWHERE = rejection(V2, PROD, rolled_back_at=None, revert=RevertProgress())


def held_by_a_cluster(known: Any, **asked: Any) -> Cell:
    """Returns prod, whose third cluster holds a rejection of version 2."""
    given = cell(PROD, known, ask(V2, PROD, **asked))
    was = given.members[2].record
    assert was is not None
    third = replace(given.members[2], record=replace(was, rejection=ELSEWHERE))
    return replace(given, members=(*given.members[:2], third))


def test_it_is_brought_home_before_anything_else() -> None:
    known = record(PROD, V2, rollout=rollout(V2, PROD))
    (action,) = planned(held_by_a_cluster(known))
    assert isinstance(action, Reject)
    assert (action.reason, action.rejection) == ("BroughtHome", ELSEWHERE)


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        pytest.param({"rejections": (ELSEWHERE,)}, {}, id="the home has it"),
        pytest.param({}, {"quarantine": (entry(ELSEWHERE),)}, id="Git has it"),
        pytest.param(
            {}, {"lifted": (entry(ELSEWHERE, lifted="why"),)}, id="a person has lifted it"
        ),
    ],
)
def test_it_is_not_brought_home_again_when(known: dict[str, Any], asked: dict[str, Any]) -> None:
    given = held_by_a_cluster(record(PROD, V2, **known), **asked)
    assert "Reject BroughtHome" not in said(planned(given))


def test_a_cluster_lets_go_of_it_once_the_home_has_it() -> None:
    known = record(
        PROD,
        V3,
        rejections=(
            replace(ELSEWHERE, rolled_back_at=NOW, revert=RevertProgress(V1.release.source)),
        ),
    )
    given = replace(held_by_a_cluster(known), ask=ask(V3, PROD))
    assert said(planned(given)) == ["Deliver prod-3 3.0.0"]


# What stops all, and what is left over.


@pytest.mark.parametrize(
    "given",
    [back(prod_3={"on": V2}), cell(PROD, record(PROD, V2, rollout=rollout(V2, PROD)))],
    ids=["on its way back", "rolling out"],
)
def test_a_suspended_record_stops_even_a_way_back(given: Cell) -> None:
    (hold,) = planned(replace(given, suspended=SUSPENDED))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.message) == (Reason.SUSPENDED, SUSPENDED.why)


def test_a_cluster_that_fleet_yaml_does_not_name_any_more_is_told_of_and_left_alone() -> None:
    given = replace(
        cell(PROD, record(PROD)), orphans=(ClusterName("prod-8"), ClusterName("prod-9"))
    )
    (hold,) = planned(given)
    assert isinstance(hold, Hold)
    assert hold.reason is Reason.ORPHANED
    assert hold.message.startswith("prod-8, prod-9: ")


def test_a_cluster_that_is_left_over_holds_nothing_back() -> None:
    given = replace(cell(PROD, record(PROD), ask(V2, PROD)), orphans=(ClusterName("prod-9"),))
    assert said(planned(given)) == ["Admit GatesOpen"]
    pending = replace(
        cell(PROD, record(PROD), ask(V2, PROD, paused=True)), orphans=(ClusterName("prod-9"),)
    )
    assert said(planned(pending)) == ["Hold Paused"]


def test_what_is_taken_back_within_its_watch_is_given_to_no_further_cluster() -> None:
    watched = proof(V2, PROD, watch_until=NOW + timedelta(seconds=1))
    known = record(PROD, V2, proofs=(watched, proof(V1, PROD)))
    given = cell(PROD, known, on={"prod-3": V1}, members={"prod-1": {"health": CRASHING}})
    assert said(planned(given)) == ["Reject CrashLoopBackOff"]
