"""The gates that others hold over HTTP: a word is for one gate, one revision and a minute."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core import gates
from reconciler.core.outside import FRESH_S
from reconciler.core.phase import Phase, phase_of
from reconciler.model.actions import Gate
from reconciler.model.answers import NotKnown
from reconciler.model.outside import AskedGate, GateAnswer, GateWord, Outside, OutsideRules
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

BEFORE_PROD = (cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING, V2)))
BOARD = OutsideRules(http_gates=("board",))
OPEN, CLOSED, UNDECIDED = (
    GateAnswer(GateWord.OPEN),
    GateAnswer(GateWord.CLOSED, "no releases today"),
    GateAnswer(GateWord.UNKNOWN, "the board meets on Monday"),
)
AWAY = NotKnown("Unreachable", "gate board: cannot ask about web: no answer in time", 7.0)


def board(said: GateAnswer | NotKnown | None, **changes: Any) -> AskedGate:
    """Returns what the board said of version 2."""
    return AskedGate(**{"gate": "board", "revision": V2.id, "said": said, **changes})


def outside(*asked: AskedGate, rules: OutsideRules = BOARD) -> Outside:
    return Outside(rules, gates=asked)


def shut(what: Outside) -> tuple[Gate, ...]:
    wants = cell(PROD, record(PROD), ask(V2, PROD), outside=what)
    return gates.shut(gates.admission(view(*BEFORE_PROD, wants), V2))


@pytest.mark.parametrize(
    ("asked", "state", "reason", "told"),
    [
        pytest.param(board(CLOSED), "closed", Reason.GATE_CLOSED, "no releases today", id="no"),
        pytest.param(board(UNDECIDED), "unknown", Reason.GATE_UNKNOWN, "on Monday", id="undecided"),
        pytest.param(board(AWAY), "unknown", Reason.GATE_UNKNOWN, "no answer in time", id="away"),
        pytest.param(board(None), "unknown", Reason.GATE_UNKNOWN, "not answered", id="not yet"),
        pytest.param(
            board(OPEN, revision=V3.id),
            "unknown",
            Reason.GATE_UNKNOWN,
            "not answered",
            id="a word on another revision",
        ),
        pytest.param(
            board(OPEN, gate="other"),
            "unknown",
            Reason.GATE_UNKNOWN,
            "not answered",
            id="another gate's word",
        ),
        pytest.param(
            board(OPEN, age_s=FRESH_S + 1),
            "unknown",
            Reason.GATE_UNKNOWN,
            "is asked again",
            id="old",
        ),
        pytest.param(
            board(CLOSED, age_s=FRESH_S + 1),
            "closed",
            Reason.GATE_CLOSED,
            "no releases",
            id="old no",
        ),
        pytest.param(
            board(None, is_named=False),
            "closed",
            Reason.NOT_CONFIGURED,
            "name none such",
            id="none",
        ),
    ],
)
def test_a_gate_holds(asked: AskedGate, state: str, reason: Reason, told: str) -> None:
    (gate,) = shut(outside(asked))
    assert (gate.name, gate.state, gate.reason) == ("HttpGate/board", state, reason)
    assert told in gate.message and gate.unblock
    wants = cell(PROD, record(PROD), ask(V2, PROD), outside=outside(asked))
    actions = planned(*BEFORE_PROD, wants)
    assert said(actions) == [f"Hold {reason}"]
    waits = reason is Reason.GATE_CLOSED
    assert phase_of(wants, actions) is (Phase.WAITING if waits else Phase.HELD)


@pytest.mark.parametrize("age_s", [0.0, FRESH_S])
def test_a_gate_lets_in_the_revision_that_it_was_asked_about(age_s: float) -> None:
    assert not shut(outside(board(OPEN, age_s=age_s)))


def test_each_gate_that_the_policy_names_is_told_by_itself() -> None:
    rules = OutsideRules(http_gates=("board", "load", "sales"))
    found = shut(outside(board(OPEN), board(CLOSED, gate="load"), rules=rules))
    assert [(gate.name, gate.state) for gate in found] == [
        ("HttpGate/load", "closed"),
        ("HttpGate/sales", "unknown"),
    ]


def test_when_it_asked_us_to_come_back_is_told() -> None:
    (gate,) = shut(outside(board(AWAY)))
    assert gate.due_in_s == 7.0


def test_what_goes_back_asks_nobody_and_a_roll_out_is_not_asked_again_at_each_wave() -> None:
    no = outside(board(CLOSED))
    back = cell(PROD, record(PROD, V2), ask(V1, PROD), outside=no)
    assert said(planned(*BEFORE_PROD, back)) == ["Admit ProvenHere"]
    out = record(PROD, V2, rollout=rollout(V2, PROD))
    on = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
    going = cell(PROD, out, ask(V2, PROD), on=on, outside=no)
    assert "Deliver prod-2 2.0.0" in said(planned(*BEFORE_PROD, going))
