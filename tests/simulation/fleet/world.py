"""The whole of a simulated fleet: clusters, Git, daemons, people and faults on one thread, in virtual time."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.config.settings import FuseSettings, RepoSettings, Settings
from reconciler.errors import Denied, Throttled, Unreachable
from reconciler.model.actions import Action, Hold
from reconciler.model.events import Event as Told
from reconciler.model.events import EventKind
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName
from reconciler.ports.kube import KubeApi
from reconciler.shell.asking import Asker
from reconciler.shell.clusters import Reach
from reconciler.shell.engine import Engine
from reconciler.shell.runner import IDLE_MAX_S, SeededRunner, Step, VirtualClock, Wake
from reconciler.shell.world import Ports
from reconciler.simulated.behaviour import Fate, Pace, fate_of
from reconciler.simulated.cluster import SimulatedCluster, Written
from tests.fakes.memory_git import MemoryGit
from tests.simulation.fleet.book import OURS
from tests.simulation.fleet.building import SharedBuilder
from tests.simulation.fleet.daemons import GitPort, OwnClock, Process
from tests.simulation.fleet.repo import Repo
from tests.simulation.fleet.script import Kind, Script
from tests.simulation.fleet.witness import Witness

READS = frozenset({"get", "list", "watch", "discover", "dry-run"})

POLL_S = 2.0
WATCH_AGAIN_S = 4.0
"""Between two sessions of a watch that nothing wakes; it is woken by what happens."""

FRESH_S = 12.0
HANG_S = 10.0
"""What a request takes that is never answered."""

DEPTH_MAX = 3
"""Requests that hang inside of each other; whoever hangs beside them is late afterwards instead."""

AFTER_S = 10.0
"""For how long after a fault what is done still counts as done under it."""

CONTROLLERS_S = 0.3

HEARD_S = (0.02, 0.1)
"""After what time a task of a daemon hears that it was woken: a thread's turn takes a while to come, and to end."""


