"""Rules of windows: what names times that come, and what is refused before anybody follows it."""

from __future__ import annotations

import time

import pytest

from reconciler.schema.rules import cron_fault, rrule_fault, zone_fault


@pytest.mark.parametrize(
    "text", ["0 9 * * 1-5", "*/15 22-23 * * mon", "0 0 29 2 *", "0 0 30 2 1", "0 9 L * *"]
)
def test_a_cron_expression_that_comes_true(text: str) -> None:
    assert cron_fault(text) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "0 fields"),
        ("0 9 * *", "4 fields"),
        ("0 0 9 * * 1", "6 fields"),
        ("60 9 * * *", "Bad minute"),
        ("0 0 30 2 *", "Bad day-of-month"),
        ("0 0 31 4,6 *", "Bad day-of-month"),
        ("0 9 * * 5-1", "Bad day-of-week"),
        ("@daily @daily * * *", "Bad minute"),
    ],
)
def test_one_that_is_wrong_or_never_comes(text: str, why: str) -> None:
    assert why in cron_fault(text)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY",
        "FREQ=WEEKLY;BYDAY=MO,TU",
        "FREQ=MONTHLY;BYDAY=1MO,-1FR",
        "FREQ=MONTHLY;BYMONTHDAY=-1,15",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=DAILY;BYMONTH=12;BYMONTHDAY=24",
        "BYDAY=5MO;FREQ=YEARLY;BYMONTH=2",
    ],
)
def test_a_recurrence_that_comes_true(text: str) -> None:
    assert rrule_fault(text) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "FREQ is none of"),
        ("WEEKLY", "FREQ is none of"),
        ("FREQ=SECONDLY", "FREQ is none of"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;INTERVAL=2", "INTERVAL cannot be used"),
        ("FREQ=DAILY;UNTIL=20200101", "UNTIL cannot be used"),
        ("FREQ=DAILY;COUNT=1", "COUNT cannot be used"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS cannot be used"),
        ("FREQ=DAILY\nEXDATE:20200101", "FREQ is none of"),
        ("FREQ=WEEKLY", "WEEKLY needs BYDAY"),
        ("FREQ=MONTHLY;BYMONTH=2", "needs BYDAY or BYMONTHDAY"),
        ("FREQ=YEARLY;BYMONTHDAY=2", "needs BYMONTH"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY cannot be 'XX'"),
        ("FREQ=MONTHLY;BYDAY=6MO", "BYDAY cannot be '6MO'"),
        ("FREQ=WEEKLY;BYDAY=1MO", "for MONTHLY and YEARLY"),
        ("FREQ=MONTHLY;BYDAY=-1FR;BYMONTHDAY=1", "without BYMONTHDAY"),
        ("FREQ=YEARLY;BYMONTH=13;BYMONTHDAY=1", "BYMONTH cannot be '13'"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY cannot be '0'"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "none of its months is so long"),
        ("FREQ=DAILY;BYMONTH=4,6;BYMONTHDAY=-31", "none of its months is so long"),
        ("FREQ=WEEKLY;BYDAY=MO;BYMONTH=2;BYMONTHDAY=3", "not for WEEKLY"),
    ],
)
def test_one_that_is_refused_at_once(text: str, why: str) -> None:
    """The library follows 30 February to the year 9999, for half a minute."""
    began_s = time.monotonic()
    assert why in rrule_fault(text)
    assert time.monotonic() - began_s < 1


def test_a_zone_has_a_name_of_ianas() -> None:
    assert zone_fault("Europe/Berlin") == zone_fault("UTC") == ""
    for name in ("Mars", "../../etc/passwd", "/etc/localtime", "Europe", "x" * 200):
        assert "no such zone" in zone_fault(name), name
