"""Clusters that nothing was given yet: they are compared first, and nothing of anybody else is written over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.comparing import LIVE_KEPT_S
from reconciler.model.actions import Hold
from reconciler.model.facts import Cell, Compared, LiveState, MemberHealth
from reconciler.model.health import HealthStatus
from reconciler.model.names import ClusterName
from tests.fakes.facts import (
    DEV,
    PROD,
    STAGING,
    V1,
    V2,
    ask,
    cell,
    free,
    member,
    planned,
    record,
    rejection,
    rollout,
    said,
)

BEFORE_PROD = (
    cell(DEV, record(DEV, V2)),
    cell(STAGING, record(STAGING, V2)),
)
UNKNOWN_TO_US: dict[str, Any] = {"compared": None}
COMPARES, DIFFERS = "Examine AdoptionPending", "Hold AdoptionDiffers"


def live(state: LiveState, revision: Any = V1, age_s: float = 0.0) -> dict[str, Any]:
    return {"compared": Compared(revision.id, state, age_s)}


CASES = [
    pytest.param(UNKNOWN_TO_US, [COMPARES], [], id="not compared yet"),
    pytest.param(live(LiveState.ABSENT), [], ["prod-3"], id="nothing is there"),
    pytest.param(live(LiveState.EQUAL), [], ["prod-3"], id="the same is there"),
    pytest.param(live(LiveState.OURS), [], ["prod-3"], id="what is there is ours"),
    pytest.param(live(LiveState.ABSENT, V2), [COMPARES], [], id="compared with something else"),
    pytest.param(
        live(LiveState.ABSENT, age_s=LIVE_KEPT_S + 1), [COMPARES], [], id="compared long ago"
    ),
]


def settled(state: dict[str, Any], **changes: Any) -> Cell:
    """Returns prod with version 1 proven, and a third cluster that was given nothing."""
    given = ask(V1, PROD, **changes)
    return cell(PROD, record(PROD), given, on={"prod-3": None}, members={"prod-3": state})


def rolling(state: dict[str, Any], **changes: Any) -> Cell:
    """Returns prod at the second wave of version 2, whose last cluster was given nothing."""
    known = record(PROD, V2, rollout=rollout(V2, PROD))
    given = ask(V2, PROD, **changes)
    return cell(PROD, known, given, on={"prod-3": None}, members={"prod-3": state})


def returning(state: dict[str, Any]) -> Cell:
    """Returns prod on its way back to version 1, with a third cluster that was given nothing."""
    known = record(PROD, V1, rejections=(rejection(V2, PROD, rolled_back_at=None),))
    return cell(PROD, known, ask(V2, PROD), on={"prod-3": None}, members={"prod-3": state})


@pytest.mark.parametrize(("state", "compares", "given"), CASES)
def test_what_is_proven_goes_to_a_cluster_that_is_known_to_be_free(
    state: dict[str, Any], compares: list[str], given: list[str]
) -> None:
    orders = [f"Deliver {name} 1.0.0" for name in given]
    assert said(planned(settled(state))) == [*compares, *orders]


@pytest.mark.parametrize(("state", "compares", "given"), CASES)
def test_the_way_back_goes_to_a_cluster_that_is_known_to_be_free(
    state: dict[str, Any], compares: list[str], given: list[str]
) -> None:
    orders = [f"Deliver {name} 1.0.0 back" for name in given]
    waits = [] if given else ["Hold RollingBack"]
    assert sorted(said(planned(returning(state)))) == sorted([*compares, *orders, *waits])


def test_what_differs_holds_the_cell_until_the_pin_says_otherwise() -> None:
    assert said(planned(settled(live(LiveState.DIFFERS)))) == [COMPARES, DIFFERS]
    *_, hold = planned(settled(live(LiveState.DIFFERS)))
    assert isinstance(hold, Hold) and hold.page
    assert "prod-3" in hold.message and "adopt: overwrite" in hold.message
    overwritten = said(planned(settled(live(LiveState.DIFFERS), adopt_overwrite=True)))
    assert overwritten == [COMPARES, "Deliver prod-3 1.0.0"]


def test_what_was_compared_long_ago_and_differs_still_does() -> None:
    old = live(LiveState.DIFFERS, age_s=LIVE_KEPT_S + 1)
    assert said(planned(settled(old))) == [COMPARES, DIFFERS]


def test_what_cannot_be_read_holds_the_cell_with_its_reason() -> None:
    health = MemberHealth(HealthStatus.UNKNOWN, "Unread", "secrets are forbidden")
    unread = {**live(LiveState.UNKNOWN), "health": health}
    *_, hold = planned(settled(unread))
    assert isinstance(hold, Hold) and hold.reason == "AdoptionPending"
    assert "prod-3" in hold.message and "secrets are forbidden" in hold.message


def test_a_new_release_does_not_wait_for_a_cluster_that_joins() -> None:
    given = replace(settled(live(LiveState.DIFFERS)), ask=ask(V2, PROD))
    assert said(planned(*BEFORE_PROD, given)) == ["Admit GatesOpen"]


def test_a_wave_waits_for_a_cluster_on_which_something_else_is_live() -> None:
    assert said(planned(*BEFORE_PROD, rolling(live(LiveState.DIFFERS, V2)))) == [COMPARES, DIFFERS]
    assert said(planned(*BEFORE_PROD, rolling(live(LiveState.ABSENT, V2)))) == [
        "Deliver prod-3 2.0.0"
    ]
    assert said(planned(*BEFORE_PROD, rolling(UNKNOWN_TO_US)))[0] == COMPARES


def test_it_takes_nobodys_place_among_those_that_change_together() -> None:
    known = record(PROD, V2, rollout=rollout(V2, PROD, policy=_one_at_a_time()))
    members = {"prod-2": live(LiveState.DIFFERS, V2), "prod-3": live(LiveState.ABSENT, V2)}
    on = {"prod-2": None, "prod-3": None}
    given = cell(PROD, known, ask(V2, PROD), on=on, members=members)
    assert "Deliver prod-3 2.0.0" in said(planned(*BEFORE_PROD, given))


def _one_at_a_time() -> Any:
    rules = ask(V2, PROD).policy
    assert rules is not None
    return replace(rules, max_concurrent=1)


def test_a_closed_gate_is_told_before_anything_is_compared() -> None:
    for state in (UNKNOWN_TO_US, live(LiveState.ABSENT, V2)):
        actions = said(planned(*BEFORE_PROD, rolling(state, paused=True)))
        assert actions[-1] == "Hold Paused"


def test_the_way_back_is_done_without_a_cluster_that_was_never_given_anything() -> None:
    actions = said(planned(returning(live(LiveState.DIFFERS))))
    assert actions == ["FinishRollBack RolledBack"]


def test_a_cluster_added_to_the_environment_is_no_part_of_a_running_roll_out() -> None:
    known = record(PROD, V2, rollout=rollout(V2, PROD))
    given = cell(PROD, known, ask(V2, PROD))
    joined = member(ClusterName("prod-4"))
    unseen = replace(given, members=(*given.members, joined))
    assert said(planned(*BEFORE_PROD, unseen)) == ["Examine AdoptionPending", "Prove Soaked"]
    more = replace(given, members=(*given.members, free(joined, V1)))
    assert said(planned(*BEFORE_PROD, more)) == ["Deliver prod-4 1.0.0", "Prove Soaked"]
