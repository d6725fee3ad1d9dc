"""HEAD as last fetched and as last accepted: history moves forward, and a broken file keeps what was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from reconciler.errors import Conflict, InvalidInput, OperatorError, ReconcilerError
from reconciler.model.env_repo import Snapshot
from reconciler.model.events import Event, EventKind
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
    """

    commit: CommitId | None = None
    word: str = ""
    version: str = ""
    clusters: tuple[ClusterName, ...] = ()


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
                failed = replace(self.head, error=str(error), clusters=self._known_clusters())
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
                if self._remember(last, snapshot):
                    named = _named(snapshot)
                    followed = replace(now, snapshot=snapshot, halted=None, clusters=named)
                    return self._publish(followed, EventKind.FETCHED)
            raise Conflict("the accepted HEAD", "cannot be written", "others write it")
        except InvalidInput as error:
            kept = self._kept(now, last)
            return self._publish(replace(kept, error=str(error)), EventKind.HEAD_REFUSED)
        except ReconcilerError as error:
            known = replace(now, error=str(error), clusters=self._known_clusters())
            return self._publish(known, EventKind.FETCH_FAILED)

    def _kept(self, now: Head, last: LastAccepted | None) -> Head:
        """Returns what is followed while HEAD itself may not be: what was accepted before."""
        snapshot = now.snapshot or self._former(last)
        remembered = last.clusters if last is not None else ()
        clusters = _named(snapshot) if snapshot is not None else remembered
        return replace(now, snapshot=snapshot, clusters=clusters)

    def _known_clusters(self) -> tuple[ClusterName, ...]:
        """Returns the clusters known so far; after a start without Git the home remembers them."""
        if self.head.clusters:
            return self.head.clusters
        try:
            last = self._accepted.load()
        except ReconcilerError:
            return ()
        return last.clusters if last is not None else ()

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

    def _remember(self, last: LastAccepted | None, snapshot: Snapshot) -> bool:
        """Writes what is accepted before anything follows from it; False when another was first."""
        word = self._accept_history() or ""
        used = last.word if last is not None else self._word
        if word and self._contains(snapshot.commit, word):
            used = word
        version = last.version if last else ""
        wanted = LastAccepted(snapshot.commit, used, version, _named(snapshot))
        try:
            if wanted != last:
                self._accepted.save(wanted)
        except Conflict:
            return False
        self._word = used
        return True

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


def _named(snapshot: Snapshot) -> tuple[ClusterName, ...]:
    return tuple(cluster.name for cluster in snapshot.fleet.clusters())
