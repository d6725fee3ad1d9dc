"""The gate of commit statuses: which word of which checks, on which commits, lets a revision in."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core import gates
from reconciler.core.outside import FRESH_S
from reconciler.core.phase import Phase, phase_of
from reconciler.model.actions import Gate
from reconciler.model.answers import NotKnown
from reconciler.model.forge import CommitStatus, Statuses, StatusState
from reconciler.model.names import CommitId
from reconciler.model.outside import CheckedCommit, CommitOrigin, Outside, OutsideRules
from reconciler.model.reasons import Reason
from tests.fakes.facts import (
    DEV,
    PROD,
    STAGING,
    V1,
    V2,
    V3,
    ask,
    cell,
    planned,
    record,
    rollout,
    said,
    view,
)

PIN, FILES = CommitId("1" * 40), CommitId("2" * 40)
BEFORE_PROD = (cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING, V2)))
UNIT = OutsideRules(commit_statuses=("unit",))


def says(commit: CommitId = PIN, age_s: float = 0.0, **states: str) -> CheckedCommit:
    """Returns what the forge said of a commit."""
    checks = tuple(CommitStatus(name, StatusState(state)) for name, state in states.items())
    return CheckedCommit(commit, Statuses(commit, checks), age_s)


def outside(*checked: CheckedCommit, **changes: Any) -> Outside:
    """Returns what is said of version 2, which comes from the commits that are given."""
    origin = CommitOrigin(V2.id, tuple(one.commit for one in checked))
    given: dict[str, Any] = {"rules": UNIT, "origins": (origin,), "checked": checked}
    return Outside(**{**given, "has_forge": True, **changes})


def gate_of(what: Outside) -> Gate:
    wants = cell(PROD, record(PROD), ask(V2, PROD), outside=what)
    found = gates.admission(view(*BEFORE_PROD, wants), V2)
    return next(gate for gate in found if gate.name == "ChecksPassed")


AWAY = NotKnown("Unreachable", "the forge does not answer", 7.0)
BOTH = OutsideRules(commit_statuses=("lint", "unit"))


@pytest.mark.parametrize(
    ("what", "state", "told"),
    [
        pytest.param(outside(says(unit="success")), "open", "", id="it has passed"),
        pytest.param(outside(says(unit="skipped")), "open", "", id="it was skipped"),
        pytest.param(outside(says(unit="failure")), "closed", "failed: unit", id="it has failed"),
        pytest.param(outside(says(unit="pending")), "closed", "not passed yet", id="it runs"),
        pytest.param(outside(says(other="success")), "closed", "not passed yet: unit", id="silent"),
        pytest.param(outside(says()), "closed", "not passed yet: unit", id="nobody has spoken"),
        pytest.param(outside(says(unit="unknown")), "unknown", "not known: unit", id="odd word"),
        pytest.param(
            outside(CheckedCommit(PIN, AWAY)), "unknown", "the forge does not answer", id="away"
        ),
        pytest.param(outside(CheckedCommit(PIN, None)), "unknown", "being asked", id="not yet"),
        pytest.param(
            outside(says(unit="success"), says(FILES, unit="failure")),
            "closed",
            "222222222222: failed",
            id="one of its commits has failed",
        ),
        pytest.param(
            outside(says(unit="success"), CheckedCommit(FILES, AWAY)),
            "unknown",
            "222222222222: the forge",
            id="one of its commits is not known",
        ),
        pytest.param(
            outside(CheckedCommit(PIN, AWAY), says(FILES, unit="failure")),
            "closed",
            "failed",
            id="a failure is told before what is not known",
        ),
        pytest.param(
            outside(says(unit="success", lint="pending"), rules=BOTH),
            "closed",
            "not passed yet: lint",
            id="one of two runs",
        ),
        pytest.param(
            outside(says(unit="success"), checked=()), "unknown", "being asked", id="no answer kept"
        ),
        pytest.param(
            outside(says(unit="success"), origins=()), "unknown", "is not known", id="no origin"
        ),
        pytest.param(
            outside(says(unit="success"), origins=(CommitOrigin(V3.id, (PIN,)),)),
            "unknown",
            "is not known",
            id="the origin of another revision",
        ),
        pytest.param(
            outside(says(unit="success"), origins=(CommitOrigin(V2.id, (FILES,)),)),
            "unknown",
            "being asked",
            id="the checks of another commit",
        ),
        pytest.param(
            outside(says(unit="success"), has_forge=False), "closed", "name no `forge`", id="none"
        ),
        pytest.param(outside(says(age_s=FRESH_S, unit="success")), "open", "", id="fresh enough"),
        pytest.param(
            outside(says(age_s=FRESH_S + 1, unit="success")), "unknown", "asked for again", id="old"
        ),
        pytest.param(
            outside(says(age_s=FRESH_S + 1, unit="failure")), "closed", "failed", id="old and bad"
        ),
        pytest.param(outside(rules=OutsideRules()), "open", "", id="the policy asks for none"),
    ],
)
def test_a_revision_is_let_in_by(what: Outside, state: str, told: str) -> None:
    gate = gate_of(what)
    assert (gate.state, bool(gate.message)) == (state, state != "open")
    assert told in gate.message and (state == "open" or gate.unblock)
    wants = cell(PROD, record(PROD), ask(V2, PROD), outside=what)
    admitted = "Admit GatesOpen" in said(planned(*BEFORE_PROD, wants))
    assert admitted is (state == "open")


@pytest.mark.parametrize(
    ("what", "reason", "phase"),
    [
        (outside(says(unit="pending")), Reason.WAITING_FOR_CHECKS, Phase.WAITING),
        (outside(CheckedCommit(PIN, AWAY)), Reason.CHECKS_UNKNOWN, Phase.HELD),
        (outside(has_forge=False), Reason.NOT_CONFIGURED, Phase.HELD),
    ],
)
def test_each_way_to_hold_has_its_reason(what: Outside, reason: Reason, phase: Phase) -> None:
    assert gate_of(what).reason is reason
    wants = cell(PROD, record(PROD), ask(V2, PROD), outside=what)
    assert said(planned(*BEFORE_PROD, wants)) == [f"Hold {reason}"]
    assert phase_of(wants, planned(*BEFORE_PROD, wants)) is phase


def test_when_the_forge_asked_us_to_come_back_is_told() -> None:
    assert gate_of(outside(CheckedCommit(PIN, AWAY))).due_in_s == 7.0


def test_what_goes_back_asks_nobody_and_a_roll_out_is_not_asked_again_at_each_wave() -> None:
    failed = outside(says(unit="failure"))
    back = cell(PROD, record(PROD, V2), ask(V1, PROD), outside=failed)
    assert said(planned(*BEFORE_PROD, back)) == ["Admit ProvenHere"]
    out = record(PROD, V2, rollout=rollout(V2, PROD))
    on = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
    going = cell(PROD, out, ask(V2, PROD), on=on, outside=failed)
    assert "Deliver prod-2 2.0.0" in said(planned(*BEFORE_PROD, going))
