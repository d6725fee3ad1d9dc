"""The commits that move pins on: decided on one HEAD, made on that one alone, pushed without force and read back.

Nothing is remembered but what spares questions: what is due follows from HEAD and the records each time. Dies
before the push: it is due again. Dies during or after it: HEAD says so already, or the branch is there, and the
forge knows its pull request.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import assert_never

import structlog

from reconciler.core.pin_commits import commit_message, subject
from reconciler.errors import OperatorError, ReconcilerError, Unreachable
from reconciler.model.actions import CommitPin
from reconciler.model.events import Event, EventKind
from reconciler.model.fleet import Mode
from reconciler.model.names import CommitId, RevisionId, ServiceName
from reconciler.model.promotion import Asked, AskedState, Promotion
from reconciler.model.view import Planned
from reconciler.ports.clock import Clock
from reconciler.ports.git import History, PushOutcome, PushResult, Remote
from reconciler.schema.edit import promote
from reconciler.schema.snapshot import octets_at
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.heads import Heads
from reconciler.shell.pin_requests import PinRequests
from reconciler.shell.pushing import push_if_ours

COALESCE_S = 2.0
"""What comes due within so long goes in one commit: the soaks of a merge that touched many services end together."""

RETRY_FIRST_S, RETRY_MAX_S = 1.0, 60.0

CHECK_S = 60.0
"""Between two looks at a pull request that a person is asked to merge."""

IDLE_S = 3600.0

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Due:
    action: CommitPin
    due_s: float
    tries: int = 0


class Promoter:
    """Moves pins on. Its `step` is one task; `take` may be called from any thread.

    Args:
        clock: Time.
        heads: Fetches and accepts.
        history: The mirror.
        remote: Commits and pushes.
        branch: The branch that people merge into.
        root: The subfolder that is the env repo.
        requests: Asks people, by branches and pull requests.
        planned: What was planned last of a service: what is not planned any more is not made.
        may_push: Whether Git writes are ours now.
        on_event: Told of pushes.
        on_change: Told of a service of which there is news.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        heads: Heads,
        history: History,
        remote: Remote,
        branch: str,
        root: str,
        requests: PinRequests,
        planned: Callable[[ServiceName], Planned | None],
        may_push: Callable[[], bool],
        on_event: Callable[[Event], None],
        on_change: Callable[[ServiceName], None],
    ) -> None:
        self._clock = clock
        self._heads = heads
        self._history = history
        self._remote = remote
        self._branch = branch
        self._root = f"{root.strip('/')}/" if root.strip("/") else ""
        self._requests = requests
        self._planned = planned
        self._may_push = may_push
        self._on_event = on_event
        self._on_change = on_change
        self._lock = threading.Lock()
        self._due: dict[CellKey, _Due] = {}
        self._asked: dict[CellKey, Asked] = {}
        self._refused: dict[CellKey, RevisionId] = {}
        self._wake: Callable[[], None] = lambda: None

    def on_wake(self, wake: Callable[[], None]) -> None:
        """Sets what makes this task run."""
        self._wake = wake

    def take(self, action: CommitPin) -> None:
        """Takes a commit that is due; taking it again changes nothing."""
        key = (action.service, action.environment)
        with self._lock:
            known = self._due.get(key)
            if known is not None and known.action.revision.id == action.revision.id:
                known.action = action
                return
            self._due[key] = _Due(action, self._clock.monotonic_s() + COALESCE_S)
        self._wake()

    def asked(self, key: CellKey) -> Asked | None:
        """Returns what became of asking a person to move a pin, or of moving it."""
        with self._lock:
            return self._asked.get(key)

    def step(self) -> float:
        """Makes what is due; returns seconds until the next."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            due = dict(self._due)
        ready = {key for key, one in due.items() if one.due_s <= now_s}
        if ready and not self._may_push():
            return RETRY_FIRST_S
        if ready:
            self._forget_what_is_not_planned(due)
            self._take_turn(ready, now_s)
        with self._lock:
            nearest_s = min((one.due_s for one in self._due.values()), default=now_s + IDLE_S)
        swept_s = self._requests.sweep(self._planned, may_close=self._may_push())
        return max(0.0, min(nearest_s - now_s, swept_s))

    def _forget_what_is_not_planned(self, due: dict[CellKey, _Due]) -> None:
        for key, one in due.items():
            planned = self._planned(key[0])
            actions = planned.of(key[1]) if planned is not None else ()
            now = next((a for a in actions if isinstance(a, CommitPin)), None)
            if planned is not None and planned.facts.mode is Mode.OBSERVE:
                now = None
            with self._lock:
                if now is None or now.revision.id != one.action.revision.id:
                    self._due.pop(key, None)
                    self._asked.pop(key, None)
                else:
                    one.action = now

    def _take_turn(self, ready: set[CellKey], now_s: float) -> None:
        with self._lock:
            due = dict(self._due)
        soon = {key: one for key, one in due.items() if one.due_s <= now_s + COALESCE_S}
        direct = [one for key, one in soon.items() if self._is_direct(key, one.action)]
        if any(self._is_direct(key, due[key].action) for key in ready & due.keys()):
            self._try(direct, self._commit)
        for key in sorted(ready & due.keys()):
            if not self._is_direct(key, due[key].action):
                self._try([due[key]], self._ask)

    def _is_direct(self, key: CellKey, action: CommitPin) -> bool:
        return action.by is Promotion.AUTO and self._refused.get(key) != action.revision.id

    def _try(self, dues: list[_Due], make: Callable[[list[CommitPin]], None]) -> None:
        """Makes something; whatever comes of it, it is looked at again only after a while."""
        began_s = self._clock.monotonic_s()
        for one in dues:
            one.tries += 1
            wait_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(one.tries - 1, 10))
            one.due_s = began_s + wait_s
        actions = [one.action for one in dues]
        try:
            make(actions)
        except ReconcilerError as error:
            _log.warning("pin-not-moved", services=[a.service for a in actions], error=str(error))
            for action in actions:
                self._note(action, AskedState.FAILED, str(error))

    def _commit(self, actions: list[CommitPin]) -> None:
        """Makes one commit of all that was decided on the present HEAD; what was not is decided anew first."""
        head = self._fresh()
        edits: dict[str, bytes | None] = {}
        made: list[CommitPin] = []
        for action in (a for a in actions if a.commit == head):
            try:
                edits |= self._edit(head, action)
                made.append(action)
            except OperatorError as error:
                self._note(action, AskedState.FAILED, str(error))
        if not edits:
            return
        commit = self._remote.commit(head, edits, commit_message(made))
        result = self._send(commit, self._branch)
        match result.outcome:
            case PushOutcome.LANDED:
                self._landed(made, commit)
            case PushOutcome.MOVED:
                with suppress(ReconcilerError):
                    self._heads.refresh()
            case PushOutcome.REFUSED:
                # A person is asked instead, pin by pin, so that one can be merged without the others.
                for action in made:
                    self._refused[(action.service, action.environment)] = action.revision.id
                    self._now(action)
                known = {key: one for key, one in self._refused.items() if self._planned(key[0])}
                self._refused = known
            case PushOutcome.LOST:
                why = "the remote took the push, and its branch does not show it"
                raise Unreachable(self._branch, "the pins were not moved", why)
            case _:
                assert_never(result.outcome)

    def _landed(self, made: list[CommitPin], commit: CommitId) -> None:
        for action in made:
            key = (action.service, action.environment)
            with self._lock:
                self._due.pop(key, None)
                self._asked.pop(key, None)
            self._tell(EventKind.PIN_MOVED, action, f"{commit} pins it", commit, self._branch)
        # What people see is the new HEAD, and not the one before it until the next poll.
        with suppress(ReconcilerError):
            self._heads.refresh()

    def _ask(self, actions: list[CommitPin]) -> None:
        """Asks a person for one pin, once, by a branch and where there is a forge by a pull request."""
        (action,) = actions
        found = self._requests.known(action)
        if found is None:
            head = self._fresh()
            if action.commit != head:
                return
            edits = self._edit(head, action)
            if not edits:
                return
            commit = self._remote.commit(head, edits, commit_message(actions))
            branch = self._requests.branch(action)
            result = self._send(commit, branch)
            if result.outcome not in (PushOutcome.LANDED, PushOutcome.MOVED):
                raise OperatorError(
                    f"branch {branch}",
                    "the pin could not be asked for",
                    result.message or result.outcome.value,
                    "let the daemon push to branches below reconciler/",
                )
            found = self._requests.open(action, subject(actions), commit_message(actions))
            if result.outcome is PushOutcome.LANDED:
                self._tell(EventKind.PIN_ASKED, action, found.why, commit, branch)
        self._note(action, found.state, found.why)
        with self._lock:
            known = self._due.get((action.service, action.environment))
            if known is not None:
                known.tries, known.due_s = 0, self._clock.monotonic_s() + CHECK_S

    def _fresh(self) -> CommitId:
        head = self._heads.refresh()
        if head.snapshot is None or head.snapshot.commit != head.commit:
            raise Unreachable("HEAD", "no pin can be moved", head.error or "not accepted")
        return head.snapshot.commit

    def _edit(self, head: CommitId, action: CommitPin) -> dict[str, bytes | None]:
        path = f"environments/{action.environment}/{action.service}.yaml"
        octets = octets_at(self._history, head, self._root + path)
        if octets is None:
            return {}
        edited = promote(path, octets, action.revision.release)
        return {self._root + path: edited} if edited != octets else {}

    def _send(self, commit: CommitId, branch: str) -> PushResult:
        return push_if_ours(self._remote, commit, branch, may_push=self._may_push)

    def _now(self, action: CommitPin) -> None:
        with self._lock:
            known = self._due.get((action.service, action.environment))
            if known is not None:
                known.tries, known.due_s = 0, self._clock.monotonic_s()

    def _note(self, action: CommitPin, state: AskedState, why: str) -> None:
        key, asked = (action.service, action.environment), Asked(action.revision.id, state, why)
        with self._lock:
            is_news = self._asked.get(key) != asked
            self._asked[key] = asked
        if is_news:
            self._on_change(action.service)

    def _tell(
        self, kind: EventKind, action: CommitPin, message: str, commit: CommitId, branch: str
    ) -> None:
        self._on_event(
            Event(
                at=self._clock.now(),
                kind=kind,
                reason=action.reason,
                message=f"{action.revision.release.version}: {message}",
                service=action.service,
                environment=action.environment,
                revision=action.revision,
                detail=(("commit", commit), ("branch", branch)),
            )
        )