class PacedRunner(SeededRunner):
    """A seeded runner in which a task can be woken after a while, as by a message on its way."""

    def spawned(self, name: str, step: Step) -> Callable[[float], None]:
        """Adds a task; returns what wakes it after so many seconds."""
        number = len(self._tasks)
        self.spawn(name, step)
        return lambda wait_s: self._at(number, wait_s)

    def number(self) -> int:
        """Returns the number of the task that is added next."""
        return len(self._tasks)

    def wake_in(self, number: int, wait_s: float) -> None:
        """Wakes a task after so many seconds."""
        self._at(number, wait_s)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline."""

    at_s: float
    who: str
    what: str

    def __str__(self) -> str:
        return f"{self.at_s:9.2f} s  {self.who:<12} {self.what}"


class FleetWorld:
    """Everything that a script is played in.

    Attributes:
        troubles: What is broken about each cluster.
        active: Until when each fault counts as one under which things are done.
        table: How often a daemon did what under which fault.
        broken: Invariants that were found broken.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.clock = VirtualClock()
        self.runner = PacedRunner(self.clock, script.seed)
        self._chance = random.Random(script.seed)
        self.git = MemoryGit(self.clock)
        self.troubles: dict[str, dict[Kind, float]] = {}
        self.active: dict[Kind, float] = {}
        self.table: Counter[tuple[str, str]] = Counter()
        self.lines: list[Line] = []
        self.broken: list[str] = []
        self.events: list[Told] = []
        self.processes: list[Process] = []
        self.engines: dict[str, Engine] = {}
        self.builder = SharedBuilder()
        self._digest = hashlib.sha256()
        self._depth = 0
        self._watchers: dict[tuple[str, str], list[int]] = {}
        self._controllers: dict[str, Callable[[float], None]] = {}
        self._dirty: set[str] = set()
        environments = script.fleet.clusters()
        self.clusters = {name: self._cluster(name) for name in environments}
        self.witness = Witness(
            script.fleet, Repo(self.git), self.clusters, environments, home=script.home
        )
        for name, cluster in self.clusters.items():
            for service in script.fleet.services:
                meta = {"name": service.name}
                cluster.client().create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
            cluster.audit.clear()
            step = self._controlling(name, cluster)
            self._controllers[name] = self.runner.spawned(f"controllers {name}", step)
        self.settings = Settings(
            repo=RepoSettings(url="memory", poll_s=POLL_S),
            mode=Mode.ENFORCE,
            home=script.home,
            fresh_s=FRESH_S,
            request_timeout_s=HANG_S,
            fuses=FuseSettings(
                service_an_hour=script.fuses[0],
                commit_an_hour=script.fuses[1],
                fleet_an_hour=script.fuses[1],
            ),
        )

    # Clusters.

    def _cluster(self, name: str) -> SimulatedCluster:
        def fate(image: str) -> Fate:
            if Kind.NODES in self.troubles.get(name, ()):
                return Fate.CRASH
            return self.witness.truths.get((name, image)) or fate_of(image)

        return SimulatedCluster(
            name,
            clock=self.clock,
            pace=Pace(crash_every_s=1.2, pull_every_s=1.2),
            fates_of=fate,
            on_change=lambda kind: self._changed(name, kind),
        )

    def _changed(self, name: str, kind: str) -> None:
        """Wakes the watches that hear of a change, a little later, and the controllers that act on it."""
        self._dirty.add(name)
        wake = self._controllers.get(name)
        if wake is not None:
            wake(CONTROLLERS_S)
        if self.clusters[name].faults.is_stale if name in self.troubles else False:
            return
        for number in self._watchers.get((name, kind), ()):
            self.runner.wake_in(number, self._chance.uniform(0.01, 0.3))

    def _controlling(self, name: str, cluster: SimulatedCluster) -> Step:
        def step() -> float:
            cluster.step()
            if name in self._dirty:
                self._dirty.discard(name)
                self.witness.look(name, self.now_s)
                return CONTROLLERS_S
            return CONTROLLERS_S if not cluster.is_at_rest else IDLE_MAX_S

        return step

    def look_again(self, cluster: str) -> None:
        """Has a cluster's controllers look: what becomes of an image there is another than before."""
        self._controllers[cluster](0.0)

    # Daemons.

    def start(self) -> Process:
        """Starts one more daemon."""
        holder = f"d{len(self.processes) + 1}"
        process = Process(holder, OwnClock(self.clock), self._spawn, self._ended)
        self.processes.append(process)
        ports = Ports(
            clock=process.clock,
            runner=process,
            remote=GitPort(self.git, process, self.witness.push),
            history=GitPort(self.git, process, self.witness.push),
            builder=self.builder,
            reach=Reach(
                lambda name: self._client(process, name),
                jitter=random.Random(1),
                watch_again_s=WATCH_AGAIN_S,
            ),
            home=ClusterName(self.script.home),
            entropy=random.Random(1).randbytes,
        )
        engine = Engine(
            self.settings,
            lambda: self.settings,
            ports,
            holder=holder,
            on_event=lambda event: self._told(holder, event),
        )
        self._count_actions(engine)
        self.engines[holder] = engine
        engine.start()
        self.say(holder, "starts")
        return process

    def _spawn(self, name: str, step: Step, on_wake: Callable[[Wake], None]) -> Wake:
        number = self.runner.number()

        def wake() -> None:
            self.runner.wake_in(number, self._chance.uniform(*HEARD_S))

        on_wake(wake)
        self.runner.spawn(name, step)
        what, _, about = name.partition(" ")
        if what == "watch":
            cluster, _, kind = about.partition(" ")
            self._watchers.setdefault((cluster, kind), []).append(number)
        return wake

    def _ended(self, process: Process) -> None:
        self.say(process.holder, "is killed")

    def alive(self) -> list[Process]:
        """Returns the daemons that were started and not killed, newest last."""
        return [process for process in self.processes if process.alive]

    def _count_actions(self, engine: Engine) -> None:
        coordinator = engine._coordinator
        assert coordinator is not None
        act = coordinator._act

        def counted(action: Action, asker: Asker | None) -> bool:
            done = act(action, asker)
            if not isinstance(action, Hold):
                self.count(type(action).__name__)
            return done

        coordinator._act = counted

    def count(self, action: str) -> None:
        """Counts something that a daemon did under every fault of now."""
        self.table["", action] += 1
        for kind, until_s in self.active.items():
            if self.now_s <= until_s:
                self.table[kind.value, action] += 1

    def _client(self, process: Process, cluster: str) -> KubeApi:
        return self.clusters[cluster].client(
            before=lambda verb, kind: self._meet(process, cluster, verb, kind),
            wrote=lambda written: self._wrote(process, cluster, written),
        )

    def _meet(self, process: Process, cluster: str, verb: str, kind: str) -> None:
        """Does to a request what is to be met there now."""
        process.called()
        if verb not in READS:
            process.writes()
        trouble = self.troubles.get(cluster)
        if not trouble:
            return
        about = f"cluster {cluster}"
        if Kind.DOWN in trouble:
            raise Unreachable(about, f"{verb} {kind} failed", "connection refused")
        if Kind.HANG in trouble:
            self.wait(process, HANG_S)
            raise Unreachable(about, f"{verb} {kind} failed", "no answer in time")
        if Kind.SLOW in trouble:
            self.wait(process, trouble[Kind.SLOW])
        if Kind.FORBID in trouble and _is_forbidden(int(trouble[Kind.FORBID]), verb, kind):
            raise Denied(about, f"{verb} {kind} is forbidden", "no rule allows it", "allow it")
        if Kind.FLAKY in trouble:
            met = self._chance.random()
            if met < 0.15:
                raise Unreachable(about, f"{verb} {kind} failed", "500 internal error")
            if met < 0.25:
                raise Throttled(about, f"{verb} {kind} failed", "429", retry_after_s=1.0)

    def wait(self, process: Process, seconds: float) -> None:
        """Lets a request take a while; its daemon's other tasks, and all others, go on meanwhile."""
        if self._depth >= DEPTH_MAX:
            process.late_s = max(process.late_s, seconds)
            return
        self._depth += 1
        try:
            self.runner.run_until(lambda: bool(self.broken), limit_s=seconds)
            self.runner.run_until(
                lambda: bool(self.broken) or not process.stalled, limit_s=IDLE_MAX_S
            )
        finally:
            self._depth -= 1
        process.check()

    def _wrote(self, process: Process, cluster: str, written: Written) -> None:
        meta = written.obj["metadata"]
        version = meta.get("resourceVersion", "")
        self.trace(
            f"{process.holder} {cluster} {written.verb} {written.kind} "
            f"{written.namespace}/{written.name} {version}"
        )
        given = self.witness.write(self.now_s, process.holder, cluster, written)
        if given is not None and given.identity != given.was:
            was = f" instead of {given.was.version}/{given.was.tree}" if given.was else ""
            about = f"{given.service} {given.identity.version}/{given.identity.tree}"
            self.say(process.holder, f"gives {cluster} {about}{was}")
        if written.verb == "delete" and written.namespace != OURS:
            self.say(process.holder, f"deletes {written.kind} {written.name} on {cluster}")
        process.wrote()

    # What is told.

    @property
    def now_s(self) -> float:
        """Virtual seconds since the beginning."""
        return self.clock.monotonic_s()

    def trace(self, what: str) -> None:
        """Adds to what two runs of one seed must have in common."""
        self._digest.update(f"{self.now_s:.3f} {what}\n".encode())

    def digest(self) -> str:
        """Returns the digest of everything that was traced."""
        return self._digest.hexdigest()

    def say(self, who: str, what: str) -> None:
        """Adds a line to the timeline."""
        self.lines.append(Line(self.now_s, who, what))
        self.trace(f"{who} {what}")

    def _told(self, holder: str, event: Told) -> None:
        self.events.append(event)
        if event.kind in _COUNTED:
            self.count(event.kind.value)
        version = event.revision.release.version if event.revision is not None else ""
        about = (event.service, event.environment, event.cluster, version, event.reason)
        words = " ".join(filter(None, (event.kind.value, *about)))
        self.trace(f"{holder} {words} {event.message}")
        if event.kind in _SHOWN:
            self.lines.append(Line(self.now_s, holder, f"{words}: {event.message[:160]}"))


_COUNTED = (
    EventKind.APPLIED,
    EventKind.REVERT_PUSHED,
    EventKind.REVERT_REFUSED,
    EventKind.PRUNED,
    EventKind.PRUNE_HELD,
    EventKind.DRIFT_SEEN,
    EventKind.DRIFT_CORRECTED,
    EventKind.LEADING,
    EventKind.HEAD_REFUSED,
)

_SHOWN = frozenset(EventKind) - {EventKind.APPLIED, EventKind.HEALTHY, EventKind.FETCHED}


def _is_forbidden(what: int, verb: str, kind: str) -> bool:
    """Three rights that a service account may have lost."""
    return (
        (verb in ("list", "watch") and kind in ("Deployment", "StatefulSet")),
        (verb not in READS and kind in ("Deployment", "StatefulSet")),
        (verb not in READS and kind in ("ServiceRecord", "PromotionRecord")),
    )[what % 3]
