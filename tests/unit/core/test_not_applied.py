"""What could not be applied is told beside the order that tries it again, and holds nobody up whom it need not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.actions import Deliver, Hold
from reconciler.model.facts import Cell, Member, MemberHealth
from reconciler.model.reasons import Reason
from reconciler.model.records import ApplyState, RevertProgress
from reconciler.model.release import Revision
from tests.fakes.facts import (
    PROD,
    V1,
    V2,
    ask,
    cell,
    planned,
    policy,
    record,
    rejection,
    rollout,
    said,
)

DIFFERS = "AdoptionDiffers"
TOOK_LONG_S = 601.0


def failing(given: Cell, cluster: str, reason: str, **changes: Any) -> Cell:
    """Returns a cell on one of whose clusters what was ordered last cannot be applied."""

    def failed(member: Member) -> Member:
        assert member.record is not None
        was = member.record
        now = replace(was, state=ApplyState.FAILED, applied=None, reason=reason, message="why")
        health = MemberHealth(reason=reason, message="why")
        return replace(member, record=replace(now, **changes), health=health, healthy_s=0)

    members = tuple(failed(m) if m.cluster == cluster else m for m in given.members)
    return replace(given, members=members)


def rolling(**rules: Any) -> Cell:
    now = rollout(V2, PROD, policy=policy(PROD, **rules))
    wanted = ask(V2, PROD, policy=policy(PROD, **rules))
    return cell(PROD, record(PROD, V2, rollout=now), wanted)


def late(given: Cell, cluster: str) -> Cell:
    members = (
        replace(m, waiting_s=TOOK_LONG_S) if m.cluster == cluster else m for m in given.members
    )
    return replace(given, members=tuple(members))


def paged(given: Cell) -> list[tuple[Reason, bool]]:
    return [(a.reason, a.page) for a in planned(given) if isinstance(a, Hold)]


@pytest.mark.parametrize(
    ("given", "actions", "page"),
    [
        (failing(rolling(), "prod-1", "FieldConflict"), "Progressing", False),
        (late(failing(rolling(), "prod-1", "FieldConflict"), "prod-1"), "ProgressDeadline", True),
        (failing(rolling(), "prod-1", DIFFERS, render_digest=None), DIFFERS, True),
        (failing(rolling(), "prod-2", DIFFERS), DIFFERS, True),
    ],
)
def test_a_roll_out_says_what_it_waits_for(given: Cell, actions: str, page: bool) -> None:
    orders = [a for a in planned(given) if isinstance(a, Deliver)]
    assert len(orders) == 1, "it is tried again"
    assert paged(given) == [(Reason(actions), page)]


def test_a_refusal_of_what_was_asked_before_is_none_of_what_is_asked_now() -> None:
    given = failing(rolling(), "prod-2", DIFFERS, revision=V1)
    assert said(planned(given)) == ["Deliver prod-2 2.0.0"]


def test_a_quorum_does_without_one_that_cannot_be_given_it_in_time() -> None:
    given = late(failing(rolling(quorum=60), "prod-3", "FieldConflict"), "prod-3")
    assert said(planned(given)) == ["Deliver prod-3 2.0.0", "Prove Soaked"]


def settled(reason: str, *, waiting_s: float = 0.0, **changes: Any) -> Cell:
    given = failing(cell(PROD, record(PROD)), "prod-3", reason, **changes)
    return late(given, "prod-3") if waiting_s else given


@pytest.mark.parametrize(
    ("given", "holds"),
    [
        (settled("FieldConflict"), []),
        (settled("FieldConflict", waiting_s=TOOK_LONG_S), [(Reason.PROGRESS_DEADLINE, True)]),
        (settled(DIFFERS, render_digest=None), [(Reason.ADOPTION_DIFFERS, True)]),
    ],
)
def test_what_is_proven_and_cannot_be_given_to_a_cluster_is_told(
    given: Cell, holds: list[tuple[Reason, bool]]
) -> None:
    assert said(planned(given))[0] == "Deliver prod-3 1.0.0"
    assert paged(given) == holds


def going_back(bad: Revision = V2) -> Cell:
    given = rejection(bad, PROD, rolled_back_at=None, revert=RevertProgress())
    return cell(PROD, record(PROD, V1, rejections=(given,)))


def test_a_way_back_waits_for_nobody_who_never_had_anything_of_ours() -> None:
    given = failing(going_back(), "prod-3", DIFFERS, render_digest=None)
    assert said(planned(given)) == [
        "CommitRevert CrashLoopBackOff",
        "Deliver prod-3 1.0.0 back",
        "FinishRollBack RolledBack",
    ]


@pytest.mark.parametrize("reason", ["AdmissionDenied", DIFFERS])
def test_it_waits_for_one_that_had_ours_and_cannot_be_put_back_and_pages_in_time(
    reason: str,
) -> None:
    given = failing(going_back(), "prod-3", reason)
    assert said(planned(given)) == ["Deliver prod-3 1.0.0 back", "Hold RollingBack"]
    assert paged(given) == [(Reason.ROLLING_BACK, False)]
    assert paged(late(given, "prod-3")) == [(Reason.ROLLING_BACK, True)]


@pytest.mark.parametrize("overwrite", [True, False])
def test_an_order_says_what_the_pin_says_of_what_is_not_ours(overwrite: bool) -> None:
    wanted = ask(V1, PROD, adopt_overwrite=overwrite)
    (order,) = planned(cell(PROD, record(PROD), wanted, on={"prod-3": None}))
    assert isinstance(order, Deliver) and order.overwrite == overwrite
