"""Which files are guarded, and what may be added to a quarantine by anybody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.vouching import changed, only_stops
from tests.fakes.facts import V1, entry, rejection

ONE = entry(rejection(V1))
OTHER = replace(ONE, rejected_at="2026-11-25T03:00:00Z")


def test_only_the_fleet_policies_and_quarantines_are_guarded() -> None:
    was = {
        "fleet.yaml": "1",
        "policies/line.yaml": "1",
        "quarantine/web.yaml": "1",
        "services/web/web.yaml": "1",
    }
    now = dict.fromkeys([*was, "environments/dev/web.yaml", "policies.yaml", "sub/fleet.yaml"], "2")
    assert changed(was, now) == ("fleet.yaml", "policies/line.yaml", "quarantine/web.yaml")
    assert changed(was, was) == ()


def test_what_comes_and_what_goes_is_a_change() -> None:
    was, now = {"policies/line.yaml": "1"}, {"policies/fast.yaml": "1"}
    assert changed(was, now) == ("policies/fast.yaml", "policies/line.yaml")


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ((), (), True),
        ((), (ONE,), True),
        ((ONE,), (ONE, OTHER), True),
        ((ONE,), (OTHER, ONE), True),
        ((ONE,), (), False),
        ((ONE,), (OTHER,), False),
        ((ONE,), (replace(ONE, lifted="it was the network"),), False),
        ((ONE,), (replace(ONE, environments=()),), False),
        # An entry that comes lifted lifts what only the records hold.
        ((), (replace(ONE, lifted="it was the network"),), False),
    ],
)
def test_a_quarantine_that_only_grows_only_stops(was: tuple, now: tuple, expected: bool) -> None:  # type: ignore[type-arg]
    assert only_stops(was, now) is expected
