"""What was proven before and is gone back to is proven again, in every word, once the clusters have it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.phase import Phase, phase_of
from reconciler.model.actions import Hold
from reconciler.model.facts import Cell, Member, MemberHealth, Ordered
from reconciler.model.policy import DriftMode
from reconciler.model.reasons import Reason
from tests.fakes.facts import (
    AWAY,
    CRASHING,
    PROD,
    STARTING,
    STUCK,
    UNREAD,
    V1,
    V2,
    ask,
    cell,
    failing,
    planned,
    policy,
    proof,
    record,
    said,
)

BACK = record(PROD, V1, proofs=(proof(V1, PROD), proof(V2, PROD)))
"""A person has pinned version 1 again, after version 2 was proven."""

EVERYWHERE = {"prod-1": V2, "prod-2": V2, "prod-3": V2}


def going_back(**changes: Any) -> Cell:
    return cell(PROD, BACK, ask(V1, PROD), **changes)


def mixed(given: Cell, cluster: str) -> Cell:
    """Returns the cell with one cluster that was claimed for version 1 again and could not be given it yet."""

    def tried(member: Member) -> Member:
        assert member.record is not None
        claimed = replace(member.record, generation=member.record.generation + 1, healthy_s=5.0)
        return replace(
            member, record=claimed, healthy_s=0.0, order=Ordered(V1.id, 1.0, "HTTP 503", 0.5)
        )

    members = (tried(m) if m.cluster == cluster else m for m in given.members)
    return replace(given, members=tuple(members))


def after_a_restart(*, healthy_s: float) -> Cell:
    """Returns a cell whose clusters' records were listed, and nothing else was looked at."""

    def unseen(member: Member) -> Member:
        assert member.record is not None
        known = replace(member.record, healthy_s=healthy_s)
        return replace(member, record=known, healthy_s=0.0, health=MemberHealth(), synced=False)

    given = going_back()
    return replace(given, members=tuple(unseen(m) for m in given.members))


@pytest.mark.parametrize(
    ("given", "actions", "phase"),
    [
        pytest.param(
            going_back(on=EVERYWHERE),
            [f"Deliver prod-{n} 1.0.0" for n in (1, 2, 3)],
            Phase.ROLLING_OUT,
            id="it is ordered",
        ),
        pytest.param(
            going_back(members={"prod-2": {"health": STARTING, "healthy_s": 0.0}}),
            ["Hold Progressing"],
            Phase.ROLLING_OUT,
            id="it starts",
        ),
        pytest.param(
            going_back(members={"prod-2": {"health": STUCK, "healthy_s": 0, "waiting_s": 601.0}}),
            ["Hold ProgressDeadline"],
            Phase.UNKNOWN,
            id="it takes too long",
        ),
        pytest.param(
            going_back(on={"prod-3": V2}, members={"prod-3": AWAY}),
            ["Hold Settled"],
            Phase.PROVEN,
            id="a cluster that had the other one does not answer, which is told of it and not of each service",
        ),
        pytest.param(
            failing(going_back(), "prod-3", "Denied"),
            ["Deliver prod-3 1.0.0", "Hold Progressing"],
            Phase.ROLLING_OUT,
            id="a cluster does not take it",
        ),
        pytest.param(
            mixed(going_back(), "prod-3"),
            ["Deliver prod-3 1.0.0", "Hold Progressing"],
            Phase.ROLLING_OUT,
            id="a cluster is tried again after the other one was half applied, and its status is of before",
        ),
        pytest.param(
            going_back(members={"prod-2": {"health": CRASHING, "healthy_s": 0.0}}),
            ["Hold FailingAfterProof"],
            Phase.HELD,
            id="it fails",
        ),
        pytest.param(going_back(), ["Hold Settled"], Phase.PROVEN, id="it is there"),
        pytest.param(
            going_back(members={"prod-2": {"healthy_s": 0.0}}),
            ["Hold Settled"],
            Phase.PROVEN,
            id="it is there since this moment",
        ),
        pytest.param(
            going_back(members={"prod-2": {"health": STARTING, "healthy_s": 9.0}}),
            ["Hold Settled"],
            Phase.PROVEN,
            id="it was there, and a Pod is replaced",
        ),
        pytest.param(
            going_back(on={"prod-2": None}, members={"prod-2": AWAY}),
            ["Hold Settled"],
            Phase.PROVEN,
            id="a cluster that was never read says nothing",
        ),
        pytest.param(
            going_back(on={"prod-2": None}, members={"prod-2": UNREAD}),
            ["Hold Settled"],
            Phase.PROVEN,
            id="a cluster that answers and is being read says nothing yet",
        ),
        pytest.param(
            after_a_restart(healthy_s=5.0),
            ["Hold Settled"],
            Phase.PROVEN,
            id="it was there before this process, and is being read",
        ),
        pytest.param(
            after_a_restart(healthy_s=0.0),
            ["Hold ClusterUnknown"],
            Phase.UNKNOWN,
            id="it was given before this process, and nobody saw it healthy",
        ),
        pytest.param(
            going_back(members={"prod-2": AWAY, "prod-3": UNREAD}),
            ["Hold Settled"],
            Phase.PROVEN,
            id="it was there when the cluster was last read",
        ),
    ],
)
def test_a_pin_that_goes_back(given: Cell, actions: list[str], phase: Phase) -> None:
    found = planned(given)
    assert (said(found), phase_of(given, found)) == (actions, phase)


def test_one_that_does_not_come_back_in_time_pages() -> None:
    late = {"health": STARTING, "healthy_s": 0.0, "waiting_s": 601.0}
    (hold,) = planned(going_back(members={"prod-2": late}))
    assert isinstance(hold, Hold) and hold.reason is Reason.PROGRESS_DEADLINE and hold.page


def test_an_order_that_changes_no_more_than_the_record_moves_nothing() -> None:
    corrects = ask(V1, PROD, policy=policy(PROD, drift=DriftMode.CORRECT))
    given = going_back()
    given = cell(
        PROD, BACK, corrects, members={m.cluster: {"record": m.record} for m in given.members}
    )
    found = planned(given)
    assert said(found)[0].startswith("Deliver")
    assert phase_of(given, found) is Phase.PROVEN
