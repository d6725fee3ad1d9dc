"""What another installation has recorded is left alone, and said to be so; all else goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.holding import told
from reconciler.core.phase import Phase, phase_of
from reconciler.core.reporting import status
from reconciler.model.actions import Hold
from reconciler.model.facts import Cell
from reconciler.model.reasons import Reason
from tests.fakes.facts import (
    CLUSTERS,
    DEV,
    NOW,
    PROD,
    STAGING,
    STARTING,
    SUSPENDED,
    UNREAD,
    V1,
    V2,
    ask,
    cell,
    planned,
    policy,
    proof,
    record,
    rejection,
    rollout,
    said,
)
from tests.fakes.views import seen

BLUE: dict[str, Any] = {**UNREAD, "record": None, "other": "blue"}
BEFORE = (cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING, V2)))
ROLLING = record(PROD, V2, rollout=rollout(V2, PROD))
BACK = record(PROD, V1, rejections=(rejection(V2, PROD, rolled_back_at=None),))


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        pytest.param(
            replace(cell(PROD, None, ask(V2, PROD)), other="blue", record_known=False),
            ["Hold OtherInstallation"],
            id="its promotion record",
        ),
        pytest.param(
            cell(PROD, None, ask(V2, PROD), members={"prod-2": BLUE}),
            ["Hold OtherInstallation"],
            id="a cluster, before anything is adopted",
        ),
        pytest.param(
            cell(PROD, ROLLING, members={"prod-3": BLUE}),
            ["Hold OtherInstallation"],
            id="a cluster that a roll-out waits for",
        ),
        pytest.param(
            cell(PROD, record(PROD), ask(V2, PROD), members={"prod-1": BLUE}),
            ["Hold OtherInstallation"],
            id="a cluster of the first wave",
        ),
        pytest.param(
            cell(PROD, record(PROD), members={"prod-3": BLUE}),
            ["Hold OtherInstallation"],
            id="a cluster where all is at rest",
        ),
        pytest.param(
            cell(PROD, BACK, on={"prod-1": V2}, members={"prod-3": BLUE}),
            ["Deliver prod-1 1.0.0 back"],
            id="and the others are put back",
        ),
        pytest.param(
            cell(PROD, BACK, members={"prod-3": BLUE}),
            ["FinishRollBack RolledBack"],
            id="and nobody waits for it on the way back",
        ),
    ],
)
def test_what_is_anothers_is_held(given: Cell, actions: list[str]) -> None:
    found = planned(*BEFORE, given)
    assert said(found) == actions
    for hold in (action for action in found if isinstance(action, Hold)):
        assert "installation blue" in hold.message and hold.page
        assert phase_of(given, found) is Phase.HELD


def test_status_names_it_and_takes_it_for_no_record_that_could_not_be_read() -> None:
    given = replace(cell(DEV, None, ask(V1)), other="blue", record_known=False)
    document = status(seen(given), NOW, branch="main")
    (found,) = document["cells"]
    assert (found["reason"], found["phase"]) == (Reason.OTHER_INSTALLATION, "Held")
    assert document["errors"] == []


def test_what_another_installation_has_before_is_told_as_its_own() -> None:
    before = replace(cell(DEV, None, ask(V2)), other="blue", record_known=False)
    (hold,) = (
        a
        for a in planned(before, cell(STAGING, record(STAGING), ask(V2, STAGING)))
        if isinstance(a, Hold)
    )
    assert hold.reason is Reason.OTHER_INSTALLATION and "blue" in hold.message


PAUSED = ask(V2, PROD, paused=True)
ADOPTED = record(PROD, V1, proofs=(proof(V1, PROD, opens_gates=False),))
AWAY_BLUE = {**BLUE, "reachable": False, "away_s": 10_000.0}
QUORUM = policy(PROD, quorum=60, skip_after_s=600.0)


def everywhere(**changes: Any) -> dict[str, dict[str, Any]]:
    """Returns the same changes of every cluster."""
    return {name: changes for name in CLUSTERS[PROD]}


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        pytest.param(
            cell(PROD, record(PROD), PAUSED, members={"prod-3": BLUE}),
            ["Hold Paused", "Hold OtherInstallation"],
            id="a gate is closed",
        ),
        pytest.param(
            cell(PROD, ADOPTED, members={"prod-3": BLUE}),
            ["Hold OtherInstallation"],
            id="what was adopted is watched",
        ),
        pytest.param(
            cell(PROD, BACK, members={"prod-1": {"health": STARTING}, "prod-3": BLUE}),
            ["Hold RollingBack", "Hold OtherInstallation"],
            id="a way back takes its time",
        ),
        pytest.param(
            cell(PROD, ROLLING, PAUSED, on={"prod-2": V1}, members={"prod-3": BLUE}),
            ["Hold Paused", "Hold OtherInstallation"],
            id="the next wave is held",
        ),
    ],
)
def test_it_is_told_whatever_else_holds_the_cell(given: Cell, actions: list[str]) -> None:
    found = planned(*BEFORE, given)
    assert said(found) == actions
    first = told(found)
    assert isinstance(first, Hold) and first.page and "installation blue" in first.message


@pytest.mark.parametrize("others", [BLUE, AWAY_BLUE], ids=["it answers", "it does not answer"])
def test_no_quorum_does_without_it(others: dict[str, Any]) -> None:
    rolls = record(PROD, V2, rollout=rollout(V2, PROD, policy=QUORUM))
    given = cell(PROD, rolls, ask(V2, PROD, policy=QUORUM), members={"prod-3": others})
    assert said(planned(*BEFORE, given)) == ["Hold OtherInstallation"]
    away = {**UNREAD, "reachable": False, "away_s": 10_000.0}
    given = cell(PROD, rolls, ask(V2, PROD, policy=QUORUM), members={"prod-3": away})
    assert said(planned(*BEFORE, given)) == ["Prove Soaked"], "as it does without one that is ours"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (everywhere(**BLUE), "prod-1: its record belongs to the installation blue"),
        (everywhere(suspended=SUSPENDED), f"prod-1: {SUSPENDED.why}"),
        (everywhere(**UNREAD, reachable=False), "no cluster answers"),
    ],
    ids=["another's", "suspended", "away"],
)
def test_a_way_back_on_which_nobody_is_put_back_says_why(
    members: dict[str, dict[str, Any]], words: str
) -> None:
    (hold,) = (
        a for a in planned(*BEFORE, cell(PROD, BACK, members=members)) if isinstance(a, Hold)
    )
    assert hold.message == f"going back to 1.0.0; {words}" and hold.page
