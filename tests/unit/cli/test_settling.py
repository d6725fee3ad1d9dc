"""When `run --once` ends: where nothing is on its way, or waits for a person alone."""

from __future__ import annotations

import pytest

from reconciler.cli.settling import is_settled
from reconciler.model.facts import Cell
from reconciler.model.names import ClusterName
from reconciler.model.reasons import Reason
from tests.fakes.facts import (
    CRASHING,
    PROD,
    V1,
    V2,
    ask,
    cell,
    failing,
    planned,
    record,
    rollout,
)
from tests.fakes.views import seen

PROVEN = cell(PROD, record(PROD))
ROLLING = cell(PROD, record(PROD, V2, rollout=rollout(V2, PROD)))


@pytest.mark.parametrize("given", [PROVEN, ROLLING])
@pytest.mark.parametrize(("reason", "ends"), [("AdoptionDiffers", True), ("FieldConflict", False)])
def test_what_cannot_be_applied_is_waited_for_unless_a_person_must_act(
    given: Cell, reason: str, ends: bool
) -> None:
    assert is_settled(seen(failing(given, "prod-3", reason))) == ends


def test_another_order_beside_one_that_waits_for_a_person_is_waited_for() -> None:
    given = cell(PROD, record(PROD), on={"prod-2": None})
    assert not is_settled(seen(failing(given, "prod-3", "AdoptionDiffers")))


def test_a_new_release_is_waited_for_where_the_former_one_waits_for_a_person() -> None:
    assert not is_settled(seen(failing(ROLLING, "prod-3", "AdoptionDiffers", revision=V1)))


@pytest.mark.parametrize("reason", [Reason.RENDERING, Reason.RENDER_FAILED])
def test_what_is_rendered_in_a_moment_is_waited_for_whatever_holds_it_meanwhile(
    reason: Reason,
) -> None:
    asked = ask(None, PROD, reason=reason)
    ill = cell(PROD, record(PROD), asked, members={"prod-1": {"health": CRASHING}})
    (held,) = planned(ill)
    assert held.reason == Reason.FAILING_AFTER_PROOF
    assert is_settled(seen(ill)) == (reason is not Reason.RENDERING)


@pytest.mark.parametrize(
    ("why", "ends"),
    [("it is not connected yet", False), ("it has not been asked yet", False), ("refused", True)],
)
def test_every_cluster_is_asked_once_before_it_ends(why: str, ends: bool) -> None:
    view = seen(PROVEN, unreachable={ClusterName("prod-3"): why})
    assert is_settled(view) == ends
