"""What befalls clusters, Git and daemons, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from math import inf

from reconciler.model.names import CommitId
from tests.fakes.memory_git import BRANCH
from tests.simulation.fleet.book import OURS
from tests.simulation.fleet.daemons import Doom
from tests.simulation.fleet.people import People
from tests.simulation.fleet.script import ON_CLUSTERS, Event, Kind
from tests.simulation.fleet.world import AFTER_S, FleetWorld

OF_GIT = (Kind.GIT_DOWN, Kind.GIT_RACE, Kind.GIT_REFUSES, Kind.GIT_DROPS, Kind.GIT_BREAKS_OFF)
"""They keep nobody from going back."""

KILLS = (Kind.KILL, Kind.KILL_BEFORE_WRITE, Kind.KILL_AFTER_WRITE)


class Faults:
    """Everything that is broken now; a fault lasts for its span of turns.

    Attributes:
        until: By fault, in which turn it ends.
    """

    def __init__(self, world: FleetWorld, people: People) -> None:
        self.world = world
        self.people = people
        self.until: dict[tuple[Kind, str], int] = {}
        self._rewritten: CommitId | None = None

    def begin(self, event: Event) -> None:
        """Lets a fault begin."""
        world = self.world
        world.say("fault", str(event))
        world.active[event.kind] = float("inf")
        key = (event.kind, event.cluster)
        world.witness.disturbed_s[_who(*key)] = inf
        self.until[key] = max(self.until.get(key, 0), event.turn + event.span)
        if event.kind in ON_CLUSTERS:
            self._trouble(event)
        elif event.kind in _BEGIN:
            _BEGIN[event.kind](self, event)

    def turn(self, turn: int) -> None:
        """Ends what has lasted for its span, and sees that there is a daemon."""
        for key, until in list(self.until.items()):
            if turn >= until:
                self._end(*key)
        is_restart_due = not any(key[0] in KILLS for key in self.until)
        if not self.world.alive() and is_restart_due:
            self.world.start()

    def end_all(self) -> None:
        """Ends every fault."""
        for key in list(self.until):
            self._end(*key)
        for process in self.world.alive():
            process.doom = None
        if not self.world.alive():
            self.world.start()

    def _trouble(self, event: Event) -> None:
        world, cluster = self.world, event.cluster
        if event.kind is Kind.EXPIRED:
            world.clusters[cluster].store.forget()
            return
        if event.kind is Kind.STALE:
            world.witness.freeze(cluster, world.now_s)
            world.clusters[cluster].faults.is_stale = True
        world.troubles.setdefault(cluster, {})[event.kind] = event.number
        if event.kind is Kind.NODES:
            world.witness.nodes_s[cluster] = inf
            world.look_again(cluster)

    def _end(self, kind: Kind, cluster: str) -> None:
        world = self.world
        del self.until[kind, cluster]
        if not any(key[0] is kind for key in self.until):
            world.active[kind] = world.now_s + AFTER_S
        who = _who(kind, cluster)
        if not any(_who(*key) == who for key in self.until):
            world.witness.disturbed_s[who] = world.now_s
        if kind in ON_CLUSTERS:
            world.troubles.get(cluster, {}).pop(kind, None)
            if kind is Kind.NODES:
                world.witness.nodes_s[cluster] = world.now_s
                world.look_again(cluster)
            if kind is Kind.STALE:
                world.witness.thaw(cluster, world.now_s)
                world.clusters[cluster].faults.is_stale = False
        elif kind in _END:
            _END[kind](self)
        world.say("fault", f"{kind.value} {cluster} is over".replace("  ", " "))

    # Git.

    def _git_down(self, event: Event) -> None:
        self.world.git.is_down = True

    def _git_race(self, event: Event) -> None:
        def race() -> None:
            self.world.git.before_push = lambda: None
            self.people.race(same=event.number > 0)

        self.world.git.before_push = race

    def _git_refuses(self, event: Event) -> None:
        self.world.git.refuse = lambda branch: "no" if branch == BRANCH else ""

    def _git_drops(self, event: Event) -> None:
        self.world.git.drops_pushes = True

    def _git_breaks_off(self, event: Event) -> None:
        self.world.git.breaks_off = True

    def _git_mended(self) -> None:
        kinds = {key[0] for key in self.until}
        git = self.world.git
        git.is_down = git.is_down and Kind.GIT_DOWN in kinds
        git.drops_pushes = git.drops_pushes and Kind.GIT_DROPS in kinds
        git.breaks_off = git.breaks_off and Kind.GIT_BREAKS_OFF in kinds
        if Kind.GIT_REFUSES not in kinds:
            git.refuse = lambda branch: ""

    def _rewrite(self, event: Event) -> None:
        git = self.world.git
        self.world.witness.rewritten(git.branches[BRANCH])
        git.branches[BRANCH] = self._rewritten = git.orphan()

    def _accept(self) -> None:
        """The operator names the new HEAD."""
        if self._rewritten is not None:
            settings = self.world.settings
            repo = settings.repo.model_copy(update={"accept_history": self._rewritten})
            self.world.settings = settings.model_copy(update={"repo": repo})
            self.world.witness.allowed.add(self._rewritten)
            self.world.say("people", f"accept the history of {self._rewritten[:7]}")
            self._rewritten = None

    # Daemons.

    def _clock(self, event: Event) -> None:
        self.world.witness.has_jumped = True
        for process in self.world.alive():
            process.clock.ahead += timedelta(seconds=event.number)

    def _kill(self, event: Event) -> None:
        for process in self.world.alive()[-1:]:
            process.doom = Doom(event.kind, int(event.number))

    def _stall(self, event: Event) -> None:
        for process in self.world.alive()[:1]:
            process.stalled = True

    def _resume(self) -> None:
        for process in self.world.alive():
            if process.stalled:
                process.resume()

    def _second(self, event: Event) -> None:
        if len(self.world.alive()) < 2:
            self.world.start()

    def _records_lost(self, event: Event) -> None:
        """The home forgets every promotion record."""
        store = self.world.clusters[self.world.script.home].store
        found = store.served("reconciler.dev/v1alpha1", "PromotionRecord")
        if found is not None:
            for obj in list(store.peek(found, OURS)):
                store.delete(found, OURS, obj["metadata"]["name"])
            self.world.witness.lost_s.append(self.world.now_s)


def _who(kind: Kind, cluster: str) -> str:
    """Returns whom a fault disturbs: a cluster, Git or the records alone, or everybody."""
    if kind is Kind.RECORDS_LOST:
        return "records"
    return "git" if kind in OF_GIT else cluster


_BEGIN: dict[Kind, Callable[[Faults, Event], None]] = {
    Kind.GIT_DOWN: Faults._git_down,
    Kind.GIT_RACE: Faults._git_race,
    Kind.GIT_REFUSES: Faults._git_refuses,
    Kind.GIT_DROPS: Faults._git_drops,
    Kind.GIT_BREAKS_OFF: Faults._git_breaks_off,
    Kind.REWRITE: Faults._rewrite,
    Kind.CLOCK: Faults._clock,
    Kind.KILL: Faults._kill,
    Kind.KILL_BEFORE_WRITE: Faults._kill,
    Kind.KILL_AFTER_WRITE: Faults._kill,
    Kind.STALL: Faults._stall,
    Kind.SECOND: Faults._second,
    Kind.RECORDS_LOST: Faults._records_lost,
}

_END: dict[Kind, Callable[[Faults], None]] = {
    Kind.GIT_DOWN: Faults._git_mended,
    Kind.GIT_REFUSES: Faults._git_mended,
    Kind.GIT_DROPS: Faults._git_mended,
    Kind.GIT_BREAKS_OFF: Faults._git_mended,
    Kind.REWRITE: Faults._accept,
    Kind.STALL: Faults._resume,
}
