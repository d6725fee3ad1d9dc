"""Windows in a policy's environment, as pydantic models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from reconciler.schema.parts import Part
from reconciler.schema.rules import TEXT_MAX, cron_fault, rrule_fault, zone_fault


def _checked(fault_of: Callable[[str], str]) -> AfterValidator:
    def check(text: str) -> str:
        why = fault_of(text)
        if why:
            # A brace would be taken for a place to fill in.
            raise PydanticCustomError("rule", "{why}", {"why": why})
        return text

    return AfterValidator(check)


_Text = StringConstraints(min_length=1, max_length=TEXT_MAX, pattern=r"^[ -~]+$")
Zone = Annotated[str, _Text, _checked(zone_fault)]
Cron = Annotated[str, _Text, _checked(cron_fault)]
Rrule = Annotated[str, _Text, _checked(rrule_fault)]
TimeOfDay = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class WindowFile(Part):
    """Opens at the times of `cron`, or at `start` on the days of `rrule`, and stays open for a while."""

    zone: Zone
    """An IANA zone, such as `Europe/Berlin`, in whose local time it begins and ends."""
    for_s: Annotated[float, Field(ge=60, le=31 * 86_400)]
    """Seconds by the clock on the wall: 28800 from 22:00 on is until 06:00, in every night of the year."""
    cron: Cron | None = None
    """When it begins: minute, hour, day of the month, month, day of the week; as in `0 9 * * 1-5`."""
    rrule: Rrule | None = None
    """On which days, by FREQ, BYDAY, BYMONTHDAY and BYMONTH of RFC 5545; as in `FREQ=WEEKLY;BYDAY=MO,TU`."""
    start: TimeOfDay | None = None
    """At what time of those days, as in `"09:00"`; only beside `rrule`."""

    @model_validator(mode="after")
    def _one_rule(self) -> WindowFile:
        if (self.cron is None) is (self.rrule is None):
            raise PydanticCustomError("rule", "it has not one of `cron` and `rrule`")
        if (self.start is None) is not (self.rrule is None):
            raise PydanticCustomError("rule", "`start` goes with `rrule`, and `rrule` with `start`")
        return self


class WindowsFile(Part):
    """When forward moves are let through: in any of `allow`, where there are some, and in none of `deny`."""

    allow: list[WindowFile] = Field(default_factory=list, max_length=20)
    """Open in any of these; left out, always."""
    deny: list[WindowFile] = Field(default_factory=list, max_length=20)
    """Shut in each of these."""
