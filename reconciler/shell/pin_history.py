"""What pins were before: read from the branch once for all of them, and from then on only as far as it has grown."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reconciler.core.boarding import FormerPin
from reconciler.core.line import Story, story_of
from reconciler.errors import InvalidInput, TransientError
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.ports.git import History
from reconciler.schema.services import pin_of
from reconciler.shell.branch_walk import CHANGES_MAX, Allowance, Branch, Change, PinKey, Walk
from reconciler.shell.runner import IDLE_MAX_S, AtStop, Runner, Wake

PINS_MAX = 50
"""Releases of one pin that are looked at: what lies before them had its turn long ago."""

IN_TURN_MAX = 64
"""Reads that whoever decides makes itself for one HEAD, of about a millisecond each: what people merge at a time."""

AT_ONCE_MAX = 256
"""Reads between which others may ask: a quarter of a second, behind the scenes."""

KEPT_MAX = 5_000
"""Pins whose history is kept: those that are not where the environment before is, in a large fleet."""


class NotReadYet(TransientError):
    """Nothing is wrong: it is being read, and whoever asked is woken when it is there."""


@dataclass(frozen=True, slots=True)
class _Told:
    changes: tuple[Change, ...]
    story: Story


class PinHistory:
    """The histories of pins on one branch.

    Nothing is read before somebody asks. All but `start` may be called from any thread.

    Args:
        history: The mirror.
        root: The subfolder that is the env repo.
    """

    def __init__(self, history: History, root: str) -> None:
        self._history = history
        self._folder = f"{root.strip('/')}/environments".lstrip("/")
        self._reading = threading.Lock()
        self._branch: Branch | None = None
        self._walk: Walk | None = None
        self._told: OrderedDict[PinKey, _Told] = OrderedDict()
        self._in_turn: tuple[CommitId | None, Allowance] = (None, Allowance(0))
        self._lock = threading.Lock()
        self._head: CommitId | None = None
        self._wanted: dict[PinKey, None] = {}
        self._wake: Wake = lambda: None
        self._on_read: Callable[[ServiceName], None] = lambda service: None

    def start(self, runner: Runner, on_read: Callable[[ServiceName], None]) -> None:
        """Hands what takes long to a runner.

        Args:
            runner: Runs it.
            on_read: Told of each service that was asked about before all was read.
        """
        self._on_read = on_read
        self._wake = runner.spawn("pin history", self.step, at_stop=AtStop.LEAVE)

    def of(
        self,
        head: CommitId,
        environment: EnvironmentName,
        service: ServiceName,
        *,
        waits: bool = True,
    ) -> Story:
        """Returns what a pin was at HEAD and before; one that was broken is passed over.

        Args:
            head: HEAD.
            environment: Of the pin.
            service: Of the pin.
            waits: For as long as it takes.

        Raises:
            NotReadYet: It takes long, and is not waited for.
            ReconcilerError: The mirror could not be read.
        """
        key = (environment, service)
        if waits:
            with self._reading:
                return self._whole(head, key)
        if self._reading.acquire(blocking=False):
            try:
                story = self._at_most(head, key, self._allowance(head))
            finally:
                self._reading.release()
            if story is not None:
                return story
        with self._lock:
            self._head, self._wanted[key] = head, None
        self._wake()
        raise NotReadYet(
            f"{environment}/{service}", "what it was before is not known", "it is being read"
        )

    def step(self) -> float:
        """Reads a part of what was asked for; returns seconds until there is more to do."""
        with self._lock:
            head, wanted = self._head, tuple(self._wanted)
        if head is None:
            return IDLE_MAX_S
        allowance = Allowance(AT_ONCE_MAX)
        for key in wanted:
            with self._reading:
                if allowance.reads <= 0 or self._at_most(head, key, allowance) is None:
                    return 0.0
            with self._lock:
                self._wanted.pop(key, None)
            self._on_read(key[1])
        return IDLE_MAX_S

    def is_after(self, later: CommitId, earlier: CommitId) -> bool:
        """Tells whether a commit of the branch comes after another."""
        return later != earlier and self._history.is_ancestor(earlier, later)

    def _allowance(self, head: CommitId) -> Allowance:
        """Returns what may still be read in the turns of one HEAD."""
        if self._in_turn[0] != head:
            self._in_turn = head, Allowance(IN_TURN_MAX)
        return self._in_turn[1]

    def _whole(self, head: CommitId, key: PinKey) -> Story:
        while True:
            story = self._at_most(head, key, Allowance(AT_ONCE_MAX + CHANGES_MAX))
            if story is not None:
                return story

    def _at_most(self, head: CommitId, key: PinKey, allowance: Allowance) -> Story | None:
        """Returns what a pin was, or None where more must be read than is allowed."""
        branch = self._branch
        while branch is None or branch.head != head:
            # A walk that has begun is ended, though HEAD is another one: else none would on a busy branch.
            self._walk = self._walk or Walk(self._history, self._folder, head, branch)
            try:
                branch = self._walk.go(allowance)
            except InvalidInput:
                # What it walks from may be gone for good, and the next HEAD is another one.
                self._walk = None
                raise
            if branch is None:
                return None
            self._branch, self._walk = branch, None
        return self._story(branch, key, allowance)

    def _story(self, branch: Branch, key: PinKey, allowance: Allowance) -> Story | None:
        changes = branch.changes.get(key, ())
        told = self._told.get(key)
        if told is None or told.changes is not changes:
            # What lies before a commit never changes: it is read on from what is known.
            is_known = told is not None and bool(told.changes) and told.changes[0] in changes
            known = told if is_known else None
            new = changes[: changes.index(known.changes[0])] if known is not None else changes
            if allowance.reads < min(len(new), AT_ONCE_MAX):
                return None
            allowance.reads -= len(new)
            self._told[key] = told = _Told(changes, self._read(branch, key, new, known))
            while len(self._told) > KEPT_MAX:
                self._told.popitem(last=False)
        self._told.move_to_end(key)
        return told.story

    def _read(
        self, branch: Branch, key: PinKey, new: tuple[Change, ...], known: _Told | None
    ) -> Story:
        def pins() -> Iterator[FormerPin]:
            for commit, blob in new:
                pin = pin_of(self._history, blob, *key)
                if pin is not None:
                    yield FormerPin(commit, pin)
            if known is not None:
                yield from known.story.pins

        cut = branch.cut
        if known is not None:
            cut = known.story.cut
        elif len(new) >= CHANGES_MAX:
            cut = new[-1][0]
        return story_of(pins(), cut=cut, most=PINS_MAX)
