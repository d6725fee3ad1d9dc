"""The world of the search as values: Git, the home and the clusters, with only so much of time as decides."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Generic, TypeVar

from reconciler.core.renders import together
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.facts import (
    Ask,
    Cell,
    LiveState,
    Member,
    MemberHealth,
    Ordered,
    ServiceFacts,
)
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, EnvironmentName, RenderDigest
from reconciler.model.path import Path
from reconciler.model.policy import DriftMode, EnvironmentPolicy
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord, Proof, Rejection, ServiceRecord
from reconciler.model.release import Revision
from tests.fakes.facts import CRASHING, CURRENT, LONG_S, NOW, STARTING, V1, V2, WEB, comes_back
from tests.fakes.records import COMMIT

WATCHED, OVER = NOW + timedelta(minutes=10), NOW - timedelta(seconds=1)
"""The two ends of a watch window that differ: one to come, and one that is past."""

GOOD, DOUBTFUL = V1, V2
"""The release that comes first and never fails, and the one that may."""

READING = MemberHealth(reason="BeingRead", message="it is being read")


class Seen(IntEnum):
    """How what is applied on a cluster does, as far as that decides anything."""

    STARTING = 0
    CURRENT = 1
    SOAKED = 2
    FAILED = 3


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster of one environment.

    Attributes:
        asked: Its service record; None while it has none.
        order: What waits to be carried out there, as the record will be once it is.
        busy: What its record asks for is being applied.
        does: How what is applied does.
        read: The daemon has looked at it since it was started.
    """

    asked: ServiceRecord | None = None
    order: ServiceRecord | None = None
    busy: bool = False
    does: Seen = Seen.STARTING
    read: bool = True

    @property
    def runs(self) -> Revision | None:
        """What its last whole delivery gave it, if its record still asks for that."""
        is_given = self.asked is not None and self.asked.applied == self.asked.revision.id
        return self.asked.revision if self.asked is not None and is_given else None

    def is_on(self, revision: Revision) -> bool:
        """Whether it was given a revision, and nothing else is being done there."""
        return self.runs == revision and self.asked is not None and self.asked.is_observed


@dataclass(frozen=True, slots=True)
class Place:
    """One environment: its promotion record and clusters, and what the search itself has seen happen.

    Attributes:
        soaked: Releases that every cluster was seen to run well at once for a whole soak.
        proved: Those of which the daemon wrote down a proof.
        rejected: Those of which it wrote down a rejection that nobody has lifted.
        ever: Those of which it wrote one down, lifted or not.
    """

    record: PromotionRecord | None
    clusters: tuple[Cluster, ...]
    soaked: frozenset[Revision] = frozenset()
    proved: frozenset[Revision] = frozenset()
    rejected: frozenset[Revision] = frozenset()
    ever: frozenset[Revision] = frozenset()

    def order(self, at: int, cluster: Cluster) -> Place:
        """Returns it with another cluster in the place of one."""
        return replace(self, clusters=(*self.clusters[:at], cluster, *self.clusters[at + 1 :]))


@dataclass(frozen=True, slots=True)
class Head:
    """What HEAD says: each environment's pin, and the quarantine file."""

    pins: tuple[Revision, ...]
    entries: tuple[QuarantineEntry, ...] = ()


Owed = tuple[tuple[int, Rejection], ...]
"""The commits that the daemon's memory holds as still to be made: where, and for which rejection."""

Value = TypeVar("Value", bound=Hashable)


class Numbers(Generic[Value]):
    """Gives each value that is met a number, so that a state of the world is a few integers."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._numbers: dict[Value, int] = {}

    def of(self, value: Value) -> int:
        """Returns a value's number."""
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
        return number


@dataclass(frozen=True, slots=True)
class Fleet:
    """Which environments there are, on a line, and their clusters in waves.

    Attributes:
        crashes: How often the daemon may die.
        begun: Whether the good release is proven everywhere when it begins.
        lifts: Whether a person may lift the rejection and merge the release again, once.
        reads: Whether the only cluster of an environment, too, may be read late after a start.
        live: What stands on clusters that we never wrote to: nothing, or what the pins ask for.
    """

    waves: tuple[tuple[EnvironmentName, tuple[tuple[ClusterName, ...], ...]], ...]
    crashes: int = 1
    begun: bool = False
    lifts: bool = False
    reads: bool = False
    live: LiveState = LiveState.ABSENT

    def environments(self) -> tuple[EnvironmentName, ...]:
        """Returns their names, in order."""
        return tuple(name for name, _ in self.waves)

    def clusters(self, at: int) -> tuple[ClusterName, ...]:
        """Returns the clusters of one environment."""
        return tuple(cluster for wave in self.waves[at][1] for cluster in wave)

    def is_symmetric(self, at: int) -> bool:
        """Whether nothing tells the clusters of an environment apart but their names."""
        return len(self.waves[at][1]) == 1

    def path(self) -> Path:
        """Returns the path."""
        return Path.line(self.environments())

    def policy(self, at: int) -> EnvironmentPolicy:
        """Returns an environment's rules."""
        return EnvironmentPolicy(60.0, 600.0, 600.0, self.waves[at][1], DriftMode.REPORT)


