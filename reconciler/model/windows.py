"""When forward moves are let through: windows of local time that come again and again."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """Opens at times that a rule names, and stays open for a while; one of `cron` and `rrule` is given.

    Attributes:
        zone: An IANA zone, in whose local time it begins and ends.
        for_s: Seconds by the clock on the wall: from 22:00 for 8 hours is until 06:00, whatever the night.
        cron: Five fields: minute, hour, day of the month, month and day of the week.
        rrule: Days, as RFC 5545 writes a recurrence.
        start: The time of those days, `09:00`; empty beside `cron`.
    """

    zone: str
    for_s: float
    cron: str = ""
    rrule: str = ""
    start: str = ""


@dataclass(frozen=True, slots=True)
class Windows:
    """Where one environment's forward moves are let through: in any of `allow`, and in none of `deny`.

    Attributes:
        allow: None given: always.
    """

    allow: tuple[Window, ...] = ()
    deny: tuple[Window, ...] = ()


ALWAYS = Windows()
