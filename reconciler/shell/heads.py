"""HEAD as last fetched and as last accepted: history moves forward, and a broken file keeps what was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, TypedDict

from reconciler.errors import Conflict, InvalidInput, OperatorError, ReconcilerError
from reconciler.model.env_repo import Snapshot
from reconciler.model.events import Event, EventKind
from reconciler.model.fleet import ClusterState
from reconciler.model.names import ClusterName, CommitId
from reconciler.model.reasons import Reason
from reconciler.model.view import Head
from reconciler.ports.clock import Clock
from reconciler.ports.git import History, Remote

BROKEN_SHOWN_MAX = 5
"""Of broken files in one log line; `status` and `validate` name all."""

ACCEPT_TRIES_MAX = 3
"""Two daemons may accept a new HEAD at once; each lost try is the other's progress."""

RETRY_FIRST_S = 1.0
"""A fetch that failed is made again so soon, then less and less until the usual time."""


@dataclass(frozen=True, slots=True)
class LastAccepted:
    """What the home remembers of the branch.

    Attributes:
        commit: The last accepted HEAD.
        word: The operator's `accept_history` that was used up: it allows one rewrite, not every later one.
        version: Of the stored object; empty before it was first stored.
        clusters: Of that commit's fleet.yaml: what a start without Git puts back bad releases on.
        joining: Those of them that join.
        draining: Those of them that drain.
        left: Those that drained and are named no more, the newest first.
    """

    commit: CommitId | None = None
    word: str = ""
    version: str = ""
    clusters: tuple[ClusterName, ...] = ()
    joining: tuple[ClusterName, ...] = ()
    draining: tuple[ClusterName, ...] = ()
    left: tuple[ClusterName, ...] = ()


LEFT_MAX = 100
"""Clusters that have left and are remembered as such: a release later no record names them any more."""


class Accepted(Protocol):
    """Where the last accepted commit is remembered: the home."""

    def load(self) -> LastAccepted | None:
        """Returns it, or None when none was ever accepted; TransientError when it is not known."""
        ...

    def save(self, accepted: LastAccepted) -> None:
        """Remembers it; Conflict when somebody else did since it was loaded."""
        ...