def fleet(
    *sizes: str,
    crashes: int = 1,
    begun: bool = False,
    lifts: bool = False,
    reads: bool = False,
    live: LiveState = LiveState.ABSENT,
) -> Fleet:
    """Returns a fleet of as many environments as sizes: `2` are two clusters at once, `1+1` one after the other."""
    made = []
    for name, size in zip(("dev", "staging", "prod")[-len(sizes) :], sizes, strict=True):
        numbers = iter(range(1, 100))
        waves = tuple(
            tuple(ClusterName(f"{name}-{next(numbers)}") for _ in range(int(wave)))
            for wave in size.split("+")
        )
        made.append((EnvironmentName(name), waves))
    return Fleet(tuple(made), crashes, begun, lifts, reads, live)


def digest(revision: Revision) -> RenderDigest:
    """Returns what a revision renders to on a cluster."""
    return RenderDigest(revision.id)


def cell(fleet: Fleet, at: int, place: Place, head: Head) -> Cell:
    """Returns what the daemon sees of an environment."""
    environment, wanted = fleet.environments()[at], head.pins[at]
    held = [entry for entry in head.entries if environment in entry.environments]
    names = fleet.clusters(at)
    ask = Ask(
        wanted=wanted,
        renders=together((name, digest(wanted)) for name in names),
        commit=COMMIT,
        policy=fleet.policy(at),
        policy_digest="sha256:p",
        quarantine=tuple(entry for entry in held if entry.lifted is None),
        lifted=tuple(entry for entry in held if entry.lifted is not None),
    )
    pairs = zip(names, place.clusters, strict=True)
    members = tuple(_member(fleet, name, cluster) for name, cluster in pairs)
    return Cell(environment, comes_back(ask, place.record), place.record, True, members)


def _member(fleet: Fleet, name: ClusterName, cluster: Cluster) -> Member:
    does = cluster.does if cluster.runs is not None else Seen.STARTING
    if cluster.asked is None and fleet.live is LiveState.EQUAL:
        does = Seen.CURRENT
    health = {Seen.STARTING: STARTING, Seen.FAILED: CRASHING}.get(does, CURRENT)
    order = Ordered(cluster.order.revision.id) if cluster.order is not None else None
    return Member(
        name,
        reachable=True,
        synced=cluster.read,
        record=cluster.asked,
        health=health if cluster.read else READING,
        healthy_s=LONG_S if does is Seen.SOAKED and cluster.read else 0.0,
        order=order,
        live=fleet.live if cluster.asked is None else LiveState.UNKNOWN,
        live_for_s=9.0,
    )


UNSEEN = Ask(None, None, None, reason=Reason.GIT_UNKNOWN, message="it is not looked at")


def facts(fleet: Fleet, cells: tuple[Cell, ...]) -> ServiceFacts:
    """Returns the service's facts; environments after those that are given are not known."""
    rest = fleet.environments()[len(cells) :]
    blank = (Cell(name, UNSEEN, None, record_known=False, members=()) for name in rest)
    return ServiceFacts(WEB, Mode.ENFORCE, fleet.path(), (*cells, *blank))


def in_short(record: PromotionRecord) -> PromotionRecord:
    """Returns a record with the times and texts that decide nothing taken out, so that equals are equal."""
    rollout = record.rollout
    proofs = tuple(
        replace(p, proven_at=NOW, watch_until=p.watch_until and _end(p)) for p in record.proofs
    )
    rejections = tuple(map(_in_short, record.rejections))
    return replace(
        record,
        # Its rules have it superseded at once, so that it says nothing in whose place it came.
        rollout=replace(rollout, admitted_at=NOW, began_at=None) if rollout is not None else None,
        proofs=proofs,
        rejections=rejections,
        version="1",
    )


def _end(proof: Proof) -> datetime:
    """Returns the end of its watch; over what never fails no watch decides anything."""
    is_watched = proof.watch_until is not None and proof.watch_until > NOW
    return WATCHED if is_watched and proof.revision == DOUBTFUL else OVER


def _in_short(rejection: Rejection) -> Rejection:
    return replace(
        rejection,
        message="",
        cluster=ClusterName("any"),
        evidence=(),
        first_failure_at=NOW,
        rolled_back_at=rejection.rolled_back_at and NOW,
    )
