"""When a pin is moved on by itself, what holds it, and what a person is told meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.pin_commits import branch_for, cell_of, commit_message, subject
from reconciler.model.actions import CommitPin
from reconciler.model.facts import FleetSummary
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.promotion import Asked, AskedState, Promotion
from reconciler.model.reasons import Reason
from tests.fakes.facts import (
    BLOWN_UNTIL,
    DEV,
    HEAD,
    PROD,
    STAGING,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    entry,
    planned,
    proof,
    record,
    rejection,
    said,
)

IN_DEV = cell(DEV, record(DEV, V3, proofs=(proof(V3), proof(V2), proof(V1))))
BAD = rejection(V3, STAGING)
MOVE = CommitPin(WEB, STAGING, V2, V1, HEAD, Promotion.AUTO, "ProvenBefore", "pin 2.0.0")


def moves(
    own: dict[str, Any] | None = None, fleet: FleetSummary | None = None, **asked: Any
) -> list[str]:
    """Returns what is planned for staging, which runs version 1 and could have version 3 or 2."""
    given = {"promote": Promotion.AUTO, "ahead": (V3, V2), **asked}
    here = cell(STAGING, record(STAGING, V1, **(own or {})), ask(V1, STAGING, **given))
    return said(planned(IN_DEV, here, fleet=fleet))


def test_the_next_is_pinned_and_nothing_else_is_held() -> None:
    assert moves() == ["CommitPin ProvenBefore", "Hold Settled"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"promote": Promotion.MANUAL}, ["Hold Settled"], id="people pin here"),
        pytest.param({"ahead": ()}, ["Hold Settled"], id="nothing is next"),
        pytest.param({"ahead": None}, ["Hold Settled"], id="it is not known what is next"),
        pytest.param({"paused": True}, ["Hold Paused"], id="the pin is paused"),
        pytest.param(
            {"quarantine": None}, ["Hold QuarantineUnreadable"], id="quarantine is not readable"
        ),
        pytest.param(
            {"ahead": (V3,), "quarantine": (entry(BAD),)}, ["Hold Settled"], id="it is quarantined"
        ),
    ],
)
def test_it_is_not_pinned_where(changes: dict[str, Any], expected: list[str]) -> None:
    assert moves(**changes) == expected


@pytest.mark.parametrize(
    ("fleet", "reason"),
    [
        pytest.param(
            FleetSummary(fleet_fuse_blown=BLOWN_UNTIL), "FuseBlown", id="the fleet's fuse"
        ),
        pytest.param(
            FleetSummary(fuses_blown={WEB: BLOWN_UNTIL}), "FuseBlown", id="the service's fuse"
        ),
        pytest.param(
            FleetSummary(platform_incident=frozenset({WEB})), "PlatformIncident", id="an incident"
        ),
        pytest.param(
            FleetSummary(halted="lost", halted_reason=Reason.NOT_LEADING), "NotLeading", id="a halt"
        ),
    ],
)
def test_it_is_not_pinned_during(fleet: FleetSummary, reason: str) -> None:
    assert moves(fleet=fleet) == [f"Hold {reason}"]


@pytest.mark.parametrize("in_git", [True, False])
def test_the_next_but_one_is_pinned_where_the_next_is_rejected_or_quarantined(in_git: bool) -> None:
    own: dict[str, Any] = {} if in_git else {"rejections": (BAD,)}
    entries = (entry(BAD),) if in_git else ()
    given = ask(V1, STAGING, promote=Promotion.AUTO, ahead=(V3, V2), quarantine=entries)
    here = cell(STAGING, record(STAGING, V1, **own), given)
    (move, *_) = planned(IN_DEV, here)
    assert isinstance(move, CommitPin)
    assert (move.revision, move.leaving, move.commit, move.floats) == (V2, V1, HEAD, True)


def test_what_is_proven_nowhere_before_is_not_pinned_whatever_history_says() -> None:
    here = cell(STAGING, record(STAGING, V1), ask(V1, STAGING, promote=Promotion.AUTO, ahead=(V2,)))
    unproven = cell(DEV, record(DEV, V1, proofs=(proof(V1),)))
    assert said(planned(unproven, here)) == ["Hold WaitingForProof"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (AskedState.OPEN, "PromotionAsked"),
        (AskedState.BRANCH, "PromotionAsked"),
        (AskedState.CLOSED, "PromotionClosed"),
        (AskedState.FAILED, "PinNotMoved"),
    ],
)
def test_what_became_of_it_is_what_holds_a_cell_at_rest(state: AskedState, reason: str) -> None:
    asked = Asked(V3.id, state, "merge it")
    given = ask(V1, STAGING, promote=Promotion.PULL_REQUEST, ahead=(V3, V2))
    here = cell(STAGING, record(STAGING, V1), given, asked=asked)
    assert said(planned(IN_DEV, here)) == ["CommitPin ProvenBefore", f"Hold {reason}"]
    # Of another release it says nothing.
    older = replace(here, asked=replace(asked, revision=V2.id))
    assert said(planned(IN_DEV, older)) == ["CommitPin ProvenBefore", "Hold Settled"]


# What is written.


def test_a_commit_says_of_each_pin_what_it_leaves_and_takes() -> None:
    other = replace(MOVE, service=ServiceName("api"), environment=PROD, revision=V3)
    text = commit_message([other, MOVE])
    assert text.startswith("Promote api to 3.0.0 in prod, web to 2.0.0 in staging\n\n")
    head, _, trailers = text.rpartition("\n\n")
    assert trailers.splitlines() == [
        "Reconciler-Action: promote",
        "Reconciler-Service: api",
        "Reconciler-Environments: prod",
        f"Reconciler-From: {V1.id}",
        f"Reconciler-To: {V3.id}",
        "Reconciler-Service: web",
        "Reconciler-Environments: staging",
        f"Reconciler-From: {V1.id}",
        f"Reconciler-To: {V2.id}",
        "Reconciler-Reason: ProvenBefore",
        "Reconciler-Evidence: api in prod: pin 2.0.0",
        "Reconciler-Evidence: web in staging: pin 2.0.0",
    ]
    assert "promote: auto" in head


def test_a_commit_of_many_pins_names_some_in_its_first_line() -> None:
    assert subject([MOVE] * 5).endswith(" and 2 more")
    assert "more" not in subject([MOVE] * 3)


def test_a_version_adds_no_trailers() -> None:
    release = replace(V2.release, version="2\nReconciler-Action: lift")
    text = commit_message([replace(MOVE, revision=replace(V2, release=release))])
    assert [line for line in text.splitlines() if line.startswith("Reconciler-Action")] == [
        "Reconciler-Action: promote"
    ]


def test_a_branch_is_named_by_what_it_asks_for_and_tells_whose_pin_it_is() -> None:
    one = branch_for(ServiceName("a-b"), EnvironmentName("c"), V2.release, floats=True)
    assert cell_of(one) == ("a-b", "c")
    others = [
        branch_for(ServiceName("a"), EnvironmentName("b-c"), V2.release, floats=True),
        branch_for(ServiceName("a-b"), EnvironmentName("c"), V3.release, floats=True),
        branch_for(ServiceName("a-b"), EnvironmentName("c"), V2.release, floats=False),
    ]
    assert len({one, *others}) == 4
    assert one == branch_for(ServiceName("a-b"), EnvironmentName("c"), V2.release, floats=True)
    for foreign in ("main", "reconciler/revert-web-0123456789ab", f"{one}0"):
        assert cell_of(foreign) is None
