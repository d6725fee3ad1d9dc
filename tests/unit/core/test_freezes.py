"""A freeze: what it covers, what it holds, and when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.core import gates
from reconciler.model.actions import Deliver, Gate, Hold
from reconciler.model.freezes import Freeze, Scope
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.reasons import Reason
from tests.fakes.facts import (
    CRASHING,
    DEV,
    NOW,
    PROD,
    STAGING,
    V1,
    V2,
    ask,
    cell,
    planned,
    record,
    rollout,
    said,
    view,
)

HOUR = timedelta(hours=1)
STANDING = Freeze(Scope.of("environment/prod"), NOW + HOUR, "a sale")
DEV_HAS_2, STAGING_HAS_2 = cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING, V2))


def freeze(scope: str, until: datetime | None = None, reason: str = "a sale") -> Freeze:
    return Freeze(Scope.of(scope), until, reason)


def gate(*freezes: Freeze) -> Gate:
    wants = cell(DEV, record(DEV), ask(V2, freezes=freezes))
    return next(g for g in gates.admission(view(wants), V2) if g.name == "NotFrozen")


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ("fleet", {("web", "dev"), ("web", "prod"), ("api", "prod")}),
        ("environment/prod", {("web", "prod"), ("api", "prod")}),
        ("service/web", {("web", "dev"), ("web", "prod")}),
        ("service/prod", set()),
    ],
)
def test_a_scope_covers(scope: str, covered: set[tuple[str, str]]) -> None:
    found = {
        (service, environment)
        for service, environment in [("web", "dev"), ("web", "prod"), ("api", "prod")]
        if Scope.of(scope).covers(ServiceName(service), EnvironmentName(environment))
    }
    assert found == covered
    assert str(Scope.of(scope)) == scope


@pytest.mark.parametrize(
    "text", ["", "prod", "fleet/", "fleet/prod", "service", "service/", "service/a/b", "Fleet"]
)
def test_a_scope_is_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Scope.of(text)


@pytest.mark.parametrize(
    ("freezes", "told", "due"),
    [
        pytest.param((), None, None, id="none"),
        pytest.param((freeze("fleet", NOW),), None, None, id="one that ends now is over"),
        pytest.param(
            (freeze("fleet", NOW + HOUR),),
            "fleet is frozen until 2026-01-01T13:00:00Z: a sale",
            NOW + HOUR,
            id="one that ends by itself",
        ),
        pytest.param(
            (freeze("environment/dev"),),
            "environment/dev is frozen until it is thawed: a sale",
            None,
            id="one that a person ends",
        ),
        pytest.param(
            (
                freeze("fleet", NOW + HOUR),
                freeze("service/web", NOW + 2 * HOUR, "an audit"),
                freeze("environment/dev", NOW - HOUR),
            ),
            "service/web is frozen until 2026-01-01T14:00:00Z: an audit",
            NOW + 2 * HOUR,
            id="of several, the last to end",
        ),
        pytest.param(
            (freeze("environment/dev", None, "an audit"), freeze("fleet", NOW + HOUR)),
            "environment/dev is frozen until it is thawed: an audit",
            None,
            id="one without an end is the last",
        ),
    ],
)
def test_who_is_frozen_is_told_until_when_and_why(
    freezes: tuple[Freeze, ...], told: str | None, due: datetime | None
) -> None:
    found = gate(*freezes)
    assert found.state == ("open" if told is None else "closed")
    assert (found.message, found.due_at) == (told or "", due)
    if told is not None:
        assert found.reason is Reason.FROZEN
        assert f"`reconciler thaw {told.split()[0]}`" in found.unblock


def test_a_frozen_environment_takes_nothing_new_and_is_held_until_then() -> None:
    frozen = cell(PROD, record(PROD), ask(V2, PROD, freezes=(STANDING,)))
    (hold,) = planned(DEV_HAS_2, STAGING_HAS_2, frozen)
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.due_at, hold.page) == (Reason.FROZEN, NOW + HOUR, False)


def test_a_freeze_that_starts_in_mid_roll_out_stops_the_next_wave() -> None:
    out = record(PROD, V2, rollout=rollout(V2, PROD))
    on = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
    going = cell(PROD, out, ask(V2, PROD), on=on)
    assert "Deliver prod-2 2.0.0" in said(planned(DEV_HAS_2, STAGING_HAS_2, going))
    frozen = replace(going, ask=ask(V2, PROD, freezes=(STANDING,)))
    assert said(planned(DEV_HAS_2, STAGING_HAS_2, frozen)) == ["Hold Frozen"]


def test_a_roll_back_goes_through_a_freeze() -> None:
    out = record(PROD, V2, rollout=rollout(V2, PROD))
    on = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
    bad = {"prod-1": {"health": CRASHING}}
    frozen = cell(PROD, out, ask(V2, PROD, freezes=(STANDING,)), on=on, members=bad)
    assert said(planned(DEV_HAS_2, STAGING_HAS_2, frozen)) == ["Reject CrashLoopBackOff"]


def test_a_pin_that_goes_back_goes_through_a_freeze() -> None:
    back = cell(PROD, record(PROD, V2), ask(V1, PROD, freezes=(STANDING,)))
    assert said(planned(DEV_HAS_2, STAGING_HAS_2, back)) == ["Admit ProvenHere"]


def test_what_is_admitted_is_kept_in_a_freeze() -> None:
    """A cluster that lost it, or has just joined, is given what is proven there."""
    lost = cell(PROD, record(PROD), ask(V1, PROD, freezes=(STANDING,)), on={"prod-3": None})
    assert [a for a in planned(DEV_HAS_2, STAGING_HAS_2, lost) if isinstance(a, Deliver)]


def test_values_that_are_immediate_wait_for_no_release_but_for_a_freeze() -> None:
    wants = ask(V2, DEV, immediate=V2, freezes=(freeze("service/web"),))
    assert said(planned(cell(DEV, record(DEV), wants))) == ["Hold Frozen"]
