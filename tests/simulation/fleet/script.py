"""What happens in a run, turn by turn; all of it is decided before the run begins, from its seed alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.simulated.behaviour import Fate
from tests.simulation.fleet.fleets import chosen
from tests.simulation.fleet.shape import Environment, Fleet

TURNS = 200
"""The least that a script may have."""

FAULTS_MIN = 10


class Kind(StrEnum):
    """Who does what; those of FAULTS are done by nobody."""

    RELEASE = "release"
    RELEASE_MANY = "release of many"
    REVERT = "revert by hand"
    REPIN = "re-pin of what was bad"
    VALUES = "edit of values"
    TREE = "edit of manifests"
    POLICY = "edit of the policy"
    PAUSE = "pause"
    RESUME = "resume"
    LIFT = "lift of a quarantine"
    UNQUARANTINE = "quarantine file deleted"
    REMOVE = "removal from the fleet"
    RESTORE = "return to the fleet"
    BREAK = "broken file"
    MEND = "mended file"
    OBSERVE = "observe"
    ENFORCE = "enforce"
    FREEZE = "freeze"
    THAW = "thaw"
    WINDOW = "window shut"
    APPROVE = "approval"
    JOIN = "cluster joins"
    DRAIN = "cluster drains"
    ACTIVATE = "cluster in use"
    SUSPEND = "suspended by hand"
    UPGRADE = "daemon upgraded"
    BAD_TREE = "manifests that are refused"
    ONE_WAY = "manifests with a Job"
    HAND_EDIT = "edit by hand on a cluster"
    HAND_SECRET = "edit of a Secret by hand"
    HAND_DELETE = "delete by hand on a cluster"
    DOWN = "cluster down"
    HANG = "cluster hangs"
    SLOW = "cluster slow"
    FORBID = "cluster forbids"
    FLAKY = "cluster errs"
    STALE = "watches stale"
    EXPIRED = "watches expired"
    NODES = "nodes fail"
    GIT_DOWN = "git down"
    GIT_RACE = "git race"
    GIT_REFUSES = "git refuses"
    GIT_DROPS = "git drops"
    GIT_BREAKS_OFF = "git breaks off"
    REWRITE = "history rewritten"
    CLOCK = "clock jumps"
    KILL = "killed between calls"
    KILL_BEFORE_WRITE = "killed before a write"
    KILL_AFTER_WRITE = "killed after a write"
    STALL = "stalled"
    SECOND = "second daemon"
    RECORDS_LOST = "records lost"


FAULTS = tuple(kind for kind in Kind if list(Kind).index(kind) >= list(Kind).index(Kind.DOWN))
ON_CLUSTERS = (
    Kind.DOWN,
    Kind.HANG,
    Kind.SLOW,
    Kind.FORBID,
    Kind.FLAKY,
    Kind.STALE,
    Kind.EXPIRED,
    Kind.NODES,
)

PEOPLE: dict[Kind, int] = {
    Kind.RELEASE: 14,
    Kind.RELEASE_MANY: 3,
    Kind.REVERT: 2,
    Kind.REPIN: 3,
    Kind.VALUES: 4,
    Kind.TREE: 4,
    Kind.POLICY: 2,
    Kind.PAUSE: 2,
    Kind.LIFT: 3,
    Kind.UNQUARANTINE: 1,
    Kind.REMOVE: 2,
    Kind.BREAK: 2,
    Kind.OBSERVE: 2,
    Kind.FREEZE: 3,
    Kind.WINDOW: 1,
    Kind.JOIN: 1,
    Kind.DRAIN: 1,
    Kind.SUSPEND: 1,
    Kind.UPGRADE: 2,
    Kind.BAD_TREE: 1,
    Kind.HAND_EDIT: 2,
    Kind.HAND_SECRET: 1,
    Kind.HAND_DELETE: 1,
}
"""How often people do what, of one another; what undoes a thing comes with it."""

STOPPING = frozenset(
    {
        Kind.PAUSE,
        Kind.OBSERVE,
        Kind.FREEZE,
        Kind.JOIN,
        Kind.DRAIN,
        Kind.SUSPEND,
        Kind.HAND_SECRET,
    }
)
"""What people do to hold something up for a while, or to one cluster."""

FATES = (Fate.CRASH, Fate.OOM, Fate.NO_IMAGE, Fate.DENIED, Fate.NO_CONFIG, Fate.CRASH)
"""Of releases that are bad by their own fault, and seen to be."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happens at the beginning of a turn.

    Attributes:
        span: For how many turns it lasts, where it lasts.
        where: Clusters on which a release is bad, or what is removed.
        number: What else there is to choose, as its kind reads it.
        others: Of a commit that holds several releases.
    """

    turn: int
    kind: Kind
    service: str = ""
    environment: str = ""
    cluster: str = ""
    version: str = ""
    span: int = 0
    fate: Fate = Fate.READY
    where: tuple[str, ...] = ()
    number: float = 0.0
    others: tuple[Event, ...] = ()

    def __str__(self) -> str:
        about = [self.service, self.version, self.environment, self.cluster, *self.where]
        fate = [self.fate.value] if self.fate is not Fate.READY else []
        span = [f"for {self.span} turns"] if self.span else []
        number = [f"{self.number:g}"] if self.number else []
        more = [f"[{other}]" for other in self.others]
        return " ".join([self.kind.value, *filter(None, about), *fate, *number, *span, *more])


@dataclass(frozen=True, slots=True)
class Script:
    """A whole run.

    Attributes:
        steps: Virtual seconds of each turn.
        fuses: How many rejections are believed, of a service and of the fleet.
    """

    seed: int
    fleet: Fleet
    steps: tuple[float, ...]
    events: tuple[Event, ...]
    fuses: tuple[int, int]
    home: str


def written(seed: int) -> Script:
    """Returns the script of a seed."""
    chance = random.Random(seed)
    fleet = chosen(chance)
    turns = TURNS + chance.randrange(20)
    steps = tuple(round(chance.choice((0.3, 1.0, 2.0, 3.0, 5.0)) * chance.uniform(0.5, 1.5), 3)
                  for _ in range(turns))  # fmt: skip
    # Bad releases that come fast are held as the platform's; some fleets see one at a time.
    writer = _Writer(chance, fleet, turns, chance.choice((0.25, 0.25, 0.5)))
    more = _one_ways(random.Random(f"{seed}: what cannot come back"), fleet, turns)
    events = tuple(sorted((*writer.events(), *more), key=lambda event: event.turn))
    fuses = chance.choice(((1, 3), (20, 60), (20, 60), (20, 60)))
    home = chance.choice(sorted(fleet.clusters()))
    return Script(seed, fleet, steps, events, fuses, home)


# What happens.


@dataclass(slots=True)
class _Writer:
    chance: random.Random
    fleet: Fleet
    turns: int
    bad_share: float
    _minor: dict[str, int] = field(default_factory=dict)
    _bad: list[tuple[str, str]] = field(default_factory=list)

    def events(self) -> Iterator[Event]:
        services = [one.name for one in self.fleet.services]
        first = tuple(Event(0, Kind.RELEASE, service, version="1.0.0") for service in services)
        yield Event(0, Kind.RELEASE_MANY, others=first)
        last = self.turns - 5
        has_approvals = any(one.rules.approval for one in self.fleet.environments)
        begin = self.chance.randint(8, 45)
        faults = 0
        for turn in range(1, last):
            if turn >= begin and self.chance.random() < 0.17:
                yield from self._person(turn)
            if has_approvals and turn >= 3 and self.chance.random() < 0.15:
                yield Event(turn, Kind.APPROVE)
            if turn >= 3 and self.chance.random() < 0.085:
                faults += 1
                yield from self._fault(turn)
        for _ in range(FAULTS_MIN - faults):
            yield from self._fault(self.chance.randrange(3, last))

    def _span(self) -> int:
        return self.chance.choice((1, 2, 4, 8, 15))

    def _release(self, turn: int, service: str) -> Event:
        self._minor[service] = minor = self._minor.get(service, 0) + 1
        version = f"1.{minor}.0"
        if self.chance.random() >= self.bad_share:
            return Event(turn, Kind.RELEASE, service, version=version)
        self._bad.append((service, version))
        names = [one.name for one in self.fleet.environments]
        begin = self.chance.randrange(len(names))
        where = [c for one in self.fleet.environments[begin:] for c in one.names()]
        if self.chance.random() < 0.25:
            where = [self.chance.choice(where)]
        fate = self.chance.choice(FATES)
        return Event(turn, Kind.RELEASE, service, version=version, fate=fate, where=tuple(where))

    def _person(self, turn: int) -> Iterator[Event]:
        chance = self.chance
        kind = chance.choices(list(PEOPLE), list(PEOPLE.values()))[0]
        service = chance.choice(self.fleet.services).name
        environment = chance.choice(self.fleet.environments)
        cluster = chance.choice(environment.names())
        later = turn + self._span() + 1
        number = float(chance.randint(1, 3))
        match kind:
            case Kind.RELEASE:
                yield self._release(turn, service)
            case Kind.RELEASE_MANY:
                some = chance.sample(self.fleet.services, chance.randint(2, 3))
                yield Event(turn, kind, others=tuple(self._release(turn, s.name) for s in some))
            case Kind.REPIN:
                if self._bad:
                    service, version = chance.choice(self._bad)
                    yield Event(turn, kind, service, version=version)
            case Kind.POLICY:
                yield Event(turn, kind, environment=environment.name, number=number + 2)
            case Kind.REMOVE:
                what = chance.choice((environment.name, cluster))
                yield Event(turn, kind, where=(what,))
                yield Event(later, Kind.RESTORE, where=(what,))
            case Kind.BREAK:
                file = chance.choice(("fleet.yaml", "policies/line.yaml",
                    f"services/{service}/service.yaml", f"services/{service}/app.yaml",
                    f"environments/{environment.name}/{service}.yaml"))  # fmt: skip
                yield Event(turn, kind, where=(file,))
                yield Event(later, Kind.MEND, where=(file,))
            case kind if kind in STOPPING:
                yield from self._stop(turn, later, kind, service, environment)
            case Kind.HAND_DELETE if self.fleet.drift == "report":
                # What is missing and only reported is a person's to mend: nobody is left to at the end of a run.
                return
            case Kind.HAND_EDIT | Kind.HAND_DELETE:
                yield Event(turn, kind, service, environment.name, cluster, number=number)
            case _:
                yield Event(turn, kind, service, environment.name, number=number)

    def _stop(
        self, turn: int, later: int, kind: Kind, service: str, environment: Environment
    ) -> Iterator[Event]:
        chance = self.chance
        cluster = chance.choice(environment.names())
        match kind:
            case Kind.PAUSE:
                yield Event(turn, kind, service, environment.name)
                yield Event(later, Kind.RESUME, service, environment.name)
            case Kind.OBSERVE:
                yield Event(turn, kind, service)
                yield Event(turn + chance.choice((8, 40)), Kind.ENFORCE, service)
            case Kind.FREEZE:
                scope = chance.choice(
                    ("fleet", f"environment/{environment.name}", f"service/{service}")
                )
                # Every third ends by itself.
                number = chance.choice((0.0, 0.0, 20.0))
                yield Event(turn, kind, where=(scope,), number=number)
                later = turn + chance.choice((4, 15, 40))
                yield Event(later, Kind.THAW, where=(scope,))
            case Kind.JOIN | Kind.DRAIN:
                yield Event(turn, kind, cluster=cluster)
                yield Event(later, Kind.ACTIVATE, cluster=cluster)
            case Kind.HAND_SECRET:
                secret = chance.choice([one.name for one in self.fleet.services if one.has_secret])
                yield Event(turn, kind, secret, environment.name, cluster)
            case Kind.SUSPEND:
                number = float(chance.choice((10, 30)))
                yield Event(turn, kind, service, environment.name, cluster, number=number)

    def _fault(self, turn: int) -> Iterator[Event]:
        chance = self.chance
        kind = chance.choice(FAULTS)
        cluster = chance.choice(sorted(self.fleet.clusters())) if kind in ON_CLUSTERS else ""
        number = 0.0
        if kind in (Kind.KILL, Kind.KILL_AFTER_WRITE, Kind.KILL_BEFORE_WRITE):
            number = float(chance.randint(1, 60) if kind is Kind.KILL else chance.randint(1, 12))
        elif kind is Kind.CLOCK:
            number = float(chance.choice((-3600, -120, -20, 20, 120, 3600)))
        elif kind is Kind.SLOW:
            number = chance.choice((0.1, 0.3, 0.6))
        elif kind is Kind.GIT_RACE:
            number = float(chance.randint(0, 1))
        # Now and then a cluster is away for longer than anything may take that does not wait for it.
        is_long = kind in (Kind.DOWN, Kind.HANG) and chance.random() < 0.4
        span = 45 if is_long else self._span()
        yield Event(turn, kind, cluster=cluster, span=span, number=number)


def _one_ways(chance: random.Random, fleet: Fleet, turns: int) -> Iterator[Event]:
    """Every second run has a release that cannot come back, which nobody accepts; the next tree can again."""
    if chance.random() < 0.5:
        service = chance.choice(fleet.services).name
        turn = chance.randrange(40, turns - 60)
        yield Event(turn, Kind.ONE_WAY, service)
        yield Event(turn + chance.randrange(20, 50), Kind.TREE, service, number=1.0)
