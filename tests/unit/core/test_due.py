"""When time alone may change what holds a cell or a gate; where nobody knows, there is no time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.core import gates
from reconciler.model.actions import Hold
from reconciler.model.facts import Cell, FleetSummary, Ordered
from reconciler.model.reasons import Reason
from tests.fakes.facts import (
    AWAY,
    BLOWN_UNTIL,
    DEV,
    PROD,
    STAGING,
    STARTING,
    SUSPENDED,
    V1,
    V2,
    WEB,
    ask,
    cell,
    planned,
    record,
    rollout,
    said,
    view,
)

BEFORE_PROD = (cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING, V2)))
NEW = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
DEV_HAS_2 = BEFORE_PROD[0]
WANTS_2 = cell(STAGING, record(STAGING), ask(V2, STAGING))


def prod(
    *, on: dict[str, Any] | None = None, members: dict[str, dict[str, Any]] | None = None
) -> Cell:
    """Returns prod in the middle of rolling version 2 out."""
    known = record(PROD, V2, rollout=rollout(V2, PROD))
    return cell(PROD, known, ask(V2, PROD), on=on or {}, members=members)


@pytest.mark.parametrize(
    ("members", "due_in_s"),
    [
        pytest.param({"prod-3": {"healthy_s": 20.0}}, 40.0, id="the end of the soak"),
        pytest.param(
            {"prod-2": {"healthy_s": 50.0}, "prod-3": {"healthy_s": 20.0}},
            40.0,
            id="of the last one that soaks",
        ),
        pytest.param(
            {
                "prod-1": {"healthy_s": 20.0},
                "prod-2": {"health": STARTING, "healthy_s": 30.0, "waiting_s": 500.0},
            },
            100.0,
            id="of one that is not well, before any that soaks",
        ),
        pytest.param(
            {"prod-3": {"health": STARTING, "waiting_s": 500.0}}, 100.0, id="the deadline"
        ),
        pytest.param({"prod-3": AWAY}, None, id="nothing, where time alone changes nothing"),
    ],
)
def test_a_hold_says_when_time_alone_changes_it(
    members: dict[str, Any], due_in_s: float | None
) -> None:
    (hold,) = planned(*BEFORE_PROD, prod(members=members))
    assert isinstance(hold, Hold)
    assert hold.due_in_s == due_in_s
    (asked,) = planned(*BEFORE_PROD, prod(members=members), fleet=FleetSummary(keeps_time=False))
    assert isinstance(asked, Hold)
    assert (asked.reason, asked.due_in_s) == (hold.reason, None), "who came later has not counted"
    assert " s of its soak" not in asked.message


def test_a_suspension_says_when_it_ends_whoever_asks() -> None:
    given = prod(on={"prod-2": V1}, members={"prod-2": {"suspended": SUSPENDED}})
    (hold,) = planned(*BEFORE_PROD, given, fleet=FleetSummary(keeps_time=False))
    assert isinstance(hold, Hold)
    assert (hold.message, hold.due_at) == (f"prod-2: {SUSPENDED.why}", SUSPENDED.until)


def test_an_order_that_could_not_be_carried_out_says_why_and_when_it_is_tried_again() -> None:
    refused = Ordered(V2.id, 3.0, "deployments: HTTP 403", 7.0)
    members = {"prod-1": {"order": refused}}
    given = prod(on={"prod-1": V1, "prod-2": V1, "prod-3": V1}, members=members)
    order, hold = planned(*BEFORE_PROD, given)
    assert said((order,)) == ["Deliver prod-1 2.0.0"]
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.due_in_s) == (Reason.PROGRESSING, 7.0)
    assert hold.message == "2.0.0 on prod-1: deployments: HTTP 403"
    trying = prod(
        on=NEW | {"prod-1": V1}, members={"prod-1": {"order": replace(refused, retry_in_s=0.0)}}
    )
    _, hold = planned(*BEFORE_PROD, trying)
    assert isinstance(hold, Hold) and hold.due_in_s is None, "it is being tried"


LATER = BLOWN_UNTIL + timedelta(minutes=9)
DEV_SOAKS = cell(DEV, record(DEV, V2, rollout=rollout(V2)), members={"dev-1": {"healthy_s": 20.0}})


@pytest.mark.parametrize(
    ("dev", "fleet", "due"),
    [
        pytest.param(DEV_SOAKS, {}, (40.0, None), id="the end of the soak before"),
        pytest.param(
            DEV_SOAKS, {"keeps_time": False}, (None, None), id="not by who has not counted it"
        ),
        pytest.param(cell(DEV, record(DEV)), {}, (None, None), id="nothing that runs there"),
        pytest.param(
            DEV_HAS_2,
            {"fuses_blown": {WEB: BLOWN_UNTIL}, "keeps_time": False},
            (None, BLOWN_UNTIL),
            id="the end of the hour",
        ),
        pytest.param(
            DEV_HAS_2, {"fleet_fuse_blown": LATER}, (None, LATER), id="that of the whole fleet"
        ),
        pytest.param(
            DEV_HAS_2,
            {"fuses_blown": {WEB: LATER}, "fleet_fuse_blown": BLOWN_UNTIL},
            (None, LATER),
            id="the later of both",
        ),
        pytest.param(DEV_HAS_2, {"halted": "x"}, (None, None), id="no time is known"),
    ],
)
def test_a_gate_that_holds_says_when_time_alone_may_open_it(
    dev: Cell, fleet: dict[str, Any], due: tuple[float | None, datetime | None]
) -> None:
    seen = view(dev, WANTS_2, fleet=FleetSummary(**fleet))
    (gate,) = gates.shut(gates.admission(seen, V2))
    assert (gate.due_in_s, gate.due_at) == due
    (hold,) = (a for a in planned(dev, WANTS_2, fleet=seen.fleet) if isinstance(a, Hold))
    assert (hold.due_in_s, hold.due_at) == due


def test_a_soak_that_is_over_and_not_written_down_is_no_time_to_wait_for() -> None:
    """The home refuses the proof, or dev is only observed: whatever ends that is an event."""
    over = record(DEV, V2, rollout=rollout(V2), proofs=())
    (hold,) = (a for a in planned(cell(DEV, over), WANTS_2) if isinstance(a, Hold))
    assert (hold.reason, hold.due_in_s) == (Reason.WAITING_FOR_PROOF, None)
