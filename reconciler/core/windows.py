"""Whether a window of local time is open at an instant, and when the next one opens.

A local time stands for the first instant at which the clock on the wall shows it or a later one. So what
falls into the hour that is left out in spring is at its end, and what comes twice in autumn is the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim
from dateutil.rrule import rrule, rrulestr

from reconciler.model.windows import Window, Windows

LOOKS_MAX = 1_000
"""Ends and beginnings that are looked at for the next opening: some years of days, half a day of minutes."""

YEARS_MAX = 30
"""How far ahead a rule is followed; 29 February on a Monday comes every 28 years, save around 2100."""

_SECOND = timedelta(seconds=1)


def is_open(windows: Windows, now: datetime) -> bool:
    """Tells whether forward moves are let through.

    Args:
        windows: An environment's.
        now: UTC.
    """
    allowed = not windows.allow or any(_end(window, now) for window in windows.allow)
    return allowed and not any(_end(window, now) for window in windows.deny)


def opens_at(every: tuple[Windows, ...], now: datetime) -> datetime | None:
    """Returns the first instant, now or later, at which all are open; None where none was found.

    Args:
        every: All of which must be.
        now: UTC.
    """
    at = now
    for _ in range(LOOKS_MAX):
        following = _look_again(every, at)
        if following is None:
            return at if all(is_open(windows, at) for windows in every) else None
        at = following
    return None


def _look_again(every: tuple[Windows, ...], at: datetime) -> datetime | None:
    """Returns the next instant at which one that is shut may be open; None: none is, or none will be."""
    ends = [end for one in every for window in one.deny if (end := _end(window, at)) is not None]
    if ends:
        return max(ends)
    for windows in every:
        if not is_open(windows, at):
            begins = (_next(window, at) for window in windows.allow)
            return min((begin for begin in begins if begin is not None), default=None)
    return None


def _end(window: Window, now: datetime) -> datetime | None:
    """Returns when a window that is open now ends; None where it is shut."""
    zone = _zone(window.zone)
    for begin in _before(window, _shown(now, zone)):
        # What the clock has yet to show again it showed an hour ago: it has begun all the same.
        if instant(begin, zone) <= now:
            end = instant(begin + timedelta(seconds=window.for_s), zone)
            return end if now < end else None
    return None


def _next(window: Window, now: datetime) -> datetime | None:
    """Returns when a window begins next, after now."""
    zone = _zone(window.zone)
    for begin in _after(window, now.astimezone(zone).replace(tzinfo=None)):
        found = instant(begin, zone)
        if found > now:
            return found
    return None


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Returns the first instant at which the clock of a zone shows a local time or a later one, in UTC."""
    found = local.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local:
        return found
    # It is never shown: the clock is put forward between what the two offsets around that make of it.
    low = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while found - low > _SECOND:
        middle = low + (found - low) // (2 * _SECOND) * _SECOND
        middle = middle if middle > low else low + _SECOND
        if middle.astimezone(zone).replace(tzinfo=None) >= local:
            found = middle
        else:
            low = middle
    return found


def _shown(now: datetime, zone: ZoneInfo) -> datetime:
    """Returns the latest that the clock on the wall has shown: more than now, in an hour that comes twice."""
    local = now.astimezone(zone)
    plain = local.replace(tzinfo=None)
    if not local.fold:
        return plain
    first, second = (plain.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return plain + ((first or timedelta()) - (second or timedelta()))


def _before(window: Window, local: datetime) -> Iterator[datetime]:
    """Yields when a window began, up to a local time, the latest first, as far as it may be open yet."""
    earliest = local - timedelta(seconds=window.for_s) - timedelta(days=2)
    if window.cron:
        # It counts from the next second backwards, so that this one is among them.
        times: Iterator[datetime] = CronSim(window.cron, local + _SECOND, reverse=True)
    else:
        times = reversed(_rule(window, earliest).between(earliest, local, inc=True))
    for begin in islice(times, LOOKS_MAX):
        if begin < earliest:
            return
        if begin <= local:
            yield begin


def _after(window: Window, local: datetime) -> Iterator[datetime]:
    """Yields when a window begins after a local time."""
    if window.cron:
        times: Iterator[datetime] = CronSim(window.cron, local)
    else:
        times = _rule(window, local).xafter(local)
    last = local + timedelta(days=366 * YEARS_MAX)
    for begin in islice(times, LOOKS_MAX):
        if begin > last:
            return
        yield begin


def _rule(window: Window, local: datetime) -> rrule:
    """Returns a recurrence that is followed from the day before a local time on, and not without end."""
    begin = datetime.combine(local.date() - timedelta(days=1), time.fromisoformat(window.start))
    until = begin + timedelta(days=366 * YEARS_MAX)
    found = rrulestr(window.rrule, dtstart=begin)
    assert isinstance(found, rrule)
    return found.replace(until=until)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
