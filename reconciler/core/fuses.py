"""What the whole fleet says to each of its services: fuses, and failures that come together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.judging import Badness, badness
from reconciler.core.places import Bid, hand_out
from reconciler.model.facts import Cell, FleetSummary, ServiceFacts
from reconciler.model.names import ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import Rejection

FUSE_WINDOW = timedelta(hours=1)
"""How far back automatic rejections count; the limits are set per hour."""

INCIDENT_WINDOW = timedelta(seconds=120)
"""Failures of several services closer together than this are held as the platform's."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the fleet's sums need of one service.

    Attributes:
        rejected_at: Of each rejection that was made in an environment itself.
        failed_at: When the failure of each was first seen, and since when it is over: None while it goes back.
        failing_at: Of each environment that fails now, since when; None: nobody has said.
            Of both, only those of failures that may be the platform's.
    """

    service: ServiceName
    rejected_at: tuple[datetime, ...] = ()
    failed_at: tuple[tuple[datetime, datetime | None], ...] = ()
    failing_at: tuple[datetime | None, ...] = ()


def counts_of(facts: ServiceFacts) -> Counts:
    """Returns what the fleet's sums need of a service: to be kept as long as its facts are the same."""
    own = tuple(rejection for cell in facts.cells for rejection in _made_here(cell))
    bad = (found for cell in facts.cells if (found := _bad(cell)) is not None)
    return Counts(
        facts.service,
        tuple(rejection.rejected_at for rejection in own),
        tuple((r.first_failure_at, _back_at(r)) for r in own if not r.names_release),
        tuple(one.member.health.first_failure_at for one in bad if not one.names_release),
    )


def plan_fleet(
    services: Iterable[Counts],
    now: datetime,
    *,
    service_an_hour: int,
    fleet_an_hour: int,
    halted: str = "",
    halted_reason: Reason | None = None,
    keeps_time: bool = True,
    bids: Iterable[Bid] = (),
) -> FleetSummary:
    """Counts rejections and failures over the whole fleet.

    What names its release says nothing of the platform, however many of them there are (ADR 21).

    A fuse is blown by the first rejection over its limit, and whole again as they grow old.

    Args:
        services: Of every service, what is counted.
        now: Wall time, UTC.
        service_an_hour: Rejections of one service that are believed.
        fleet_an_hour: Rejections in the whole fleet that are believed.
        halted: Why no forward move may be made anywhere, or empty.
        halted_reason: The reason that goes with it.
        keeps_time: Whether how long anything was well, or late, is counted here.
        bids: Of services that have, or ask for, a place to roll out.
    """
    recent: dict[ServiceName, list[datetime]] = {}
    failures: dict[ServiceName, list[datetime]] = {}
    failing: dict[ServiceName, list[datetime]] = {}
    for counts in services:
        young = [at for at in counts.rejected_at if now - at < FUSE_WINDOW]
        if young:
            recent[counts.service] = young
        now_failing = [at or now for at in counts.failing_at]
        if now_failing:
            failing[counts.service] = now_failing
        # What going back has healed for so long was the release's own, and says nothing of others.
        past = [at for at, back in counts.failed_at if not back or now - back < INCIDENT_WINDOW]
        if past or now_failing:
            failures[counts.service] = [*past, *now_failing]
    until = {service: _blown_until(times, service_an_hour) for service, times in recent.items()}
    return FleetSummary(
        fuses_blown={service: at for service, at in until.items() if at is not None},
        fleet_fuse_blown=_blown_until(
            [t for times in recent.values() for t in times], fleet_an_hour
        ),
        platform_incident=_together(failures, failing),
        halted=halted,
        halted_reason=halted_reason,
        places=hand_out(bids),
        keeps_time=keeps_time,
    )


def _blown_until(rejected_at: list[datetime], an_hour: int) -> datetime | None:
    """Returns when so few rejections are young that they are believed again; None: they are now."""
    over = len(rejected_at) - an_hour
    return sorted(rejected_at)[over - 1] + FUSE_WINDOW if over > 0 else None


def _made_here(cell: Cell) -> tuple[Rejection, ...]:
    """Returns the rejections of a cell, without those it took over from an environment before it."""
    rejections = cell.record.rejections if cell.record else ()
    return tuple(r for r in rejections if r.environments[0] == cell.environment)


def _back_at(rejection: Rejection) -> datetime | None:
    """Returns since when a rejection's failure is over; with nothing to go back to, what fails now says so itself."""
    return rejection.rolled_back_at if rejection.restore_to else rejection.rejected_at


def _bad(cell: Cell) -> Badness | None:
    admitted = cell.record.admitted if cell.record else None
    return badness(cell.counted, admitted) if admitted is not None else None


def _together(
    failures: dict[ServiceName, list[datetime]], failing: dict[ServiceName, list[datetime]]
) -> frozenset[ServiceName]:
    """Returns the services failing now of which another turned bad at nearly the same time."""
    return frozenset(
        service
        for service, now_failing in failing.items()
        if any(
            abs(mine - theirs) < INCIDENT_WINDOW
            for mine in now_failing
            for other, times in failures.items()
            if other != service
            for theirs in times
        )
    )
