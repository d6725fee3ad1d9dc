"""When a soak is over if all stays as it is; where nobody knows, there is no time and no guess."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.soak_left import proof_left_s
from reconciler.model.facts import Cell
from reconciler.model.records import Origin
from reconciler.model.release import Revision
from tests.fakes.facts import (
    AWAY,
    DEV,
    PROD,
    STARTING,
    V1,
    V2,
    V3,
    ask,
    cell,
    policy,
    proof,
    record,
    rollout,
)


def prod(*, on: dict[str, Any] | None = None, rules: Any = None, **members: dict[str, Any]) -> Cell:
    """Returns prod in the middle of rolling version 2 out; clusters are named with `_`."""
    rules = rules or policy(PROD)
    wanted, rolling = ask(V2, PROD, policy=rules), rollout(V2, PROD, policy=rules)
    given = {name.replace("_", "-"): changes for name, changes in members.items()}
    return cell(PROD, record(PROD, V2, rollout=rolling), wanted, on=on or {}, members=given)


def adopted(**changes: Any) -> Cell:
    """Returns dev with an adopted version 2."""
    taken = proof(V2, origin=Origin.ADOPTED, opens_gates=False)
    return cell(DEV, record(DEV, V2, proofs=(taken,)), members={"dev-1": changes})


@pytest.mark.parametrize(
    ("given", "left_s"),
    [
        pytest.param(prod(prod_2={"healthy_s": 50.0}, prod_3={"healthy_s": 20.0}), 40.0, id="soak"),
        pytest.param(prod(), 0.0, id="every soak is over"),
        pytest.param(
            prod(prod_3={"healthy_s": 20.0}, rules=policy(PROD, wave_soak_s=90.0)),
            70.0,
            id="a wave may take longer than the proof",
        ),
        pytest.param(
            prod(prod_3={"healthy_s": 20.0}, rules=policy(PROD, wave_soak_s=5.0)),
            40.0,
            id="or less long",
        ),
        pytest.param(
            prod(on={"prod-2": V1, "prod-3": V1}, prod_1={"healthy_s": 20.0}),
            None,
            id="waves are still to come",
        ),
        pytest.param(
            prod(on={"prod-3": V1}, prod_2={"healthy_s": 20.0}), None, id="one has not begun"
        ),
        pytest.param(prod(prod_3={"health": STARTING}), None, id="one is not well"),
        pytest.param(prod(prod_3=AWAY), None, id="one does not answer"),
        pytest.param(
            prod(
                prod_2={"healthy_s": 20.0},
                prod_3={**AWAY, "away_s": 900.0},
                rules=policy(PROD, quorum=50, skip_after_s=300.0),
            ),
            40.0,
            id="one that nobody waits for",
        ),
        pytest.param(
            replace(prod(), members=prod().members[:2]), None, id="one is not meant any more"
        ),
        pytest.param(
            replace(
                prod(prod_3={"healthy_s": 20.0}),
                ask=ask(V3, PROD, policy=policy(PROD, soak_s=90.0)),
            ),
            70.0,
            id="a policy that has become stricter",
        ),
        pytest.param(adopted(healthy_s=20.0), 40.0, id="what was adopted"),
        pytest.param(adopted(healthy_s=20.0, health=STARTING), None, id="adopted, and not well"),
        pytest.param(
            replace(adopted(healthy_s=20.0), ask=ask(V2, policy=None)),
            None,
            id="adopted, and its soak is not known",
        ),
        pytest.param(cell(DEV, record(DEV, V1)), None, id="another runs"),
        pytest.param(cell(DEV, record(DEV, V2, proofs=())), None, id="it was stopped"),
        pytest.param(cell(DEV, None), None, id="nothing is admitted"),
    ],
)
def test_a_proof_of_what_runs_is_due_in(given: Cell, left_s: float | None) -> None:
    assert proof_left_s(given, V2) == left_s


def test_it_is_the_identity_that_is_waited_for() -> None:
    values: Revision = replace(V2, id=type(V2.id)("sha256:other-values"))
    assert proof_left_s(prod(prod_3={"healthy_s": 20.0}), values) == 40.0
