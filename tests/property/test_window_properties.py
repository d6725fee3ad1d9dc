"""Windows of local time, minute by minute against a clock on the wall that somebody watches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.windows import is_open, opens_at
from reconciler.model.windows import Window, Windows

MINUTE = timedelta(minutes=1)

CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29)),
    ("Europe/Berlin", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("America/Santiago", date(2026, 9, 6)),
    ("America/St_Johns", date(2010, 11, 7)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Asia/Kolkata", date(2026, 3, 29)),
]
"""Zones and days on which their clocks change: by an hour, by half of one, at midnight, by a whole day, never."""

DAYS = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")


def local(day: date, days: int) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(days=days)  # noqa: DTZ001


@st.composite
def asked(draw: st.DrawFn) -> tuple[Window, date, list[datetime]]:
    """Returns a window, the day of a change, and when it begins around it, told without its rule."""
    zone, day = draw(st.sampled_from(CHANGES))
    hours = sorted(draw(st.sets(st.integers(0, 23), min_size=1, max_size=3)))
    minute = draw(st.sampled_from([0, 1, 15, 30, 45, 59]))
    weekdays = sorted(draw(st.sets(st.integers(0, 6), min_size=1)))
    minutes = draw(st.integers(1, 600) | st.sampled_from([60, 1440, 1500, 2880]))
    window = Window(zone, minutes * 60.0)
    if draw(st.booleans()):
        hours = hours[:1]
        rule = f"FREQ=WEEKLY;BYDAY={','.join(DAYS[d] for d in weekdays)}"
        window = replace(window, rrule=rule, start=f"{hours[0]:02}:{minute:02}")
    else:
        at = f"{minute} {','.join(map(str, hours))} * *"
        window = replace(window, cron=f"{at} {','.join(map(str, weekdays))}")
    begins = [
        local(day, days) + timedelta(hours=hour, minutes=minute)
        for days in range(-12, 12)
        for hour in hours
        if (local(day, days).weekday() + 1) % 7 in weekdays
    ]
    return window, day, begins


def watched(window: Window, day: date, begins: list[datetime]) -> Iterator[tuple[datetime, bool]]:
    """Yields every minute around the change, and whether the window is open by what the clock has shown so far."""
    zone = ZoneInfo(window.zone)
    at = local(day, -2).replace(tzinfo=UTC)
    shown = at.astimezone(zone).replace(tzinfo=None)
    for _ in range(5 * 1440):
        shown = max(shown, at.astimezone(zone).replace(tzinfo=None))
        last = bisect_right(begins, shown)
        length = timedelta(seconds=window.for_s)
        yield at, last > 0 and shown < begins[last - 1] + length
        at += MINUTE


@settings(max_examples=40, deadline=None)
@given(asked(), st.integers(0, 12))
def test_a_window_is_open_exactly_when_a_clock_that_is_watched_says_so(
    given_: tuple[Window, date, list[datetime]], offset: int
) -> None:
    window, day, begins = given_
    seen = list(watched(window, day, begins))
    allow, deny = Windows((window,)), Windows((), (window,))
    for now, expected in seen[offset::13]:
        assert is_open(allow, now) is expected, (window, now)
        assert is_open(deny, now) is not expected, (window, now)
    for (before, was), (at, now_open) in pairwise(seen):
        if was is not now_open:
            assert is_open(allow, before) is was and is_open(allow, at) is now_open, (window, at)


@settings(max_examples=40, deadline=None)
@given(asked(), st.integers(0, 2000), st.booleans())
def test_the_next_opening_is_the_first_minute_that_is_open(
    given_: tuple[Window, date, list[datetime]], start: int, denies: bool
) -> None:
    window, day, begins = given_
    seen = list(watched(window, day, begins))[start:]
    windows = Windows((), (window,)) if denies else Windows((window,))
    expected = next((at for at, is_in in seen if is_in is not denies), None)
    found = opens_at((windows,), seen[0][0])
    if expected is not None:
        assert found == expected
    else:
        assert found is None or found > seen[-1][0]
    if found is not None:
        assert is_open(windows, found)
