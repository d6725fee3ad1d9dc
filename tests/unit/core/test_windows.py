"""The gate of windows: whose windows count, what is told, and what takes no notice of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.core import gates, windows
from reconciler.model.actions import Gate
from reconciler.model.policy import EnvironmentPolicy
from reconciler.model.reasons import Reason
from reconciler.model.windows import ALWAYS, Window, Windows
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
    policy,
    record,
    rollout,
    said,
    view,
)

OFFICE = Window("Europe/Berlin", 8 * 3600.0, cron="0 9 * * 1-5")
NOON = Window("Europe/Berlin", 3600.0, rrule="FREQ=WEEKLY;BYDAY=TH", start="13:00")
NIGHT = Windows((Window("Europe/Berlin", 3600.0, cron="0 3 * * *"),))
"""NOW is Thursday, the first of January 2026, at 13:00 in Berlin."""

NEVER = Windows(deny=(Window("UTC", 120.0, cron="* * * * *"),))
AT_THREE = datetime(2026, 1, 2, 2, tzinfo=UTC)
BEFORE_PROD = (cell(DEV, record(DEV, V2)), cell(STAGING, record(STAGING, V2)))


def shut(own: Windows, heads: Windows | None = None) -> Gate:
    """Returns the gate of a wave of a roll-out that began with some windows, under those of HEAD."""
    out = record(DEV, V2, rollout=rollout(V2, policy=policy(windows=own)))
    wants = cell(DEV, out, ask(V2, policy=policy(windows=own if heads is None else heads)))
    return next(g for g in gates.next_wave(view(wants), V2) if g.name == "InWindow")


@pytest.mark.parametrize(
    ("own", "heads", "due"),
    [
        pytest.param(ALWAYS, None, "open", id="none given"),
        pytest.param(Windows((OFFICE,)), None, "open", id="one that is open"),
        pytest.param(Windows((OFFICE, *NIGHT.allow)), None, "open", id="one of two is open"),
        pytest.param(
            Windows((OFFICE,), (NOON,)), None, datetime(2026, 1, 1, 13, tzinfo=UTC), id="denied"
        ),
        pytest.param(NIGHT, None, AT_THREE, id="the next one of those that are allowed"),
        pytest.param(NIGHT, ALWAYS, AT_THREE, id="looser counts only for later roll-outs"),
        pytest.param(ALWAYS, NIGHT, AT_THREE, id="stricter counts at once"),
        pytest.param(Windows((OFFICE,)), NIGHT, None, id="those of both never meet"),
        pytest.param(NEVER, None, None, id="one that denies for ever"),
    ],
)
def test_a_wave_waits_for_its_windows(
    own: Windows, heads: Windows | None, due: datetime | str | None
) -> None:
    gate = shut(own, heads)
    if due == "open":
        assert gate.state == "open"
        return
    assert (gate.state, gate.reason, gate.due_at) == ("closed", Reason.OUTSIDE_WINDOW, due)
    assert ("no opening was found" in gate.message) is (due is None)


def test_the_last_second_is_in_it_and_the_end_is_not() -> None:
    allowed = Windows((NOON,))
    for at, is_in in [
        ("11:59:59", False),
        ("12:00:00", True),
        ("12:59:59", True),
        ("13:00:00", False),
    ]:
        now = datetime.fromisoformat(f"2026-01-01T{at}+00:00")
        assert windows.is_open(allowed, now) is is_in, at


def rules() -> EnvironmentPolicy:
    return policy(PROD, windows=NIGHT)


def test_no_next_wave_begins_outside_of_its_window() -> None:
    out = record(PROD, V2, rollout=rollout(V2, PROD))
    on = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
    going = cell(PROD, out, ask(V2, PROD, policy=rules()), on=on)
    assert said(planned(*BEFORE_PROD, going)) == ["Hold OutsideWindow"]
    new = cell(PROD, record(PROD), ask(V2, PROD, policy=rules()))
    assert said(planned(*BEFORE_PROD, new)) == ["Hold OutsideWindow"]


def test_what_goes_back_takes_no_notice_of_windows() -> None:
    back = cell(PROD, record(PROD, V2), ask(V1, PROD, policy=rules()))
    assert said(planned(*BEFORE_PROD, back)) == ["Admit ProvenHere"]
    out = record(PROD, V2, rollout=rollout(V2, PROD))
    bad = {"prod-1": {"health": CRASHING}}
    on = {"prod-1": V2, "prod-2": V1, "prod-3": V1}
    failing = cell(PROD, out, ask(V2, PROD, policy=rules()), on=on, members=bad)
    assert said(planned(*BEFORE_PROD, failing)) == ["Reject CrashLoopBackOff"]
