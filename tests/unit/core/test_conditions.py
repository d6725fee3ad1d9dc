"""The gates of conditions: true lets through, false holds, and whatever is neither is unknown."""

from __future__ import annotations

import pytest

from reconciler.core import gates
from reconciler.core.phase import Phase, phase_of
from reconciler.model.actions import Gate
from reconciler.model.answers import NotKnown
from reconciler.model.outside import AskedCondition, Condition, Outside, OutsideRules
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
QUIET = Condition("quiet", "now.getHours() > 20", "prod is changed at night")
SMALL = Condition("small", "values.replicas < 5", "five are too many")
BROKEN = NotKnown("ConditionUnknown", "it could not be evaluated: no such key")


def outside(*asked: AskedCondition) -> Outside:
    return Outside(OutsideRules(conditions=(QUIET, SMALL)), conditions=asked)


def came_to(name: str, said: object, revision: object = V2.id) -> AskedCondition:
    return AskedCondition(name, revision, said)  # type: ignore[arg-type]


def shut(what: Outside) -> tuple[Gate, ...]:
    wants = cell(PROD, record(PROD), ask(V2, PROD), outside=what)
    return gates.shut(gates.admission(view(*BEFORE_PROD, wants), V2))


SMALL_HOLDS = came_to("small", True)


@pytest.mark.parametrize(
    ("asked", "state", "reason", "told"),
    [
        pytest.param(
            came_to("quiet", False), "closed", Reason.CONDITION_NOT_MET, QUIET.message, id="false"
        ),
        pytest.param(
            came_to("quiet", BROKEN), "unknown", Reason.CONDITION_UNKNOWN, "no such key", id="error"
        ),
        pytest.param(
            came_to("quiet", None), "unknown", Reason.CONDITION_UNKNOWN, "not been", id="not yet"
        ),
        pytest.param(
            came_to("quiet", True, V3.id),
            "unknown",
            Reason.CONDITION_UNKNOWN,
            "not been",
            id="true of another revision",
        ),
        pytest.param(
            came_to("other", True),
            "unknown",
            Reason.CONDITION_UNKNOWN,
            "not been",
            id="another is true",
        ),
    ],
)
def test_a_condition_holds(asked: AskedCondition, state: str, reason: Reason, told: str) -> None:
    what = outside(asked, SMALL_HOLDS)
    (gate,) = shut(what)
    assert (gate.name, gate.state, gate.reason) == ("Condition/quiet", state, reason)
    assert told in gate.message and gate.unblock
    wants = cell(PROD, record(PROD), ask(V2, PROD), outside=what)
    actions = planned(*BEFORE_PROD, wants)
    assert said(actions) == [f"Hold {reason}"]
    assert phase_of(wants, actions) is Phase.HELD


def test_what_is_true_lets_through_and_each_is_told_by_itself() -> None:
    assert not shut(outside(came_to("quiet", True), SMALL_HOLDS))
    found = shut(outside(came_to("quiet", False), came_to("small", False)))
    assert [(gate.name, gate.message) for gate in found] == [
        ("Condition/quiet", QUIET.message),
        ("Condition/small", SMALL.message),
    ]


def test_what_goes_back_asks_for_nothing_and_a_roll_out_is_not_looked_at_again() -> None:
    no = outside(came_to("quiet", False))
    back = cell(PROD, record(PROD, V2), ask(V1, PROD), outside=no)
    assert said(planned(*BEFORE_PROD, back)) == ["Admit ProvenHere"]
    out = record(PROD, V2, rollout=rollout(V2, PROD))
    on = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
    going = cell(PROD, out, ask(V2, PROD), on=on, outside=no)
    assert "Deliver prod-2 2.0.0" in said(planned(*BEFORE_PROD, going))
