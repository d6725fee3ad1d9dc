"""The document of `status`: what it says of a cell and of each of its clusters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.reporting import Document, status
from reconciler.model.facts import Cell, FleetSummary
from reconciler.model.names import ClusterName
from reconciler.model.reasons import Reason
from reconciler.model.records import RevertProgress
from tests.fakes.facts import (
    AWAY,
    BLOWN_UNTIL,
    CRASHING,
    DEV,
    NOW,
    PROD,
    STAGING,
    STARTING,
    SUSPENDED,
    UNREAD,
    V1,
    V2,
    V3,
    ask,
    cell,
    entry,
    policy,
    proof,
    record,
    rejection,
    rollout,
)
from tests.fakes.records import COMMIT
from tests.fakes.views import seen

OWED = rejection(V2, revert=RevertProgress(), rejected_at=NOW - timedelta(seconds=7))
RETURNING = replace(OWED, rolled_back_at=None)
GOING_BACK = record(DEV, rejections=(RETURNING,))
ROLLING = record(PROD, V2, rollout=rollout(V2, PROD, admitted_at=NOW - timedelta(seconds=30)))
IN_DEV = record(DEV, V2, rollout=rollout(V2))


def row(*cells: Cell, **changes: Any) -> Document:
    """Returns what is said of the last of some cells."""
    document = status(seen(*cells, **changes), NOW, branch="main")
    found: Document = {one["environment"]: one for one in document["cells"]}[cells[-1].environment]
    return found


PROVEN = cell(DEV, record(DEV))


@pytest.mark.parametrize(
    ("cells", "fleet", "phase", "reason"),
    [
        pytest.param((PROVEN,), None, "Proven", "Settled", id="proven"),
        pytest.param(
            (cell(DEV, record(DEV), suspended=SUSPENDED),),
            None,
            "Suspended",
            "Suspended",
            id="suspended",
        ),
        pytest.param(
            (cell(DEV, GOING_BACK, members={"dev-1": {"waiting_s": 1.0, "health": STARTING}}),),
            None,
            "RollingBack",
            "RollingBack",
            id="rolling back",
        ),
        pytest.param(
            (cell(DEV, record(DEV, rejections=(OWED,))),),
            None,
            "RevertPending",
            "Settled",
            id="owed to Git",
        ),
        pytest.param(
            (cell(DEV, record(DEV, rejections=(rejection(V2),)), ask(V2, quarantine=())),),
            None,
            "Rejected",
            "Rejected",
            id="rejected",
        ),
        pytest.param(
            (cell(DEV, IN_DEV, members={"dev-1": AWAY}),),
            None,
            "Unknown",
            "ClusterUnreachable",
            id="unknown",
        ),
        pytest.param(
            (cell(DEV, record(DEV), orphans=(ClusterName("old"),)),),
            None,
            "Orphaned",
            "Orphaned",
            id="orphaned",
        ),
        pytest.param(
            (cell(DEV, record(DEV), ask(V2, paused=True)),), None, "Paused", "Paused", id="paused"
        ),
        pytest.param(
            (
                cell(
                    DEV,
                    IN_DEV,
                    members={"dev-1": {"health": STARTING, "healthy_s": 0.0}},
                ),
            ),
            None,
            "RollingOut",
            "Progressing",
            id="rolling out",
        ),
        pytest.param(
            (cell(DEV, IN_DEV, members={"dev-1": {"healthy_s": 1.0}}),),
            None,
            "Soaking",
            "WaitingForSoak",
            id="soaking",
        ),
        pytest.param(
            (cell(DEV, record(DEV), ask(V2)),),
            FleetSummary(fleet_fuse_blown=BLOWN_UNTIL),
            "Held",
            "FuseBlown",
            id="held",
        ),
        pytest.param(
            (PROVEN, cell(STAGING, record(STAGING), ask(V2, STAGING))),
            None,
            "Waiting",
            "WaitingForProof",
            id="waiting",
        ),
    ],
)
def test_a_cell_says_its_phase_and_the_reason_of_its_plan(
    cells: tuple[Cell, ...], fleet: FleetSummary | None, phase: str, reason: str
) -> None:
    found = row(*cells, fleet=fleet)
    assert (found["phase"], found["reason"]) == (phase, reason)
    assert found["message"]


def test_a_cell_names_what_is_wanted_admitted_and_proven() -> None:
    known = record(STAGING, V2, proofs=(proof(V2, STAGING), proof(V1, STAGING)))
    found = row(cell(DEV, record(DEV)), cell(STAGING, known, ask(V3, STAGING)))
    assert (found["service"], found["environment"], found["step"]) == ("web", "staging", 2)
    assert found["wanted"] == {
        "version": "3.0.0",
        "identity": V3.identity,
        "revision": V3.id,
        "source": V3.release.source,
    }
    assert found["admitted"]["revision"] == found["last_proven"]["revision"] == V2.id
    nothing = row(cell(DEV, None, ask(None, reason=Reason.INVALID_PIN, message="it is broken")))
    assert (nothing["wanted"], nothing["admitted"], nothing["last_proven"]) == (None, None, None)


@pytest.mark.parametrize(
    ("given", "since"),
    [
        pytest.param(
            cell(PROD, ROLLING), "2026-01-01T11:59:30Z", id="its admission, while it rolls out"
        ),
        pytest.param(
            cell(DEV, GOING_BACK),
            "2026-01-01T11:59:53Z",
            id="its rejection, while it goes back",
        ),
        pytest.param(
            cell(DEV, record(DEV, rejections=(OWED,))),
            "2026-01-01T07:00:00Z",
            id="its proof, once it is back",
        ),
        pytest.param(cell(DEV, record(DEV)), "2026-01-01T07:00:00Z", id="its proof"),
        pytest.param(cell(DEV, record(DEV, V2, proofs=())), None, id="nothing was ever proven"),
        pytest.param(cell(DEV, None, ask(V1)), None, id="there is no record"),
    ],
)
def test_a_cell_is_as_it_is_since(given: Cell, since: str | None) -> None:
    assert row(given)["since"] == since


@pytest.mark.parametrize(
    ("given", "wave", "soak_left_s"),
    [
        pytest.param(
            cell(PROD, ROLLING, on=dict.fromkeys(("prod-1", "prod-2", "prod-3"), V1)),
            {"index": 1, "of": 2},
            None,
            id="admitted, and on no cluster yet",
        ),
        pytest.param(
            cell(
                PROD,
                ROLLING,
                on={"prod-2": V1, "prod-3": V1},
                members={"prod-1": {"healthy_s": 17.75}},
            ),
            {"index": 1, "of": 2},
            42.2,
            id="the first wave soaks",
        ),
        pytest.param(
            cell(PROD, ROLLING, on={"prod-2": V1, "prod-3": V1}),
            {"index": 2, "of": 2},
            0.0,
            id="the second is next",
        ),
        pytest.param(
            cell(
                PROD,
                ROLLING,
                ask(V2, PROD, policy=policy(PROD, soak_s=90.0)),
                on={"prod-2": V1, "prod-3": V1},
                members={"prod-1": {"healthy_s": 70.0}},
            ),
            {"index": 1, "of": 2},
            20.0,
            id="the policy has become stricter",
        ),
        pytest.param(
            cell(
                PROD,
                ROLLING,
                members={"prod-2": {"healthy_s": 59.0}, "prod-3": {"healthy_s": 20.0}},
            ),
            {"index": 2, "of": 2},
            40.0,
            id="the last of the second counts",
        ),
        pytest.param(cell(PROD, ROLLING), {"index": 2, "of": 2}, 0.0, id="every wave is done"),
        pytest.param(cell(PROD, record(PROD)), None, None, id="nothing rolls out"),
        pytest.param(cell(PROD, None, ask(V1)), None, None, id="there is no record"),
    ],
)
def test_a_roll_out_is_so_far(
    given: Cell, wave: Document | None, soak_left_s: float | None
) -> None:
    found = row(given)
    assert (found["wave"], found["soak_left_s"]) == (wave, soak_left_s)
    asked = row(given, fleet=FleetSummary(keeps_time=False))
    assert (asked["wave"], asked["soak_left_s"]) == (wave, None), "who came later has not counted"


def test_a_rejection_that_stands_is_told_until_it_is_lifted() -> None:
    bad = rejection(V2, STAGING, rejected_at=NOW - timedelta(seconds=7), rolled_back_at=NOW)
    known = record(STAGING, rejections=(bad, rejection(V3, STAGING)))
    assert row(cell(STAGING, known))["last_rejection"] == {
        "revision": {
            "version": "2.0.0",
            "identity": V2.identity,
            "revision": V2.id,
            "source": V2.release.source,
        },
        "failed_in": "staging",
        "reason": "CrashLoopBackOff",
        "message": "it ended twice",
        "rejected_at": "2026-01-01T11:59:53Z",
        "rolled_back_at": "2026-01-01T12:00:00Z",
        "commit": COMMIT,
    }
    owed = row(cell(DEV, GOING_BACK))["last_rejection"]
    assert (owed["rolled_back_at"], owed["commit"]) == (None, None)
    lifted = ask(V1, STAGING, lifted=(entry(bad, lifted="a false alarm"),))
    alone = record(STAGING, rejections=(bad,))
    assert row(cell(STAGING, alone, lifted))["last_rejection"] is None


@pytest.mark.parametrize(
    ("changes", "document"),
    [
        pytest.param(
            {},
            {"reachable": True, "health": "Current", "reason": "", "message": "", "drift": 0},
            id="well",
        ),
        pytest.param(
            {"health": CRASHING, "drift": 3},
            {
                "reachable": True,
                "health": "Failed",
                "reason": "CrashLoopBackOff",
                "message": "Pod web-1: it ended twice",
                "drift": 3,
            },
            id="failing, with drift",
        ),
        pytest.param(AWAY, {"reachable": False, "health": "Unknown"}, id="away"),
        pytest.param(UNREAD, {"reachable": True, "health": "Unknown"}, id="not read yet"),
        pytest.param({"record": None}, {"applied": None}, id="given nothing"),
    ],
)
def test_of_a_cluster_it_says(changes: dict[str, Any], document: Document) -> None:
    (found,) = row(cell(DEV, record(DEV), members={"dev-1": changes}))["clusters"]
    assert {key: found[key] for key in document} == document
    assert found["name"] == "dev-1"


def test_a_cluster_runs_what_it_has_applied_and_not_what_it_was_asked_for() -> None:
    given = cell(DEV, IN_DEV)
    (member,) = given.members
    assert member.record is not None
    assert row(given)["clusters"][0]["applied"]["revision"] == V2.id
    behind = replace(member, record=replace(member.record, applied=V1.id))
    assert row(replace(given, members=(behind,)))["clusters"][0]["applied"] is None
