"""How many clusters change at once, and which of them a proof can do without."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.reach import reach
from reconciler.model.actions import Hold, Prove, Reject
from reconciler.model.facts import Cell, Ordered
from tests.fakes.facts import (
    CRASHING,
    DEV,
    PROD,
    STAGING,
    STARTING,
    V1,
    V2,
    ask,
    cell,
    planned,
    policy,
    proof,
    record,
    rollout,
    said,
)

BEFORE = tuple(cell(e, record(e, V2, proofs=(proof(V2, e), proof(V1, e)))) for e in (DEV, STAGING))
ALL = {"prod-1": V2, "prod-2": V2, "prod-3": V2}
ONE = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
LATE = {"health": STARTING, "waiting_s": 700.0}
SOAKING = {"healthy_s": 20.0}


def prod(on: dict[str, Any] = ALL, members: Any = None, **rules: Any) -> Cell:
    """Returns prod in the middle of a roll-out under other rules."""
    rolling = rollout(V2, PROD, policy=policy(PROD, **rules))
    wanted = ask(V2, PROD, policy=policy(PROD, **rules))
    return cell(PROD, record(PROD, V2, rollout=rolling), wanted, on=on, members=members)


def away(seconds: float) -> dict[str, Any]:
    return {"reachable": False, "away_s": seconds}


def test_no_more_change_at_once_than_may() -> None:
    assert said(planned(*BEFORE, prod(ONE, max_concurrent=1))) == ["Deliver prod-2 2.0.0"]
    two = {**ONE, "prod-2": V2}
    starting = {"prod-2": {"health": STARTING}}
    assert said(planned(*BEFORE, prod(two, starting, max_concurrent=1))) == ["Hold Progressing"]
    assert said(planned(*BEFORE, prod(two, starting, max_concurrent=2))) == ["Deliver prod-3 2.0.0"]
    assert said(planned(*BEFORE, prod(two, max_concurrent=1))) == ["Deliver prod-3 2.0.0"]


def test_one_that_does_not_answer_takes_nobodys_place() -> None:
    given = prod(ONE, {"prod-2": {"reachable": False}}, max_concurrent=1)
    assert said(planned(*BEFORE, given)) == ["Deliver prod-3 2.0.0"]


def test_one_that_the_quorum_does_without_takes_nobodys_place_and_is_asked_on() -> None:
    refused = {"prod-2": {"order": Ordered(V2.id, 700.0, "ServiceRecord: HTTP 403", 0.5)}}
    given = prod(ONE, refused, max_concurrent=1, quorum=60)
    assert said(planned(*BEFORE, given)) == ["Deliver prod-2 2.0.0", "Deliver prod-3 2.0.0"]


def test_one_that_answers_and_is_not_known_may_be_about_to_change() -> None:
    unknown = {"prod-2": {"synced": False}}
    assert said(planned(*BEFORE, prod(ONE, unknown, max_concurrent=1))) == ["Hold ClusterUnknown"]
    two = prod(ONE, unknown, max_concurrent=2)
    assert said(planned(*BEFORE, two)) == ["Deliver prod-3 2.0.0"]
    assert said(planned(*BEFORE, prod(ONE, unknown))) == ["Deliver prod-3 2.0.0"]


def test_one_that_does_not_come_up_keeps_its_place_among_those_that_change() -> None:
    two = {**ONE, "prod-2": V2}
    given = prod(two, {"prod-2": LATE}, max_concurrent=1)
    assert said(planned(*BEFORE, given)) == ["Hold ProgressDeadline"]


def test_the_next_wave_may_begin_before_all_that_a_proof_needs_has_soaked() -> None:
    soaking = {"prod-1": SOAKING}
    assert said(planned(*BEFORE, prod(ONE, soaking))) == ["Hold WaitingForSoak"]
    both = ["Deliver prod-2 2.0.0", "Deliver prod-3 2.0.0"]
    assert said(planned(*BEFORE, prod(ONE, soaking, wave_soak_s=10.0))) == both
    (held,) = planned(*BEFORE, prod(ALL, soaking, wave_soak_s=10.0))
    assert isinstance(held, Hold) and held.due_in_s == 40.0


@pytest.mark.parametrize(
    ("member", "rules", "expected"),
    [
        pytest.param(LATE, {}, "Hold ProgressDeadline", id="by default all are needed"),
        pytest.param(LATE, {"quorum": 67}, "Hold ProgressDeadline", id="a share is rounded up"),
        pytest.param(LATE, {"quorum": 66}, "Prove Soaked", id="late"),
        pytest.param({"health": STARTING}, {"quorum": 66}, "Hold Progressing", id="not late yet"),
        pytest.param(
            {**SOAKING, "waiting_s": 700.0}, {"quorum": 66}, "Hold WaitingForSoak", id="well"
        ),
        pytest.param(away(900), {"quorum": 66}, "Hold ClusterUnreachable", id="it is waited for"),
        pytest.param(
            away(900), {"quorum": 66, "skip_after_s": 600.0}, "Prove Soaked", id="it is skipped"
        ),
        pytest.param(
            away(60), {"quorum": 66, "skip_after_s": 600.0}, "Hold ClusterUnreachable", id="not yet"
        ),
        pytest.param(
            away(900), {"skip_after_s": 600.0}, "Hold ClusterUnreachable", id="but none is spare"
        ),
        pytest.param(
            {"health": CRASHING, "waiting_s": 700.0},
            {"quorum": 66},
            "Reject CrashLoopBackOff",
            id="bad",
        ),
    ],
)
def test_what_a_quorum_forgives(member: Any, rules: dict[str, Any], expected: str) -> None:
    assert said(planned(*BEFORE, prod(members={"prod-3": member}, **rules))) == [expected]


def test_the_proof_names_those_it_was_seen_on_alone() -> None:
    given = prod(members={"prod-3": away(900)}, quorum=66, skip_after_s=600.0)
    (proven,) = planned(*BEFORE, given)
    assert isinstance(proven, Prove)
    assert proven.proof.members == ("prod-1", "prod-2")
    assert "every cluster but prod-3" in proven.message


def test_two_are_not_done_without_where_one_may_be() -> None:
    gone = {"prod-2": away(900), "prod-3": away(900)}
    given = prod(members=gone, quorum=66, skip_after_s=600.0)
    assert said(planned(*BEFORE, given)) == ["Hold ClusterUnreachable"]


def test_the_first_wave_is_always_needed() -> None:
    given = prod(ONE, {"prod-1": LATE}, quorum=10)
    assert said(planned(*BEFORE, given)) == ["Hold ProgressDeadline"]


def test_a_skipped_cluster_that_is_back_is_waited_for_again() -> None:
    two = {**ONE, "prod-2": V2}
    given = prod(two, quorum=66, skip_after_s=600.0)
    assert said(planned(*BEFORE, given)) == ["Deliver prod-3 2.0.0"]
    starting = prod(members={"prod-3": {"health": STARTING}}, quorum=66, skip_after_s=600.0)
    assert said(planned(*BEFORE, starting)) == ["Hold Progressing"]


def test_a_quorum_that_became_stricter_counts_at_once() -> None:
    begun = prod(members={"prod-3": LATE}, quorum=66)
    stricter = cell(
        PROD, begun.record, ask(V2, PROD, policy=policy(PROD)), on=ALL, members={"prod-3": LATE}
    )
    assert said(planned(*BEFORE, stricter)) == ["Hold ProgressDeadline"]
    (bad,) = planned(*BEFORE, prod(members={"prod-2": {"health": CRASHING}}, quorum=10))
    assert isinstance(bad, Reject)


@pytest.mark.parametrize(("quorum", "wave"), [(100, 2), (66, 3)])
def test_the_wave_that_is_told_is_the_one_that_is_waited_for(quorum: int, wave: int) -> None:
    given = prod(
        {"prod-1": V2, "prod-2": V2, "prod-3": V1},
        {"prod-2": away(900)},
        waves=(("prod-1",), ("prod-2",), ("prod-3",)),
        quorum=quorum,
        skip_after_s=600.0,
    )
    assert given.record is not None and given.record.rollout is not None
    assert reach(given, given.record.rollout).wave == wave


def test_one_of_another_installation_takes_nobodys_place() -> None:
    others = {"synced": False, "record": None, "other": "blue"}
    given = prod(ONE, {"prod-2": others}, max_concurrent=1)
    assert said(planned(*BEFORE, given)) == ["Deliver prod-3 2.0.0"]
