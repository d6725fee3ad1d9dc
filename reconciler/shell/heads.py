"""HEAD as last fetched and as last accepted: history moves forward, and a broken file keeps what was."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from reconciler.errors import InvalidInput, OperatorError, ReconcilerError
from reconciler.model.env_repo import Snapshot
from reconciler.model.events import Event, EventKind
from reconciler.model.names import CommitId
from reconciler.model.reasons import Reason
from reconciler.model.view import Head
from reconciler.ports.clock import Clock
from reconciler.ports.git import History, Remote


class Accepted(Protocol):
    """Where the last accepted commit is remembered: the home."""

    def load(self) -> CommitId | None:
        """Returns it, or None when none was ever accepted; TransientError when it is not known."""
        ...

    def save(self, commit: CommitId) -> None:
        """Remembers it."""
        ...


class Heads:
    """Fetches, checks that history only moved forward, parses, and publishes.

    Args:
        remote: The branch.
        history: The mirror.
        read: Parses a commit; InvalidInput with every fault when the fleet or a policy is broken.
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
        self._accepted = accepted
        self._accept_history = accept_history
        self._poll_s = poll_s
        self._clock = clock
        self._on_change = on_change
        self._on_event = on_event
        self._lock = threading.Lock()
        self._fetching = threading.Lock()
        self._head = Head()

    @property
    def head(self) -> Head:
        """What is known now."""
        with self._lock:
            return self._head

    def step(self) -> float:
        """Fetches once; returns seconds until the next time."""
        # A failure has been published and told; the next fetch is made at the usual time.
        with suppress(ReconcilerError):
            self.refresh()
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
                self._publish(replace(self.head, error=str(error)), EventKind.FETCH_FAILED)
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
        try:
            last = now.snapshot.commit if now.snapshot else self._accepted.load()
            if last is not None and not self._descends(last, commit):
                why = (
                    f"{commit} does not descend from {last}, the last accepted commit; set "
                    f"`repo.accept_history: {commit}` if the branch was rewritten on purpose"
                )
                refused = replace(now, error=why, halted=Reason.HISTORY_REWRITTEN)
                return self._publish(refused, EventKind.HEAD_REFUSED)
            snapshot = self._read(commit)
            if last != commit:
                self._accepted.save(commit)
        except InvalidInput as error:
            return self._publish(replace(now, error=str(error)), EventKind.HEAD_REFUSED)
        except ReconcilerError as error:
            return self._publish(replace(now, error=str(error)), EventKind.FETCH_FAILED)
        return self._publish(replace(now, snapshot=snapshot, halted=None), EventKind.FETCHED)

    def _descends(self, last: CommitId, commit: CommitId) -> bool:
        if self._accept_history() == commit:
            return True
        try:
            return self._history.is_ancestor(last, commit)
        except OperatorError:
            # The former HEAD is in no history that the remote still gives: it was rewritten.
            return False

    def _publish(self, head: Head, kind: EventKind) -> Head:
        was = self.head
        self._set(head, changed=True)
        if kind is EventKind.FETCHED or head.error != was.error:
            message = head.error or f"HEAD is {head.commit}"
            self._on_event(Event(self._clock.now(), kind, kind.value, message))
        return head

    def _set(self, head: Head, *, changed: bool) -> None:
        with self._lock:
            self._head = head
        if changed:
            self._on_change()
