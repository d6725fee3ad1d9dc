"""A hotfix: which gates it is let past, by whom, and what it never passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core import gates
from reconciler.core.gate import unknown
from reconciler.core.skipping import past
from reconciler.model.actions import Admit, Gate, GateState
from reconciler.model.facts import Ask, Cell, FleetSummary
from reconciler.model.freezes import Freeze, Scope
from reconciler.model.policy import EnvironmentPolicy
from reconciler.model.reasons import Reason
from reconciler.model.skips import Hotfix, Skip, Skippable, Skipped, Vouched
from reconciler.model.windows import Window, Windows
from tests.fakes.facts import (
    CRASHING,
    DEV,
    NOW,
    PROD,
    STAGING,
    STARTING,
    V1,
    V2,
    V3,
    ask,
    cell,
    entry,
    planned,
    policy,
    record,
    rejection,
    rollout,
    said,
    view,
)

KIM = "kim@example.com"
ALL = tuple(Skippable)
HOTFIX = Hotfix((KIM,), ALL)
NEVER = Windows(deny=(Window("UTC", 86_400, cron="0 0 * * *"),))
FREEZE = Freeze(Scope.of("fleet"), None, "a sale")
RULES = policy(PROD, hotfix=HOTFIX, windows=NEVER)

UNSEEN: dict[str, dict[str, Any]] = {
    "not healthy yet": {"health": STARTING},
    "not for long": {"healthy_s": 9.5},
    "it does not answer": {"reachable": False, "synced": False},
}

DEV_HAS_2 = cell(DEV, record(DEV, V2))
STAGING_SOAKS = cell(STAGING, record(STAGING, V2, rollout=rollout(V2, STAGING)))


def skip(*what: Skippable, revision: Any = V2, signers: tuple[str, ...] = (KIM,)) -> Vouched:
    return Vouched(Skip(what, revision.id, "it burns", "Kim"), signers, "nobody signed")


def wants(skipped: Vouched | None, rules: EnvironmentPolicy = RULES, **changes: Any) -> Ask:
    return ask(V2, PROD, policy=rules, freezes=(FREEZE,), skip=skipped, **changes)


def prod(skipped: Vouched | None, rules: EnvironmentPolicy = RULES, **changes: Any) -> Cell:
    return cell(PROD, record(PROD), wants(skipped, rules, **changes))


def found(*cells: Cell, fleet: FleetSummary | None = None) -> dict[str, Gate]:
    return {g.name: g for g in gates.admission(view(*cells, fleet=fleet), V2)}


def test_who_may_is_let_past_each_gate_that_is_named_and_no_other() -> None:
    names = {
        Skippable.SOAK: "ProvenBefore",
        Skippable.WINDOW: "InWindow",
        Skippable.FREEZE: "NotFrozen",
    }
    for what, name in names.items():
        seen = found(DEV_HAS_2, STAGING_SOAKS, prod(skip(what)))
        opened = [n for n in names.values() if seen[n].state is GateState.OPEN]
        assert opened == [name]
        assert seen[name].reason is Reason.SKIPPED
        assert seen[name].message.startswith(f"{KIM} skips it: it burns; without that: ")
    cells = (DEV_HAS_2, STAGING_SOAKS, prod(skip(*ALL)))
    (admitted,) = (a for a in planned(*cells) if isinstance(a, Admit))
    assert (admitted.reason, admitted.message) == (
        Reason.SKIPPED,
        f"{KIM} skips soak, window, freeze: it burns",
    )
    assert admitted.rollout is not None
    assert admitted.rollout.skipped == Skipped(ALL, KIM, "it burns")


@pytest.mark.parametrize(
    ("skipped", "rules", "why"),
    [
        pytest.param(skip(*ALL, revision=V3), RULES, f"it is for {V3.id}", id="another revision"),
        pytest.param(skip(*ALL, signers=()), RULES, "nobody signed", id="nobody's signature"),
        pytest.param(
            skip(*ALL, signers=("eve@example.com",)),
            RULES,
            "the policy does not let eve@example.com skip the",
            id="somebody else's",
        ),
        pytest.param(
            skip(*ALL), replace(RULES, hotfix=None), "the policy does not", id="no policy"
        ),
        pytest.param(
            skip(*ALL),
            replace(RULES, hotfix=Hotfix((KIM,), ())),
            "the policy does not",
            id="no gate",
        ),
    ],
)
def test_a_skip_that_does_not_count_says_why(
    skipped: Vouched, rules: EnvironmentPolicy, why: str
) -> None:
    seen = found(DEV_HAS_2, STAGING_SOAKS, prod(skipped, rules))
    for name in ("ProvenBefore", "InWindow", "NotFrozen"):
        assert seen[name].state is GateState.CLOSED
        assert f"; `skip` in the pin does not count: {why}" in seen[name].message


@pytest.mark.parametrize(
    ("staging", "why"),
    [
        pytest.param(cell(STAGING, record(STAGING)), "staging does not run it", id="another"),
        pytest.param(
            replace(STAGING_SOAKS, members=()), "staging has no cluster", id="on no cluster"
        ),
        *(
            pytest.param(
                cell(
                    STAGING,
                    record(STAGING, V2, rollout=rollout(V2, STAGING)),
                    members={"staging-1": changes},
                ),
                "2.0.0 has not been seen healthy on staging-1 for 10 s",
                id=case,
            )
            for case, changes in UNSEEN.items()
        ),
    ],
)
def test_a_soak_is_skipped_only_where_it_was_seen_healthy(staging: Cell, why: str) -> None:
    gate = found(DEV_HAS_2, staging, prod(skip(*ALL)))["ProvenBefore"]
    assert (gate.state, gate.reason) == (GateState.CLOSED, Reason.WAITING_FOR_PROOF)
    assert gate.message == f"2.0.0 is not proven in staging, and its soak is not skipped yet: {why}"


def test_it_must_have_been_seen_as_it_would_be_rendered_here() -> None:
    older = replace(V2, id=V3.id, renderer="kubectl 1.0")
    staging = cell(STAGING, record(STAGING, older, rollout=rollout(older, STAGING)))
    gate = found(DEV_HAS_2, staging, prod(skip(*ALL)))["ProvenBefore"]
    assert "its soak is not skipped yet: staging runs it as kubectl 1.0 renders it" in gate.message


def test_an_unknown_gate_is_skipped_by_nobody() -> None:
    nobody_knows = unknown("InWindow", Reason.GIT_UNKNOWN, "it is not known", "")
    cells = (DEV_HAS_2, STAGING_SOAKS, prod(skip(*ALL)))
    assert past(view(*cells), V2, nobody_knows, Skippable.WINDOW) is nobody_knows


def test_it_is_told_when_that_will_be_so_and_a_shorter_soak_is_all_that_is_asked() -> None:
    def gate(healthy_s: float, soak_s: float) -> Gate:
        staging = cell(
            STAGING,
            record(STAGING, V2, rollout=rollout(V2, STAGING)),
            ask(V2, STAGING, policy=policy(STAGING, soak_s=soak_s)),
            members={"staging-1": {"healthy_s": healthy_s}},
        )
        return found(DEV_HAS_2, staging, prod(skip(*ALL)))["ProvenBefore"]

    assert gate(4.0, 60.0).due_in_s == 6.0
    assert gate(1.0, 2.0).due_in_s == 1.0
    assert gate(2.0, 2.0).state is GateState.OPEN


def test_each_environment_before_must_have_it() -> None:
    dev = cell(DEV, record(DEV, V3))
    gate = found(dev, STAGING_SOAKS, prod(skip(*ALL)))["ProvenBefore"]
    assert "2.0.0 is not proven in dev, and its soak is not skipped yet" in gate.message


def test_a_command_counts_no_soak_and_sees_that_it_is_healthy() -> None:
    staging = cell(
        STAGING,
        record(STAGING, V2, rollout=rollout(V2, STAGING)),
        members={"staging-1": {"healthy_s": 0.0}},
    )
    told = FleetSummary(keeps_time=False)
    assert found(DEV_HAS_2, staging, prod(skip(*ALL)), fleet=told)["ProvenBefore"].state == "open"


def test_what_is_bad_unknown_stopped_or_paused_is_never_skipped() -> None:
    bad = rejection(V2, PROD)
    cases: dict[str, tuple[Cell, FleetSummary | None]] = {
        "NotRejected": (
            cell(PROD, record(PROD, rejections=(bad,)), wants(skip(*ALL))),
            None,
        ),
        "NotQuarantined": (prod(skip(*ALL), quarantine=(entry(bad),)), None),
        "NotHalted": (prod(skip(*ALL)), FleetSummary(halted="the lease is lost")),
        "NotPaused": (prod(skip(*ALL), paused=True), None),
        "Approved": (prod(skip(*ALL), replace(RULES, needs_approval=True)), None),
        "FuseIntact": (
            prod(skip(*ALL)),
            FleetSummary(fleet_fuse_blown=NOW + timedelta(minutes=1)),
        ),
    }
    for name, (cell_, fleet) in cases.items():
        seen = found(DEV_HAS_2, STAGING_SOAKS, cell_, fleet=fleet)
        shut = [gate.name for gate in seen.values() if gate.state is not GateState.OPEN]
        assert shut == [name]
    unknown = replace(STAGING_SOAKS, record_known=False)
    gate = found(DEV_HAS_2, unknown, prod(skip(*ALL)))["ProvenBefore"]
    assert gate.state is GateState.UNKNOWN
    fails = cell(
        STAGING,
        record(STAGING, V2, rollout=rollout(V2, STAGING)),
        members={"staging-1": {"health": CRASHING}},
    )
    assert found(DEV_HAS_2, fails, prod(skip(*ALL)))["ProvenBefore"].state is GateState.CLOSED


def in_mid_roll_out(skipped: Vouched | None, own: Any) -> Cell:
    return cell(
        PROD,
        record(PROD, V2, rollout=own),
        wants(skipped),
        on={"prod-2": V1, "prod-3": V1},
    )


def test_a_freeze_in_mid_roll_out_is_passed_under_the_rules_that_it_began_with() -> None:
    before = (DEV_HAS_2, cell(STAGING, record(STAGING, V2)))
    own = rollout(V2, PROD, policy=RULES)
    assert said(planned(*before, in_mid_roll_out(None, own))) == ["Hold Frozen"]
    went_on = ["Deliver prod-2 2.0.0", "Deliver prod-3 2.0.0"]
    assert said(planned(*before, in_mid_roll_out(skip(*ALL), own))) == went_on
    looser = rollout(V2, PROD, policy=replace(RULES, hotfix=None))
    assert said(planned(*before, in_mid_roll_out(skip(*ALL), looser))) == ["Hold Frozen"]


def test_what_was_let_in_on_a_soak_that_was_skipped_goes_on_when_the_one_before_moves_on() -> None:
    moved_on = cell(STAGING, record(STAGING, V3, rollout=rollout(V3, STAGING)))
    own = rollout(V2, PROD, policy=RULES, skipped=Skipped((Skippable.SOAK,), KIM, "it burns"))
    went_on = ["Deliver prod-2 2.0.0", "Deliver prod-3 2.0.0"]
    assert said(planned(DEV_HAS_2, moved_on, in_mid_roll_out(skip(*ALL), own))) == went_on
    # Without the word in the pin nothing is skipped any more.
    only = skip(Skippable.WINDOW, Skippable.FREEZE)
    assert said(planned(DEV_HAS_2, moved_on, in_mid_roll_out(only, own))) == [
        "Hold WaitingForProof"
    ]
    other = replace(own, skipped=None)
    held = ["Hold WaitingForProof"]
    assert said(planned(DEV_HAS_2, moved_on, in_mid_roll_out(skip(*ALL), other))) == held
