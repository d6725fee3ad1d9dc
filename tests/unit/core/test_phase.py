"""The one word for a cell: the first that holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.phase import Phase, owed_revert, phase_of
from reconciler.model.actions import Action, Gate, GateState, Hold
from reconciler.model.facts import Cell
from reconciler.model.reasons import Reason
from reconciler.model.records import RevertProgress
from tests.fakes.facts import (
    DEV,
    PROD,
    STAGING,
    SUSPENDED,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    entry,
    planned,
    record,
    rejection,
    rollout,
)

OWED = rejection(V2, revert=RevertProgress())
RETURNING = cell(DEV, record(DEV, rejections=(replace(OWED, rolled_back_at=None),)))
PENDING = cell(DEV, record(DEV, rejections=(OWED,)))
SETTLED = cell(DEV, record(DEV))


PAUSED = cell(DEV, record(DEV), ask(V1, paused=True))
ROLLING = record(DEV, V2, rollout=rollout(V2))
FAILED = rejection(V2)


def held(reason: Reason, *behind: Reason) -> tuple[Action, ...]:
    """Returns a plan that holds for a reason, with the reasons of the closed gates behind it."""
    shut = tuple(Gate(why, GateState.CLOSED, why, "") for why in behind)
    return (Hold(WEB, DEV, reason, "because", shut),)


@pytest.mark.parametrize(
    ("given", "actions", "phase"),
    [
        pytest.param(
            replace(RETURNING, members=(replace(RETURNING.members[0], suspended=SUSPENDED),)),
            held(Reason.ROLLING_BACK),
            Phase.SUSPENDED,
            id="a suspended cluster comes before all",
        ),
        pytest.param(
            RETURNING,
            held(Reason.HOME_UNREACHABLE),
            Phase.ROLLING_BACK,
            id="a way back comes before reasons",
        ),
        pytest.param(
            PENDING,
            held(Reason.SETTLED),
            Phase.REVERT_PENDING,
            id="what Git is owed comes before reasons",
        ),
        pytest.param(SETTLED, held(Reason.REJECTED), Phase.REJECTED, id="rejected"),
        pytest.param(SETTLED, held(Reason.QUARANTINED), Phase.REJECTED, id="quarantined"),
        pytest.param(SETTLED, held(Reason.NOTHING_PROVEN), Phase.REJECTED, id="nothing proven"),
        pytest.param(SETTLED, held(Reason.HOME_UNREACHABLE), Phase.UNKNOWN, id="home unreachable"),
        pytest.param(SETTLED, held(Reason.GIT_UNKNOWN), Phase.UNKNOWN, id="Git unknown"),
        pytest.param(SETTLED, held(Reason.CLUSTER_UNKNOWN), Phase.UNKNOWN, id="cluster unknown"),
        pytest.param(SETTLED, held(Reason.CLUSTER_UNREACHABLE), Phase.UNKNOWN, id="cluster away"),
        pytest.param(SETTLED, held(Reason.PROGRESS_DEADLINE), Phase.UNKNOWN, id="late"),
        pytest.param(SETTLED, held(Reason.ORPHANED), Phase.ORPHANED, id="orphaned"),
        pytest.param(PAUSED, held(Reason.PAUSED), Phase.PAUSED, id="paused"),
        pytest.param(SETTLED, held(Reason.PROGRESSING), Phase.ROLLING_OUT, id="progressing"),
        pytest.param(SETTLED, held(Reason.WAITING_FOR_SOAK), Phase.SOAKING, id="soaking"),
        pytest.param(SETTLED, held(Reason.WAITING_FOR_PROOF), Phase.WAITING, id="waiting"),
        pytest.param(SETTLED, held(Reason.WAITING_FOR_DEPENDENCY), Phase.WAITING, id="depending"),
        pytest.param(SETTLED, held(Reason.ADOPTION_PENDING), Phase.WAITING, id="adopting"),
        pytest.param(SETTLED, held(Reason.FUSE_BLOWN), Phase.HELD, id="a fuse"),
        pytest.param(
            SETTLED, held(Reason.FAILING_AFTER_PROOF), Phase.HELD, id="failing after proof"
        ),
        pytest.param(SETTLED, held(Reason.SETTLED), Phase.PROVEN, id="settled"),
        pytest.param(SETTLED, (), Phase.PROVEN, id="proven, with something being done"),
        pytest.param(
            cell(DEV, record(DEV, V2, rollout=rollout(V2))), (), Phase.ROLLING_OUT, id="on its way"
        ),
        pytest.param(cell(DEV, None, ask(V1)), (), Phase.WAITING, id="nothing admitted yet"),
        pytest.param(
            cell(DEV, record(DEV, V2, proofs=())),
            (),
            Phase.ROLLING_OUT,
            id="not proven is never fine",
        ),
    ],
)
def test_a_cell_is(given: Cell, actions: tuple[Action, ...], phase: Phase) -> None:
    assert phase_of(given, actions) is phase


@pytest.mark.parametrize(
    ("given", "actions", "phase"),
    [
        pytest.param(
            replace(SETTLED, suspended=SUSPENDED),
            held(Reason.SUSPENDED),
            Phase.SUSPENDED,
            id="a suspended record, by break-glass",
        ),
        pytest.param(PAUSED, held(Reason.SETTLED), Phase.PAUSED, id="paused with nothing pending"),
        pytest.param(
            cell(DEV, ROLLING, ask(V2, paused=True)),
            held(Reason.WAITING_FOR_SOAK),
            Phase.PAUSED,
            id="paused while it soaks",
        ),
        pytest.param(
            PAUSED, held(Reason.PAUSED, Reason.PAUSED, Reason.REJECTED), Phase.REJECTED, id="paused"
        ),
        pytest.param(
            SETTLED,
            held(Reason.NOT_LEADING, Reason.NOT_LEADING, Reason.QUARANTINED),
            Phase.REJECTED,
            id="halted",
        ),
        pytest.param(
            PAUSED,
            held(Reason.PAUSED, Reason.PAUSED, Reason.CLUSTER_UNKNOWN),
            Phase.UNKNOWN,
            id="paused and unknown",
        ),
        pytest.param(
            cell(DEV, record(DEV, V3, rollout=rollout(V3), rejections=(FAILED,)), ask(V2)),
            held(Reason.WAITING_FOR_SOAK),
            Phase.REJECTED,
            id="the pin asks for what failed while another soaks",
        ),
        pytest.param(
            cell(DEV, ROLLING, ask(V3, quarantine=(entry(rejection(V3)),))),
            held(Reason.PROGRESSING),
            Phase.REJECTED,
            id="the pin asks for what is quarantined while another rolls out",
        ),
        pytest.param(
            cell(DEV, ROLLING, ask(V3, quarantine=(entry(rejection(V3, PROD)),))),
            held(Reason.PROGRESSING),
            Phase.ROLLING_OUT,
            id="quarantined elsewhere",
        ),
    ],
)
def test_of_several_that_hold_it_is_the_first_of_the_contract(
    given: Cell, actions: tuple[Action, ...], phase: Phase
) -> None:
    assert phase_of(given, actions) is phase


def test_every_reason_has_a_phase_and_only_what_waits_for_nobody_is_proven() -> None:
    proven = {r for r in Reason if phase_of(SETTLED, held(r)) is Phase.PROVEN}
    assert proven == {Reason.SETTLED, Reason.JOINING, Reason.PROMOTION_CLOSED}


@pytest.mark.parametrize(
    ("changes", "asked", "owed"),
    [
        pytest.param({}, {}, True, id="it is on no branch"),
        pytest.param(
            {"revert": RevertProgress(branch="b")}, {}, True, id="it is on a branch for a person"
        ),
        pytest.param(
            {"revert": RevertProgress(commit=V1.release.source)}, {}, False, id="it is in Git"
        ),
        pytest.param({"environments": (STAGING, DEV)}, {}, False, id="it failed elsewhere"),
        pytest.param({}, {"lifted": (entry(OWED, lifted="x"),)}, False, id="a person lifted it"),
    ],
)
def test_git_is_owed_a_commit_when(
    changes: dict[str, Any], asked: dict[str, Any], owed: bool
) -> None:
    known = record(DEV, rejections=(replace(OWED, **changes),))
    assert (owed_revert(cell(DEV, known, ask(V1, **asked))) is not None) is owed


def test_a_plan_and_its_phase_belong_together() -> None:
    given = cell(
        PROD, record(PROD, V2, rollout=rollout(V2, PROD)), members={"prod-3": {"healthy_s": 1.0}}
    )
    assert phase_of(given, planned(given)) is Phase.SOAKING
