"""The gate of what cannot come back, and what becomes of what was let through and is bad."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core import gates, rejections
from reconciler.core.recording import recorded
from reconciler.model.actions import Admit, Hold, Prove
from reconciler.model.facts import Ask, Cell
from reconciler.model.reasons import Reason
from reconciler.model.return_trip import Irreversible, OneWay, ReturnTrip
from tests.fakes.facts import (
    CRASHING,
    DEV,
    NOW,
    PROD,
    STAGING,
    V1,
    V2,
    V3,
    ask,
    cell,
    planned,
    policy,
    proof,
    record,
    rejection,
    rollout,
    said,
    view,
)

GROWS = OneWay("PersistentVolumeClaim/web/data", "it grows, and a volume cannot shrink again")
BACK = ReturnTrip(V2.id, V1.id)
ONE_WAY = replace(BACK, one_ways=(GROWS,))
REFUSE, ASK, ACCEPT = Irreversible


def asks(trip: ReturnTrip, rule: Irreversible = ASK, **changes: Any) -> Ask:
    """Returns a HEAD that asks for version 2, of which that is known."""
    return ask(V2, trips=(trip,), policy=policy(DEV, irreversible=rule), **changes)


@pytest.mark.parametrize(
    ("asked", "state"),
    [
        pytest.param(asks(BACK), "open", id="it can come back"),
        pytest.param(
            asks(ONE_WAY), f"closed {Reason.IRREVERSIBLE}", id="it cannot: a person is asked"
        ),
        pytest.param(asks(ONE_WAY, accepted=V2.id), "open", id="who has accepted it"),
        pytest.param(
            asks(ONE_WAY, accepted=V3.id), f"closed {Reason.IRREVERSIBLE}", id="of another revision"
        ),
        pytest.param(asks(ONE_WAY, REFUSE), f"closed {Reason.IRREVERSIBLE}", id="it is refused"),
        pytest.param(
            asks(ONE_WAY, REFUSE, accepted=V2.id),
            f"closed {Reason.IRREVERSIBLE}",
            id="whatever the pin says",
        ),
        pytest.param(asks(ONE_WAY, ACCEPT), "open", id="it is accepted"),
        pytest.param(
            asks(replace(BACK, unknown="why"), ACCEPT),
            f"unknown {Reason.RETURN_UNKNOWN}",
            id="nobody knows",
        ),
        pytest.param(
            asks(replace(BACK, unknown="why"), accepted=V2.id),
            "open",
            id="and a person has said so",
        ),
        pytest.param(
            asks(replace(BACK, unknown="why", is_rendering=True)),
            f"unknown {Reason.RENDERING}",
            id="it is being rendered",
        ),
        pytest.param(
            asks(ReturnTrip(V2.id, V3.id)),
            f"unknown {Reason.RENDERING}",
            id="to another it is known",
        ),
        pytest.param(
            asks(ReturnTrip(V3.id, V1.id)),
            f"unknown {Reason.RENDERING}",
            id="of another it is known",
        ),
    ],
)
def test_the_gate(asked: Ask, state: str) -> None:
    found = {
        gate.name: gate for gate in gates.admission(view(cell(DEV, record(DEV, V1), asked)), V2)
    }
    gate = found["ReturnTrip"]
    assert state in (gate.state, f"{gate.state} {gate.reason}")


def test_it_names_what_cannot_come_back_and_what_would_let_it_through() -> None:
    many = tuple(OneWay(f"Job/web/{n}", "it runs once") for n in "abcde")
    (hold,) = planned(cell(DEV, record(DEV, V1), asks(replace(BACK, one_ways=many))))
    assert isinstance(hold, Hold)
    assert hold.message == (
        "2.0.0 cannot come back: Job/web/a: it runs once; Job/web/b: it runs once; Job/web/c: it runs once; "
        "and 2 more"
    )
    assert "reconciler approve --irreversible web dev" in hold.gates[0].unblock
    (hold,) = planned(cell(DEV, record(DEV, V1), asks(ONE_WAY, REFUSE)))
    assert isinstance(hold, Hold) and "refuse" in hold.gates[0].unblock


def test_where_nothing_is_proven_there_is_nothing_to_come_back_to() -> None:
    first = cell(DEV, record(DEV, None, proofs=()), ask(V2))
    gate = next(g for g in gates.admission(view(first), V2) if g.name == "ReturnTrip")
    assert gate.state == "open"


@pytest.mark.parametrize(
    ("asked", "irreversible"),
    [
        pytest.param(asks(BACK), False, id="what can come back"),
        pytest.param(asks(ONE_WAY, accepted=V2.id), True, id="by a person's word"),
        pytest.param(asks(ONE_WAY, ACCEPT), True, id="by the policy"),
        pytest.param(
            asks(replace(BACK, unknown="why"), accepted=V2.id), True, id="what nobody knew"
        ),
    ],
)
def test_the_roll_out_remembers_it(asked: Ask, irreversible: bool) -> None:
    (admit,) = planned(cell(DEV, record(DEV, V1), asked))
    assert isinstance(admit, Admit) and admit.rollout is not None
    assert admit.rollout.irreversible is irreversible


OUT = record(DEV, V2, rollout=rollout(V2, irreversible=True))


def out(wanted: Ask | None = None, **health: Any) -> Cell:
    """Returns an environment where what cannot come back rolls out."""
    return cell(DEV, OUT, wanted or ask(V2), members={"dev-1": health} if health else {})


def test_bad_means_halt_and_page_and_nothing_goes_back() -> None:
    (hold,) = planned(out(health=CRASHING, healthy_s=0.0))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.CANNOT_GO_BACK, True)
    assert hold.message == (
        "2.0.0 fails: dev-1: Pod web-1: it ended twice, and it cannot come back; a person must act"
    )


def test_what_mends_it_is_let_through_and_cannot_come_back_either() -> None:
    (admit,) = planned(out(ask(V3), health=CRASHING, healthy_s=0.0))
    assert isinstance(admit, Admit) and admit.rollout is not None
    assert (admit.rollout.irreversible, admit.rollout.restore_to) == (True, None)


def test_a_person_may_still_go_back() -> None:
    assert said(planned(out(ask(V1), health=CRASHING))) == [f"Admit {Reason.PROVEN_HERE}"]


def test_what_an_environment_before_rejects_stays_where_it_cannot_come_back() -> None:
    dev = cell(DEV, record(DEV, V1, rejections=(rejection(V2),)))
    known = record(STAGING, V2, rollout=rollout(V2, STAGING, irreversible=True))
    (hold,) = planned(dev, cell(STAGING, known))
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.CANNOT_GO_BACK, True)
    # What can come back does.
    known = record(STAGING, V2, rollout=rollout(V2, STAGING))
    assert said(planned(dev, cell(STAGING, known))) == ["Reject RejectedBefore"]


def test_once_proven_nothing_goes_back_past_it() -> None:
    (prove,) = planned(out())
    assert isinstance(prove, Prove) and prove.proof.irreversible
    now = recorded(OUT, prove)
    assert rejections.ways_back(cell(DEV, now)) == (V2,)
    watched = replace(prove.proof, watch_until=NOW + timedelta(minutes=5))
    known = replace(now, proofs=(watched, *now.proofs[1:]))
    failing = cell(DEV, known, members={"dev-1": {"health": CRASHING}})
    (hold,) = planned(failing)
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.page) == (Reason.FAILING_AFTER_PROOF, True)
    # What comes after it goes back to it, and not to what was before.
    later = record(DEV, V3, proofs=(proof(V3), replace(proof(V2), irreversible=True), proof(V1)))
    assert rejections.ways_back(cell(DEV, later)) == (V3, V2)
    assert rejections.way_back(cell(DEV, later), V3) == V2


def test_prod_is_held_to_its_own_way_back() -> None:
    before = (cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING, V2)))
    here = cell(PROD, record(PROD, V1), ask(V2, PROD, trips=(ONE_WAY,)))
    assert said(planned(*before, here)) == [f"Hold {Reason.IRREVERSIBLE}"]
