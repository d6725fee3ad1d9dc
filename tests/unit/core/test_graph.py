"""Environments that are not in a line: some side by side, some after several."""

from __future__ import annotations

import pytest

from reconciler.model.actions import Hold, Reject
from reconciler.model.path import Path, Step
from tests.fakes.facts import (
    CRASHING,
    DEV,
    PROD,
    STAGING,
    V1,
    V2,
    ask,
    cell,
    planned,
    proof,
    record,
    rejection,
    rollout,
    said,
)

SIDE_BY_SIDE = Path((Step(DEV), Step(STAGING, (DEV,)), Step(PROD, (DEV,))))
AFTER_BOTH = Path((Step(DEV), Step(STAGING), Step(PROD, (DEV, STAGING))))

HAS_IT = cell(DEV, record(DEV, V2, proofs=(proof(V2), proof(V1))))
"""Where version 2 is proven."""


def test_one_beside_another_does_not_wait_for_it() -> None:
    staging, prod = cell(STAGING, record(STAGING)), cell(PROD, record(PROD), ask(V2, PROD))
    assert said(planned(HAS_IT, staging, prod, path=SIDE_BY_SIDE)) == ["Admit GatesOpen"]
    assert said(planned(HAS_IT, staging, prod)) == ["Hold WaitingForProof"]


@pytest.mark.parametrize("late", [DEV, STAGING])
def test_one_after_several_waits_for_each(late: object) -> None:
    before = [
        cell(e, record(e, V2, proofs=(proof(V1, e),) if e == late else (proof(V2, e),)))
        for e in (DEV, STAGING)
    ]
    (held,) = planned(*before, cell(PROD, record(PROD), ask(V2, PROD)), path=AFTER_BOTH)
    assert isinstance(held, Hold)
    assert held.message == f"2.0.0 is not proven in {late}"


def test_what_fails_in_one_holds_there_and_after_it_and_not_beside_it() -> None:
    known = record(STAGING, V2, rollout=rollout(V2, STAGING))
    failing = cell(STAGING, known, members={"staging-1": {"health": CRASHING}})
    (action,) = planned(HAS_IT, failing, cell(PROD, record(PROD)), at=1, path=SIDE_BY_SIDE)
    assert isinstance(action, Reject)
    assert action.rejection.environments == (STAGING,)


def test_what_was_rejected_beside_it_goes_on() -> None:
    bad = rejection(V2, STAGING, environments=(STAGING,))
    staging = cell(STAGING, record(STAGING, V1, rejections=(bad,)))
    running = record(PROD, V2, rollout=rollout(V2, PROD))
    given = cell(PROD, running, ask(V2, PROD), on={"prod-2": V1, "prod-3": V1})
    assert said(planned(HAS_IT, staging, given, path=SIDE_BY_SIDE)) == [
        "Deliver prod-2 2.0.0",
        "Deliver prod-3 2.0.0",
    ]
