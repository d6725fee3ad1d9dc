"""The commit that takes a bad release back: on a fresh HEAD, pushed without force, and read back.

Dies before the push: nothing is on the remote, and the next turn plans it again. Dies during or
after it: the quarantine entry is found in HEAD, and only the record is still to be written and the
event to be told. Dies after a refused push: the branch for a person is found taken, and kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import assert_never

import structlog

from reconciler.core.recording import with_revert
from reconciler.core.reverting import RevertPlan, branch_for, commit_message
from reconciler.errors import OperatorError, ReconcilerError, Unreachable
from reconciler.model.actions import CommitRevert
from reconciler.model.answers import NotKnown
from reconciler.model.env_repo import Snapshot
from reconciler.model.events import Event, EventKind
from reconciler.model.facts import ServiceFacts
from reconciler.model.fleet import Mode
from reconciler.model.names import CommitId, ServiceName
from reconciler.model.records import PromotionRecord, Rejection, RevertProgress
from reconciler.ports.clock import Clock
from reconciler.ports.forge import Forge
from reconciler.ports.git import History, PushOutcome, PushResult, Remote
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.heads import Heads
from reconciler.shell.pushing import push_if_ours
from reconciler.shell.revert_commits import RevertCommits

RACES_MAX = 10
"""Pushes lost to others in a row before it waits a while; each loss is somebody else's progress."""

RETRY_FIRST_S, RETRY_MAX_S = 0.5, 30.0

BETWEEN_S = 1.0
"""Between two tries of one commit, however often HEAD is another one or comes and goes."""

IDLE_S = 3600.0

Change = Callable[[PromotionRecord], PromotionRecord]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Owed:
    action: CommitRevert
    tries: int = 0
    tried_s: float = float("-inf")
    due_s: float = 0.0
    made: RevertProgress | None = None
    is_asked: bool = False