class Heads:
    """Fetches, checks that history only moved forward, parses, and publishes.

    Args:
        remote: The branch.
        history: The mirror.
        read: Parses a commit; InvalidInput with every fault when the fleet or a policy is broken.
        vouch: Checks a new HEAD against the commit accepted before, if any; InvalidInput when it is refused.
        accepted: The last accepted commit.
        accept_history: The operator's word that a rewritten HEAD is meant; None: no such word.
        poll_s: Seconds between fetches.
        clock: Time.
        on_change: Called when something new is known.
        on_event: Told of fetches and refusals.
    """

    def __init__(
        self,
        remote: Remote,
        history: History,
        *,
        read: Callable[[CommitId], Snapshot],
        vouch: Callable[[CommitId | None, Snapshot], None],
        accepted: Accepted,
        accept_history: Callable[[], str | None],
        poll_s: Callable[[], float],
        clock: Clock,
        on_change: Callable[[], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self._remote = remote
        self._history = history
        self._read = read
        self._vouch = vouch
        self._accepted = accepted
        self._accept_history = accept_history
        self._poll_s = poll_s
        self._clock = clock
        self._on_change = on_change
        self._on_event = on_event
        self._lock = threading.Lock()
        self._fetching = threading.Lock()
        self._head = Head()
        self._failures = 0
        self._word = ""

    @property
    def head(self) -> Head:
        """What is known now."""
        with self._lock:
            return self._head

    def step(self) -> float:
        """Fetches once; returns seconds until the next time."""
        # A failure has been published and told.
        with suppress(ReconcilerError):
            self.refresh()
        if self.head.error:
            self._failures += 1
            return min(self._poll_s(), RETRY_FIRST_S * 2.0 ** min(self._failures - 1, 10))
        self._failures = 0
        return self._poll_s()

    def refresh(self) -> Head:
        """Fetches now, from whatever thread asks, and returns what is known then.

        Raises:
            ReconcilerError: The fetch failed; what was accepted before stays.
        """
        with self._fetching:
            try:
                commit = self._remote.fetch()
            except ReconcilerError as error:
                failed = replace(self._with_known_clusters(self.head), error=str(error))
                self._publish(failed, EventKind.FETCH_FAILED)
                raise
            was = self.head
            now = replace(
                was,
                commit=commit,
                fetched_at=self._clock.now(),
                fetched_s=self._clock.monotonic_s(),
                error="",
            )
            if was.snapshot is not None and was.snapshot.commit == commit and not was.halted:
                self._set(now, changed=bool(was.error))
                return now
            return self._consider(now, commit)

    def _consider(self, now: Head, commit: CommitId) -> Head:
        """Accepts a new HEAD, or says why the former stays."""
        last: LastAccepted | None = None
        try:
            for _ in range(ACCEPT_TRIES_MAX):
                last = self._accepted.load()
                refusal = self._refusal(now, last, commit)
                if refusal is not None:
                    # Another daemon may have accepted what was merged after our fetch.
                    later = self._remote.fetch()
                    if later != commit:
                        commit, now = later, replace(now, commit=later)
                        continue
                    kept = self._kept(now, last)
                    refused = replace(kept, error=refusal, halted=Reason.HISTORY_REWRITTEN)
                    return self._publish(refused, EventKind.HEAD_REFUSED)
                snapshot = self._read(commit)
                former = last.commit if last is not None else None
                self._vouch(now.snapshot.commit if now.snapshot else former, snapshot)
                if self._remember(last, now, snapshot):
                    named = self._members(snapshot, last, now)
                    followed = replace(now, snapshot=snapshot, halted=None, **named)
                    return self._publish(followed, EventKind.FETCHED)
            raise Conflict("the accepted HEAD", "cannot be written", "others write it")
        except InvalidInput as error:
            kept = self._kept(now, last)
            return self._publish(replace(kept, error=str(error)), EventKind.HEAD_REFUSED)
        except ReconcilerError as error:
            known = replace(self._with_known_clusters(now), error=str(error))
            return self._publish(known, EventKind.FETCH_FAILED)

    def _kept(self, now: Head, last: LastAccepted | None) -> Head:
        """Returns what is followed while HEAD itself may not be: what was accepted before."""
        snapshot = now.snapshot or self._former(last)
        if snapshot is not None:
            return replace(now, snapshot=snapshot, **self._members(snapshot, last, now))
        return _as_remembered(now, last)

    def _with_known_clusters(self, head: Head) -> Head:
        """Returns a head with the clusters known so far; after a start without Git the home remembers them."""
        if head.clusters:
            return head
        try:
            return _as_remembered(head, self._accepted.load())
        except ReconcilerError:
            return head

    def _refusal(self, now: Head, last: LastAccepted | None, commit: CommitId) -> str | None:
        """Returns why a commit may not follow what was accepted, or None when it may."""
        # What cannot be read has no ancestors either, and is no rewritten branch.
        self._history.commit_facts(commit)
        word = self._accept_history() or ""
        used = last.word if last is not None else self._word
        former = [last.commit if last else None, now.snapshot.commit if now.snapshot else None]
        lost = [one for one in former if one is not None and not self._contains(commit, one)]
        if not lost or (word and word != used and self._contains(commit, word)):
            return None
        if last is not None and lost == former[1:] and self._was_let_through(last, lost[0]):
            return None
        return (
            f"{commit} does not descend from {lost[0]}, the last accepted commit; set "
            f"`repo.accept_history: {commit}` if the branch was rewritten on purpose"
        )

    def _was_let_through(self, last: LastAccepted, own: str | None) -> bool:
        """Tells whether the operator's word has let another daemon follow a rewrite that we have yet to follow."""
        return (
            last.commit is not None
            and own is not None
            and bool(last.word)
            and self._contains(last.commit, last.word)
            and not self._contains(CommitId(own), last.word)
        )

    def _remember(self, last: LastAccepted | None, now: Head, snapshot: Snapshot) -> bool:
        """Writes what is accepted before anything follows from it; False when another was first."""
        word = self._accept_history() or ""
        used = last.word if last is not None else self._word
        if word and self._contains(snapshot.commit, word):
            used = word
        version = last.version if last else ""
        wanted = LastAccepted(snapshot.commit, used, version, **self._members(snapshot, last, now))
        try:
            if wanted != last:
                self._accepted.save(wanted)
        except Conflict:
            return False
        self._word = used
        return True

    def _members(self, snapshot: Snapshot, last: LastAccepted | None, was: Head) -> _Members:
        """Returns who belongs to the fleet; what another daemon has remembered since counts before what we followed."""
        own, known = was.snapshot, last.commit if last is not None else None
        is_older = known is not None and own is not None and not self._contains(own.commit, known)
        return _membership(snapshot, last, Head() if is_older else was)

    def _former(self, last: LastAccepted | None) -> Snapshot | None:
        """Reads the last accepted commit: after a start, when HEAD itself may not be followed."""
        if last is None or last.commit is None:
            return None
        try:
            return self._read(last.commit)
        except ReconcilerError:
            # The mirror was made anew and its branch does not hold that commit any more.
            return None

    def _contains(self, commit: CommitId, ancestor: str) -> bool:
        try:
            return self._history.is_ancestor(CommitId(ancestor), commit)
        except OperatorError:
            # It is in no history that the remote still gives: the branch was rewritten.
            return False

    def _publish(self, head: Head, kind: EventKind) -> Head:
        was = self.head
        self._set(head, changed=True)
        if kind is EventKind.FETCHED or head.error != was.error:
            message = head.error or f"HEAD is {head.commit}"
            broken = sorted(head.snapshot.broken) if head.snapshot and not head.error else []
            shown = ", ".join(broken[:BROKEN_SHOWN_MAX])
            detail = (("broken", shown), ("broken_files", str(len(broken)))) if broken else ()
            self._on_event(Event(self._clock.now(), kind, kind.value, message, detail=detail))
        return head

    def _set(self, head: Head, *, changed: bool) -> None:
        with self._lock:
            self._head = head
        if changed:
            self._on_change()


class _Members(TypedDict):
    clusters: tuple[ClusterName, ...]
    joining: tuple[ClusterName, ...]
    draining: tuple[ClusterName, ...]
    left: tuple[ClusterName, ...]


def _membership(snapshot: Snapshot, last: LastAccepted | None, was: Head) -> _Members:
    """Returns who belongs to the fleet, and who has left it: those that drained and are not named any more.

    Args:
        snapshot: An accepted commit.
        last: What was accepted before, as the home remembers it.
        was: What this daemon followed before; where nothing is remembered, as in observe mode, that alone says it.
    """
    clusters = snapshot.fleet.clusters()
    named = tuple(cluster.name for cluster in clusters)
    drained = (*(last.draining if last else ()), *was.draining)
    left = (*drained, *(last.left if last else ()), *was.left)
    return _Members(
        clusters=named,
        joining=tuple(c.name for c in clusters if c.state is ClusterState.JOINING),
        draining=tuple(c.name for c in clusters if c.state is ClusterState.DRAINING),
        left=tuple(name for name in dict.fromkeys(left) if name not in named)[:LEFT_MAX],
    )


def _as_remembered(head: Head, last: LastAccepted | None) -> Head:
    if last is None:
        return head
    return replace(
        head,
        clusters=last.clusters,
        joining=last.joining,
        draining=last.draining,
        left=last.left,
    )
