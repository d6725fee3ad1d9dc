"""What the whole fleet says to each of its services: fuses, and failures that come together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.judging import Badness, badness
from reconciler.core.places import Bid, hand_out
from reconciler.model.believed import Believed
from reconciler.model.facts import Cell, FleetSummary, ServiceFacts
from reconciler.model.fleet_counts import Going
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
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
        caused: By which commit each of these came, which commit took it back, and when it was rejected.
        failed_at: When the failure of each was first seen, and since when it is over: None while it goes back.
        failing_at: Of each environment that fails now, since when; None: nobody has said.
            Of both, only those of failures that may be the platform's.
        failing_in: Of whatever cause, the environments that fail now.
        there: Environments that it is in, or goes from.
        going: Of those, the ones that it is asked to go from, and is not proven to have gone from.
        gone_at: Those that it is proven to have gone from, and since when.
    """

    service: ServiceName
    rejected_at: tuple[datetime, ...] = ()
    caused: tuple[tuple[CommitId, CommitId | None, datetime], ...] = ()
    failed_at: tuple[tuple[datetime, datetime | None], ...] = ()
    failing_at: tuple[datetime | None, ...] = ()
    failing_in: tuple[EnvironmentName, ...] = ()
    there: tuple[EnvironmentName, ...] = ()
    going: tuple[EnvironmentName, ...] = ()
    gone_at: tuple[tuple[EnvironmentName, datetime], ...] = ()


def counts_of(facts: ServiceFacts) -> Counts:
    """Returns what the fleet's sums need of a service: to be kept as long as its facts are the same."""
    own = tuple(rejection for cell in facts.cells for rejection in _made_here(cell))
    bad = {c.environment: found for c in facts.cells if (found := _bad(c)) is not None}
    gone = {c.environment: at for c in facts.cells if (at := _gone_at(c)) is not None}
    there = tuple(c.environment for c in facts.cells if _is_there(c) and c.environment not in gone)
    asked = {c.environment for c in facts.cells if c.ask.wanted and c.ask.wanted.absent}
    return Counts(
        facts.service,
        tuple(rejection.rejected_at for rejection in own),
        tuple((r.commit, r.revert.commit, r.rejected_at) for r in own),
        tuple((r.first_failure_at, _back_at(r)) for r in own if not r.names_release),
        tuple(b.member.health.first_failure_at for b in bad.values() if not b.names_release),
        tuple(bad),
        there,
        tuple(name for name in there if name in asked),
        tuple(gone.items()),
    )


def plan_fleet(
    services: Iterable[Counts],
    now: datetime,
    *,
    believed: Believed,
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
        believed: How many rejections are.
        halted: Why no forward move may be made anywhere, or empty.
        halted_reason: The reason that goes with it.
        keeps_time: Whether how long anything was well, or late, is counted here.
        bids: Of services that have, or ask for, a place to roll out.
    """
    recent: dict[ServiceName, list[datetime]] = {}
    failures: dict[ServiceName, list[datetime]] = {}
    failing: dict[ServiceName, list[datetime]] = {}
    services = tuple(services)
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
    until = {service: _blown_until(times, believed.of_service) for service, times in recent.items()}
    return FleetSummary(
        fuses_blown={service: at for service, at in until.items() if at is not None},
        fleet_fuse_blown=_blown_until(
            [t for times in recent.values() for t in times], believed.of_fleet
        ),
        commits_blown=_commits_blown(services, now, believed.of_commit),
        platform_incident=_together(failures, failing),
        going=_going(services, now),
        halted=halted,
        halted_reason=halted_reason,
        places=hand_out(bids),
        keeps_time=keeps_time,
    )


def _blown_until(rejected_at: list[datetime], an_hour: int) -> datetime | None:
    """Returns when so few rejections are young that they are believed again; None: they are now."""
    over = len(rejected_at) - an_hour
    return sorted(rejected_at)[over - 1] + FUSE_WINDOW if over > 0 else None


def _commits_blown(
    services: tuple[Counts, ...], now: datetime, an_hour: int
) -> dict[CommitId, datetime]:
    """Returns the commits of which more was rejected than is believed, and until when.

    What took a part of one back stands on top of it, and asks for the rest of it still.
    """
    young: dict[CommitId, list[tuple[datetime, CommitId | None]]] = {}
    for counts in services:
        for commit, revert, at in counts.caused:
            if now - at < FUSE_WINDOW:
                young.setdefault(commit, []).append((at, revert))
    found: dict[CommitId, datetime] = {}
    for commit, rejected in young.items():
        until = _blown_until([at for at, _ in rejected], an_hour)
        if until is not None:
            found |= dict.fromkeys((commit, *(r for _, r in rejected if r is not None)), until)
    return found


def _going(services: tuple[Counts, ...], now: datetime) -> dict[EnvironmentName, Going]:
    """Returns, of each environment from which anything goes, what does, how much there is, and what fails."""
    gone = {
        (counts.service, environment)
        for counts in services
        for environment, at in counts.gone_at
        if now - at < FUSE_WINDOW
    }
    going = gone | {(c.service, environment) for c in services for environment in c.going}
    return {
        environment: Going(
            tuple(sorted(service for service, where in going if where == environment)),
            sum(environment in c.there or (c.service, environment) in gone for c in services),
            tuple(sorted(c.service for c in services if environment in c.failing_in)),
        )
        for environment in sorted({environment for _, environment in going})
    }


def _gone_at(cell: Cell) -> datetime | None:
    """Returns since when a service is proven to be gone from a cell; None: it is not."""
    record = cell.record
    if record is None or record.admitted is None or not record.admitted.absent:
        return None
    return next((p.proven_at for p in record.proofs if p.revision.id == record.admitted.id), None)


def _is_there(cell: Cell) -> bool:
    return cell.record is not None and cell.record.admitted is not None


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
