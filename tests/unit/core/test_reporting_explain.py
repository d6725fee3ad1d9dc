"""The document of `explain`: the sentence, what comes next and when, and every gate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.reporting import Document, explain
from reconciler.model.facts import Cell, FleetSummary
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.view import View
from tests.fakes.facts import (
    BLOWN_UNTIL,
    CRASHING,
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
    record,
    rollout,
)
from tests.fakes.views import seen

ROLLING = record(DEV, V2, rollout=rollout(V2))
SOAKING = cell(DEV, ROLLING, members={"dev-1": {"healthy_s": 20.0}})
STARTED = cell(
    DEV, ROLLING, members={"dev-1": {"health": STARTING, "healthy_s": 0.0, "waiting_s": 100.0}}
)
PROVEN = cell(DEV, record(DEV))
ASKED = cell(DEV, record(DEV), ask(V2))
WAITING = cell(STAGING, record(STAGING), ask(V2, STAGING))


def row(*cells: Cell) -> Document:
    """Returns what is explained of the last of some cells."""
    (found,) = explain(seen(*cells), WEB, cells[-1].environment)["environments"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("cells", "summary"),
    [
        pytest.param(
            (SOAKING,),
            "web in dev is Soaking: 2.0.0 is healthy on dev-1; 40 s of its soak are left",
            id="it soaks",
        ),
        pytest.param((PROVEN,), "web in dev is Proven: 1.0.0 is proven here", id="it is proven"),
        pytest.param(
            (PROVEN, WAITING),
            "web in staging is Waiting: 2.0.0 is not proven in dev",
            id="it waits",
        ),
        pytest.param(
            (ASKED,), "web in dev is Proven: every gate is open for 2.0.0", id="it is about to move"
        ),
    ],
)
def test_the_summary_is_one_sentence(cells: tuple[Cell, ...], summary: str) -> None:
    assert row(*cells)["summary"] == summary


@pytest.mark.parametrize(
    ("given", "document"),
    [
        pytest.param(
            SOAKING,
            {
                "action": "Hold",
                "reason": "WaitingForSoak",
                "message": "2.0.0 is healthy on dev-1; 40 s of its soak are left",
                "unblock": CHANGES[Reason.WAITING_FOR_SOAK],
                "next_check_at": "2026-01-01T12:00:40Z",
            },
            id="the end of its soak",
        ),
        pytest.param(
            STARTED,
            {
                "action": "Hold",
                "reason": "Progressing",
                "message": "2.0.0 on dev-1: 1 of 2 replicas are ready",
                "unblock": CHANGES[Reason.PROGRESSING],
                "next_check_at": "2026-01-01T12:08:20Z",
            },
            id="its deadline",
        ),
        pytest.param(
            PROVEN,
            {
                "action": "Hold",
                "reason": "Settled",
                "message": "1.0.0 is proven here",
                "unblock": CHANGES[Reason.SETTLED],
                "next_check_at": None,
            },
            id="no time at all",
        ),
        pytest.param(
            ASKED,
            {
                "action": "Admit",
                "reason": "GatesOpen",
                "message": "every gate is open for 2.0.0",
                "unblock": "",
                "next_check_at": None,
            },
            id="what is done now",
        ),
    ],
)
def test_what_comes_next_is(given: Cell, document: Document) -> None:
    assert row(given)["next"] == document


def test_where_nothing_is_planned_it_says_so() -> None:
    view = seen(PROVEN)
    idle: dict[str, Any] = {"services": {WEB: replace(view.services[WEB], actions=())}}
    (found,) = explain(replace(view, **idle), WEB, None)["environments"]
    assert found["summary"] == "web in dev is Proven: nothing is planned"
    assert found["next"] is None


def test_a_gate_says_its_state_its_reason_and_what_would_change_it() -> None:
    unread = cell(STAGING, record(STAGING), ask(V2, STAGING, quarantine=None))
    found = row(PROVEN, unread)
    assert (found["wanted"]["revision"], found["admitted"]["revision"]) == (V2.id, V1.id)
    assert (found["step"], found["phase"]) == (2, "Held")
    shut = [gate for gate in found["gates"] if gate["state"] != "open"]
    assert shut == [
        {
            "name": "NotQuarantined",
            "state": "unknown",
            "reason": "QuarantineUnreadable",
            "message": "quarantine/web.yaml could not be read",
            "unblock": "correct quarantine/web.yaml",
            "next_check_at": None,
        },
        {
            "name": "ProvenBefore",
            "state": "closed",
            "reason": "WaitingForProof",
            "message": "2.0.0 is not proven in dev",
            "unblock": "dev must run it healthy for its whole soak",
            "next_check_at": None,
        },
    ]
    opened = [gate for gate in found["gates"] if gate not in shut]
    assert {gate["reason"] for gate in opened} == {"Open"}
    assert [gate["name"] for gate in opened] == [
        "Approved",
        "BelowMaxRollouts",
        "ChecksPassed",
        "ClustersReachable",
        "DependsOn",
        "FuseIntact",
        "InWindow",
        "NoPlatformIncident",
        "NotFrozen",
        "NotHalted",
        "NotOvertaking",
        "NotPaused",
        "NotRejected",
        "ReturnTrip",
        "RollBackComplete",
        "StillSupported",
    ]


def next_checks(*cells: Cell, **fleet: Any) -> dict[str, str | None]:
    """Returns by gate that holds when time alone may open it, and of the whole as `next`."""
    view = seen(*cells, fleet=FleetSummary(**fleet))
    (found,) = explain(view, WEB, cells[-1].environment)["environments"]
    shut = {g["name"]: g["next_check_at"] for g in found["gates"] if g["state"] != "open"}
    assert all(g["next_check_at"] is None for g in found["gates"] if g["state"] == "open")
    return {**shut, "next": found["next"]["next_check_at"]}


SOON, AFTER_THE_HOUR = "2026-01-01T12:00:40Z", "2026-01-01T12:20:00Z"


@pytest.mark.parametrize(
    ("cells", "fleet", "told"),
    [
        pytest.param(
            (SOAKING, WAITING), {}, {"ProvenBefore": SOON, "next": SOON}, id="a soak before it"
        ),
        pytest.param(
            (STARTED, WAITING),
            {},
            {"ProvenBefore": None, "next": None},
            id="nothing while that has not begun",
        ),
        pytest.param(
            (SOAKING, WAITING),
            {"fuses_blown": {WEB: BLOWN_UNTIL}},
            {"ProvenBefore": SOON, "FuseIntact": AFTER_THE_HOUR, "next": SOON},
            id="each gate its own",
        ),
        pytest.param(
            (SOAKING, WAITING),
            {"fuses_blown": {WEB: BLOWN_UNTIL}, "keeps_time": False},
            {"ProvenBefore": None, "FuseIntact": AFTER_THE_HOUR, "next": None},
            id="to a command only what is written down",
        ),
        pytest.param(
            (replace(SOAKING, suspended=SUSPENDED),),
            {},
            {"next": "2026-01-01T13:00:00Z"},
            id="a suspension",
        ),
    ],
)
def test_the_times_that_are_told(
    cells: tuple[Cell, ...], fleet: dict[str, Any], told: dict[str, str | None]
) -> None:
    assert next_checks(*cells, **fleet) == told


FIXED = ask(V1, source="9f31c02")
FLOATS_AGAIN = (
    " Its pin stays at `source: 9f31c02` whatever becomes of services/web: delete that line in "
    "environments/dev/web.yaml to let it float again."
)


@pytest.mark.parametrize(
    ("given", "unblock"),
    [
        pytest.param(
            cell(DEV, record(DEV), FIXED), CHANGES[Reason.SETTLED] + FLOATS_AGAIN, id="at rest"
        ),
        pytest.param(
            cell(DEV, record(DEV), FIXED, members={"dev-1": {"health": CRASHING}}),
            CHANGES[Reason.FAILING_AFTER_PROOF] + FLOATS_AGAIN,
            id="it fails, and what would mend it does not come",
        ),
        pytest.param(
            cell(DEV, ROLLING, ask(V2, source="9f31c02"), members={"dev-1": {"healthy_s": 20.0}}),
            CHANGES[Reason.WAITING_FOR_SOAK],
            id="not while something else is waited for",
        ),
        pytest.param(PROVEN, CHANGES[Reason.SETTLED], id="not of a pin that floats"),
    ],
)
def test_a_pin_whose_source_is_written_out_says_how_it_floats_again(
    given: Cell, unblock: str
) -> None:
    found = row(given)
    assert found["next"]["unblock"] == unblock
    assert found["fixed_source"] == given.ask.source


def test_going_back_has_fewer_gates_and_nothing_wanted_has_none() -> None:
    back = row(cell(DEV, record(DEV, V2), ask(V1)))
    names = [gate["name"] for gate in back["gates"]]
    assert names == [
        "NotHalted",
        "NotQuarantined",
        "NotRejected",
        "RollBackComplete",
        "StillSupported",
    ]
    broken = ask(None, reason=Reason.INVALID_PIN, message="it is broken")
    nothing = row(cell(DEV, record(DEV), broken))
    assert (nothing["wanted"], nothing["gates"]) == (None, [])
    assert nothing["next"]["reason"] == "InvalidPin"


@pytest.mark.parametrize(
    ("service", "where", "environments"),
    [
        pytest.param("web", None, ["dev", "prod", "staging"], id="everywhere, by name"),
        pytest.param("web", "staging", ["staging"], id="one environment"),
        pytest.param("web", "nowhere", [], id="one that it does not have"),
        pytest.param("nobody", None, [], id="a service that nobody knows"),
    ],
)
def test_it_explains(service: str, where: str | None, environments: list[str]) -> None:
    asked = EnvironmentName(where) if where else None
    document = explain(line(), ServiceName(service), asked)
    assert document["service"] == service
    assert [one["environment"] for one in document["environments"]] == environments


def test_a_cluster_that_does_not_matter_there_is_no_error() -> None:
    view = line(unreachable={ClusterName("prod-1"): "refused", ClusterName("dev-1"): "refused"})
    for where, objects in ((PROD, ["cluster prod-1"]), (STAGING, [])):
        assert [one["object"] for one in explain(view, WEB, where)["errors"]] == objects
    late = line(late={ClusterName("prod-1"): "15 s were not enough"}, home=ClusterName("dev-1"))
    for where, objects in ((PROD, ["cluster prod-1"]), (STAGING, [])):
        assert [one["object"] for one in explain(late, WEB, where)["errors"]] == objects


def test_the_home_matters_everywhere() -> None:
    home = ClusterName("home-1")
    view = line(unreachable={home: "refused"}, home=home)
    for where in (PROD, STAGING):
        (error,) = explain(view, WEB, where)["errors"]
        assert error["object"] == "cluster home-1"


def line(**changes: Any) -> View:
    return seen(*(cell(e, record(e)) for e in (DEV, STAGING, PROD)), **changes)