class Reverter:
    """Makes the commits that Git is owed. Its `step` is one task.

    Args:
        clock: Time.
        heads: Fetches and accepts.
        history: The mirror.
        remote: Commits and pushes.
        branch: The branch that people merge into.
        root: The subfolder that is the env repo.
        forge: Serves the env repo; None: a branch for a person is all there is.
        asker: Makes what turns a snapshot into Asks.
        facts: A service's facts as last gathered.
        record: Returns the record of a cell.
        amend: Changes the record of a cell as it stands then, now or later.
        may_push: Whether Git writes are ours now.
        on_event: Told of pushes.
        on_change: Told of the service whose record changed.
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
        forge: Forge | None,
        asker: Callable[[Snapshot], Asker],
        facts: Callable[[ServiceName], ServiceFacts | None],
        record: Callable[[CellKey], PromotionRecord | None],
        amend: Callable[[CellKey, Change], None],
        may_push: Callable[[], bool],
        on_event: Callable[[Event], None],
        on_change: Callable[[ServiceName], None],
    ) -> None:
        self._clock = clock
        self._heads = heads
        self._commits = RevertCommits(
            history=history, remote=remote, root=root, asker=asker, facts=facts, record=record
        )
        self._remote = remote
        self._branch = branch
        self._forge = forge
        self._asker = asker
        self._record = record
        self._amend = amend
        self._may_push = may_push
        self._on_event = on_event
        self._on_change = on_change
        self._lock = threading.Lock()
        self._owed: dict[tuple[CellKey, str], _Owed] = {}
        self._wake: Callable[[], None] = lambda: None

    def on_wake(self, wake: Callable[[], None]) -> None:
        """Sets what makes this task run."""
        self._wake = wake

    def take(self, action: CommitRevert) -> None:
        """Takes a commit that is owed; taking it twice changes nothing."""
        key = ((action.service, action.environment), action.rejection.rejected_at.isoformat())
        with self._lock:
            if key in self._owed:
                self._owed[key].action = action
                return
            self._owed[key] = _Owed(action)
        self._wake()

    def look_again(self) -> None:
        """Ends the waits of what is owed: HEAD is another one, or can be had again.

        A person may have merged the branch that was made for them, and a remote that was out is back.
        """
        now_s = self._clock.monotonic_s()
        with self._lock:
            for owed in self._owed.values():
                owed.due_s = min(owed.due_s, max(now_s, owed.tried_s + BETWEEN_S))
        self._wake()

    def step(self) -> float:
        """Makes one commit that is due; returns seconds until the next."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            key = min(self._owed, key=lambda k: self._owed[k].due_s, default=None)
            owed = self._owed[key] if key is not None else None
        if key is None or owed is None:
            return IDLE_S
        if owed.due_s > now_s:
            return owed.due_s - now_s
        if not self._may_push():
            owed.due_s = now_s + RETRY_FIRST_S
            return RETRY_FIRST_S
        # Whatever comes of it, another one is next: what fails may not hold up the rest.
        owed.tries += 1
        owed.tried_s = now_s
        wait_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(owed.tries - 1, 10))
        owed.due_s = self._clock.monotonic_s() + wait_s
        try:
            # What was made and could not be recorded is only recorded, and neither made nor told again.
            progress = owed.made = owed.made or self._make(owed)
            if progress is not None:
                self._note(owed.action, progress)
        except ReconcilerError as error:
            owed.due_s = self._clock.monotonic_s() + wait_s
            _log.warning("revert-failed", service=owed.action.service, error=str(error))
            return 0.0
        owed.made = None
        if progress is None or progress.commit is not None:
            with self._lock:
                self._owed.pop(key, None)
            # What people see is the new HEAD, and not the one before it until the next poll.
            with suppress(ReconcilerError):
                self._heads.refresh()
        else:
            owed.due_s = self._clock.monotonic_s() + RETRY_MAX_S
        return 0.0

    def _make(self, owed: _Owed) -> RevertProgress | None:
        """Commits on top of a fresh HEAD until one push stands, or somebody else's commit does it.

        Returns:
            How far it is; None when nothing is owed any more.
        """
        action = owed.action
        for _ in range(RACES_MAX):
            known = self._known(action)
            if known is None or known.commit is not None:
                return known
            snapshot = self._fresh()
            if self._asker(snapshot).mode(action.service, Mode.ENFORCE) is Mode.OBSERVE:
                return None
            written = self._commits.written(snapshot, action)
            if written is not None:
                self._tell(EventKind.REVERT_PUSHED, action, written, self._branch)
                return RevertProgress(written, None, self._clock.now())
            if known.branch is not None:
                # A person has the branch; whether they merged it is all there is to look for.
                if self._forge is not None and not owed.is_asked:
                    self._ask(owed, known.branch, self._commits.plan(snapshot, action))
                return known
            made = self._push(snapshot, owed)
            if made is not None:
                return made
        raise Unreachable(self._branch, "the revert was overtaken", "others push without a pause")

    def _fresh(self) -> Snapshot:
        head = self._heads.refresh()
        if head.snapshot is None or head.snapshot.commit != head.commit:
            raise Unreachable("HEAD", "no revert can be planned", head.error or "not accepted")
        return head.snapshot

    def _push(self, snapshot: Snapshot, owed: _Owed) -> RevertProgress | None:
        """Makes one try; None when somebody else was first. What else is due goes along in one push."""
        action = owed.action
        plan = self._commits.plan(snapshot, action)
        commit = self._commits.commit(snapshot.commit, action, plan)
        if not action.direct:
            return self._push_branch(owed, commit, plan, "a fuse is blown; a person is asked")
        along = self._along(snapshot, owed, commit)
        result = self._send(along[-1][1] if along else commit, self._branch)
        match result.outcome:
            case PushOutcome.LANDED:
                for other, made in along:
                    self._tell(EventKind.REVERT_PUSHED, other.action, made, self._branch)
                    # Its own turn comes at once, and only writes that down.
                    other.made, other.due_s = RevertProgress(made, None, self._clock.now()), 0.0
                self._tell(EventKind.REVERT_PUSHED, action, commit, self._branch)
                return RevertProgress(commit, None, self._clock.now())
            case PushOutcome.MOVED:
                return None
            case PushOutcome.REFUSED:
                return self._push_branch(owed, commit, plan, result.message)
            case PushOutcome.LOST:
                why = "the remote took the push, and its branch does not show it"
                raise Unreachable(self._branch, "the revert was dropped", why)
            case _:
                assert_never(result.outcome)

    def _along(
        self, snapshot: Snapshot, first: _Owed, onto: CommitId
    ) -> list[tuple[_Owed, CommitId]]:
        """Makes the commits of other services that are due as well, each on top of the one before.

        Where a push is lost, or refused, they are made again, each in its own turn.
        """
        now_s = self._clock.monotonic_s()
        with self._lock:
            due = [o for o in self._owed.values() if o.action.direct and o.due_s <= now_s]
        made: list[tuple[_Owed, CommitId]] = []
        services = {first.action.service}
        for other in due:
            action = other.action
            if other.made is not None or action.service in services:
                continue
            with suppress(ReconcilerError):
                if self._is_to_be_made(snapshot, action):
                    plan = self._commits.plan(snapshot, action)
                    onto = self._commits.commit(onto, action, plan)
                    made.append((other, onto))
                    services.add(action.service)
        return made

    def _is_to_be_made(self, snapshot: Snapshot, action: CommitRevert) -> bool:
        known = self._known(action)
        is_open = known is not None and known.commit is None and known.branch is None
        mode = self._asker(snapshot).mode(action.service, Mode.ENFORCE)
        is_written = self._commits.written(snapshot, action) is not None
        return is_open and mode is Mode.ENFORCE and not is_written

    def _push_branch(
        self, owed: _Owed, commit: CommitId, plan: RevertPlan, why: str
    ) -> RevertProgress:
        """Puts the commit on the failure's own branch; one that is there already is left as it is."""
        action = owed.action
        branch = branch_for(action.service, action.rejection)
        result = self._send(commit, branch)
        if result.outcome not in (PushOutcome.LANDED, PushOutcome.MOVED):
            raise OperatorError(
                f"branch {branch}",
                "the revert could not be pushed",
                result.message or result.outcome.value,
                "let the daemon push to branches below reconciler/",
            )
        url = self._ask(owed, branch, plan)
        self._tell(
            EventKind.REVERT_REFUSED, action, commit, branch, f"{why}; see {url}" if url else why
        )
        return RevertProgress(None, branch, self._clock.now())

    def _ask(self, owed: _Owed, branch: str, plan: RevertPlan) -> str:
        """Opens the failure's pull request, unless there was one, and returns where it is; nothing: not yet."""
        if self._forge is None:
            return ""
        message = commit_message(owed.action.service, owed.action.rejection, plan)
        title, _, body = message.partition("\n\n")
        try:
            found = self._forge.pull_request_of(branch, self._branch)
            if isinstance(found, NotKnown):
                raise Unreachable(branch, "its pull request is not known", found.message)
            pull = found or self._forge.pull_request(branch, self._branch, title, body)
        except ReconcilerError as error:
            # The branch is there, which is what counts; it is asked for again.
            _log.warning("pull-request-failed", service=owed.action.service, error=str(error))
            return ""
        owed.is_asked = True
        _log.info("pull-request", service=owed.action.service, url=pull.url)
        return pull.url

    def _send(self, commit: CommitId, branch: str) -> PushResult:
        return push_if_ours(self._remote, commit, branch, may_push=self._may_push)

    def _known(self, action: CommitRevert) -> RevertProgress | None:
        """Returns what is recorded of this commit; None when the rejection is recorded no more."""
        return _progress(self._record((action.service, action.environment)), action.rejection)

    def _note(self, action: CommitRevert, progress: RevertProgress) -> None:
        key = (action.service, action.environment)
        known = self._known(action)
        if known is None or replace(known, pushed_at=None) == replace(progress, pushed_at=None):
            return
        self._amend(key, lambda record: with_revert(record, action.rejection, progress))
        self._on_change(action.service)

    def _tell(
        self, kind: EventKind, action: CommitRevert, commit: CommitId, branch: str, why: str = ""
    ) -> None:
        began = action.rejection.first_failure_at
        self._on_event(
            Event(
                at=self._clock.now(),
                kind=kind,
                reason=action.reason,
                message=why or f"{commit} is on {branch}",
                service=action.service,
                environment=action.environment,
                revision=action.rejection.revision,
                seconds=(self._clock.now() - began).total_seconds(),
                detail=(("commit", commit), ("branch", branch)),
            )
        )


def _progress(record: PromotionRecord | None, rejection: Rejection) -> RevertProgress | None:
    """Returns what is recorded of a rejection's commit, or None."""
    at = (rejection.revision.id, rejection.rejected_at)
    known = record.rejections if record else ()
    return next((r.revert for r in known if (r.revision.id, r.rejected_at) == at), None)
