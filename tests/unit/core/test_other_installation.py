"""What another installation has recorded is left alone, and said to be so; all else goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.phase import Phase, phase_of
from reconciler.core.reporting import status
from reconciler.model.actions import Hold
from reconciler.model.facts import Cell
from reconciler.model.reasons import Reason
from tests.fakes.facts import (
    DEV,
    NOW,
    PROD,
    STAGING,
    UNREAD,
    V1,
    V2,
    ask,
    cell,
    planned,
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
