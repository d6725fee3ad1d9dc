"""One run: a script is played, everything is checked after each turn, and then all must come to rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from structlog.testing import capture_logs

from tests.simulation.fleet.faults import Faults
from tests.simulation.fleet.liveness import Liveness
from tests.simulation.fleet.people import People
from tests.simulation.fleet.safety import Safety, says
from tests.simulation.fleet.script import FAULTS, Script
from tests.simulation.fleet.stops import STOPS, Stops
from tests.simulation.fleet.world import FleetWorld, Line

LIVENESS_TURNS = 150
LIVENESS_TURN_S = 4.0
"""What everything must settle within, once nobody does anything any more."""

EXPLAINED_EVERY = 10
"""Turns between two looks at whether each cell that is held says why."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a run.

    Attributes:
        broken: Each invariant that was found broken, with what was seen; empty when all is well.
        table: How often a daemon did what under which fault; the empty fault is any time.
        settled_s: Virtual seconds until all was at rest after the last fault.
    """

    seed: int
    broken: tuple[str, ...]
    digest: str
    table: Counter[tuple[str, str]]
    lines: tuple[Line, ...]
    faults: int
    turns: int
    virtual_s: float
    settled_s: float


class Play:
    """Plays a script, as a task of the world that it plays in: so that requests that hang do not stop it."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.world = FleetWorld(script)
        self.people = People(self.world)
        self.stops = Stops(self.people)
        self.faults = Faults(self.world, self.people)
        self.safety = Safety(self.world.witness)
        self.liveness = Liveness(self.world, self.people)
        self._turn = 0
        self._calm = 0
        self._done = False
        self.settled_s = 0.0

    def run(self) -> Played:
        """Plays it to its end."""
        self.people.begin()
        self.world.start()
        self.world.runner.spawn("script", self._step)
        with capture_logs() as logs:
            self.world.runner.run_until(
                lambda: self._done or bool(self.world.broken), limit_s=1_000_000
            )
        if any(says(str(entry)) for entry in logs) or any(says(repr(e)) for e in self.world.events):
            self.world.broken.append("i14_no_secret_is_said: a log line or an event says it")
        crashes = [entry for entry in logs if entry["event"] in ("step-crashed", "bug")]
        if crashes:
            self.world.broken.append(f"i00_no_step_crashes: {crashes[0]}")
        script = self.script
        return Played(
            script.seed,
            tuple(self.world.broken),
            self.world.digest(),
            self.world.table,
            tuple(self.world.lines),
            sum(event.kind in FAULTS for event in script.events),
            len(script.steps),
            self.world.now_s,
            self.settled_s,
        )

    def _step(self) -> float:
        try:
            return self._next()
        except Exception as error:  # a fault of the simulation must not pass for a run
            self.world.broken.append(f"the simulation failed: {error!r}")
            raise

    def _next(self) -> float:
        world = self.world
        world.broken.extend(self.safety.broken(world.now_s))
        if self._turn < len(self.script.steps):
            if self._turn % EXPLAINED_EVERY == 0:
                world.broken.extend(f"stuck: {what}" for what in self.liveness.unexplained())
            self._begin_turn()
            self._turn += 1
            return self.script.steps[self._turn - 1]
        if self._calm == 0:
            world.say("", "faults stop, and people stop")
            self.faults.end_all()
            self.people.end()
            self.stops.end()
            self._began_s = world.now_s
        self._calm += 1
        unsettled = self.liveness.unsettled()
        if self._calm > 2 and not unsettled:
            self.settled_s = world.now_s - self._began_s
            world.broken.extend(self.liveness.wrong())
            self._done = True
        elif self._calm > LIVENESS_TURNS:
            world.broken.extend(f"liveness: {what}" for what in unsettled)
            self._done = True
        return LIVENESS_TURN_S

    def _begin_turn(self) -> None:
        self.faults.turn(self._turn)
        for event in self.script.events:
            if event.turn == self._turn:
                if event.kind in FAULTS:
                    self.faults.begin(event)
                elif event.kind in STOPS:
                    self.stops.do(event)
                else:
                    self.people.do(event)


def play(script: Script) -> Played:
    """Plays a script."""
    return Play(script).run()
