"""Daemons as processes: each has a clock, tasks, and calls to the world in the middle of which it may end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.model.names import BlobId, CommitId
from reconciler.model.release import TreeEntry
from reconciler.ports.git import CommitFacts, PushResult
from reconciler.shell.runner import IDLE_MAX_S, AtStop, Step, VirtualClock, Wake
from tests.fakes.memory_git import MemoryGit
from tests.simulation.fleet.script import Kind


class Killed(BaseException):
    """The process ends here; nothing that comes after is done."""


@dataclass(slots=True)
class Doom:
    """After how many more calls a process ends, and at which sort of call."""

    kind: Kind
    left: int


class OwnClock:
    """A machine's clock, of which the wall time may jump."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.ahead = timedelta()

    def now(self) -> datetime:
        """Returns wall time, UTC."""
        return self._clock.now() + self.ahead

    def monotonic_s(self) -> float:
        """Returns seconds that never run backwards."""
        return self._clock.monotonic_s()


Spawn = Callable[[str, Step, Callable[[Wake], None]], Wake]


@dataclass(slots=True)
class Process:
    """One daemon; its tasks are run by the world's runner while it is alive and not stalled.

    Attributes:
        doom: Where it will be killed.
        late_s: Seconds by which the step under way ends later than it says, since a request hung.
    """

    holder: str
    clock: OwnClock
    spawn_task: Spawn
    on_end: Callable[[Process], None]
    alive: bool = True
    stalled: bool = False
    doom: Doom | None = None
    late_s: float = 0.0
    _wakes: list[Wake] = field(default_factory=list)

    def kill(self) -> None:
        """Ends it between two steps, or at its next call."""
        if self.alive:
            self.alive = False
            self.on_end(self)

    def resume(self) -> None:
        """Lets it go on with what it had in mind."""
        self.stalled = False
        for wake in self._wakes:
            wake()

    def called(self) -> None:
        """Is told of each call before it is made; raises where the process has ended, or ends now."""
        self._count(Kind.KILL)

    def writes(self) -> None:
        """Is told of a write before it is made."""
        self._count(Kind.KILL_BEFORE_WRITE)

    def wrote(self) -> None:
        """Is told of a write that was made, before its answer is heard."""
        self._count(Kind.KILL_AFTER_WRITE)

    def check(self) -> None:
        """Raises where it has ended while it waited."""
        if not self.alive:
            raise Killed

    def _count(self, kind: Kind) -> None:
        if self.alive and self.doom is not None and self.doom.kind is kind:
            self.doom.left -= 1
            if self.doom.left <= 0:
                self.kill()
        self.check()

    def spawn(
        self,
        name: str,
        step: Step,
        *,
        at_stop: AtStop = AtStop.WAIT,
        on_wake: Callable[[Wake], None] = lambda wake: None,
    ) -> Wake:
        """Adds a task; a step that waits for an answer keeps its own task only, as a thread would."""
        del at_stop
        is_busy = was_woken = False

        def guarded() -> float:
            nonlocal is_busy, was_woken
            if is_busy or self.stalled or not self.alive:
                was_woken = True
                return IDLE_MAX_S
            is_busy, was_woken = True, False
            try:
                wait_s = step()
            except Killed:
                return IDLE_MAX_S
            finally:
                is_busy = False
            late_s, self.late_s = self.late_s, 0.0
            return late_s if was_woken else wait_s + late_s

        self._wakes.append(self.spawn_task(name, guarded, on_wake))
        return self._wakes[-1]


class GitPort:
    """Git as one process calls it."""

    def __init__(
        self, git: MemoryGit, process: Process, on_push: Callable[[CommitId], None]
    ) -> None:
        self._git = git
        self._process = process
        self._on_push = on_push

    def fetch(self) -> CommitId:
        """Fetches."""
        self._process.called()
        return self._git.fetch()

    def commit(self, parent: CommitId, edits: Mapping[str, bytes | None], message: str) -> CommitId:
        """Commits."""
        self._process.called()
        return self._git.commit(parent, edits, message)

    def push(self, commit: CommitId, branch: str) -> PushResult:
        """Pushes."""
        self._process.called()
        self._process.writes()
        self._on_push(commit)
        result = self._git.push(commit, branch)
        self._process.wrote()
        return result

    def resolve(self, revision: str) -> CommitId | None:
        """Reads."""
        return self._git.resolve(revision)

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        """Reads."""
        return self._git.tree(commit, path)

    def folder(self, commit: CommitId, path: str) -> Mapping[str, str]:
        """Reads."""
        return self._git.folder(commit, path)

    def blob(self, blob: BlobId) -> bytes:
        """Reads."""
        return self._git.blob(blob)

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        """Reads."""
        return self._git.is_ancestor(ancestor, descendant)

    def commit_facts(self, commit: CommitId) -> CommitFacts:
        """Reads."""
        return self._git.commit_facts(commit)

    def log(self, head: CommitId, *, path: str | None, most: int) -> tuple[CommitFacts, ...]:
        """Reads."""
        return self._git.log(head, path=path, most=most)
