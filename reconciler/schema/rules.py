"""Rules of windows, checked so far that each names times that come, and can be followed in a moment.

dateutil follows a rule that names no day until the year 9999, which takes it half a minute.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from dateutil.rrule import rrulestr

FIELDS = 5
"""Of a cron expression; with a sixth it would count in seconds."""

TEXT_MAX = 200

_DAYS = {month: 31 for month in range(1, 13)} | {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_MONTHDAY = re.compile(r"-?([1-9]|[12][0-9]|3[01])\Z")
_MONTH = re.compile(r"([1-9]|1[0-2])\Z")
_DAY = re.compile(r"(?:[+-]?[1-5])?(MO|TU|WE|TH|FR|SA|SU)\Z")
_PARTS = {"BYMONTHDAY": _MONTHDAY, "BYMONTH": _MONTH, "BYDAY": _DAY}
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_SOME_DAY = datetime(2024, 1, 1)  # noqa: DTZ001  # local time of whatever zone


def zone_fault(name: str) -> str:
    """Returns why a name is no zone, or nothing."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "there is no such zone; write one of IANA's, such as Europe/Berlin"
    return ""


def cron_fault(text: str) -> str:
    """Returns why a text is no cron expression that comes true, or nothing."""
    if len(text.split()) != FIELDS:
        return f"it has {len(text.split())} fields, and not {FIELDS}"
    try:
        next(CronSim(text, _SOME_DAY))
    except CronSimError as error:
        return str(error)
    except StopIteration:
        return "it names no time that ever comes"
    return ""


def rrule_fault(text: str) -> str:
    """Returns why a text is no recurrence of days that comes true, or nothing."""
    pairs = [part.partition("=") for part in text.split(";")]
    parts = {name: value.split(",") for name, _, value in pairs}
    if len(parts) != len(pairs):
        return "a part of it stands there twice"
    frequency = "".join(parts.pop("FREQ", []))
    if frequency not in _FREQUENCIES:
        return f"FREQ is none of {', '.join(_FREQUENCIES)}"
    for name, values in parts.items():
        if name not in _PARTS:
            return f"{name:.40} cannot be used: only FREQ, BYDAY, BYMONTHDAY and BYMONTH name days by themselves"
        wrong = next((value for value in values if not _PARTS[name].match(value)), None)
        if wrong is not None:
            return f"{name} cannot be {wrong!r:.40}"
    fault = _missing(frequency, parts) or _impossible(frequency, parts)
    if fault:
        return fault
    try:
        rrulestr(text, dtstart=_SOME_DAY)
    except ValueError as error:
        return str(error)
    return ""


def _missing(frequency: str, parts: dict[str, list[str]]) -> str:
    """Returns which part would be taken from the day on which somebody happens to ask."""
    if frequency == "WEEKLY" and "BYDAY" not in parts:
        return "WEEKLY needs BYDAY"
    if frequency in ("MONTHLY", "YEARLY") and not {"BYDAY", "BYMONTHDAY"} & parts.keys():
        return f"{frequency} needs BYDAY or BYMONTHDAY"
    if frequency == "YEARLY" and "BYMONTH" not in parts:
        return "YEARLY needs BYMONTH"
    return ""


def _impossible(frequency: str, parts: dict[str, list[str]]) -> str:
    numbered = any(len(day) > len("MO") for day in parts.get("BYDAY", ()))
    if numbered and (frequency in ("DAILY", "WEEKLY") or "BYMONTHDAY" in parts):
        return "a number before a day is for MONTHLY and YEARLY, without BYMONTHDAY"
    longest = max(_DAYS[int(month)] for month in parts.get("BYMONTH", _DAYS))
    if min((abs(int(day)) for day in parts.get("BYMONTHDAY", ())), default=1) > longest:
        return "none of its months is so long"
    if frequency == "WEEKLY" and "BYMONTHDAY" in parts:
        return "BYMONTHDAY is not for WEEKLY"
    return ""
