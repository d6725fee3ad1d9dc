"""The env repo's history: read at any commit, and add one commit without ever overwriting another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from reconciler.model.names import BlobId, CommitId
from reconciler.model.release import TreeEntry


@dataclass(frozen=True, slots=True)
class CommitFacts:
    """What a commit says of itself.

    Attributes:
        at: Committer time, UTC.
        message: Whole text, trailers included.
    """

    commit: CommitId
    parents: tuple[CommitId, ...]
    author: str
    at: datetime
    message: str


class PushOutcome(StrEnum):
    """What the remote's ref showed when it was read back after a push."""

    LANDED = "landed"
    MOVED = "moved"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class PushResult:
    """The remote's answer, read back rather than believed.

    Attributes:
        outcome: LANDED: the ref shows our commit or a descendant of it. MOVED: someone else was first.
            REFUSED: a hook or a protection said no. LOST: no error, yet the ref does not show it.
        message: The remote's words, cleaned of control characters, at most 500 characters.
    """

    outcome: PushOutcome
    message: str = ""


class History(Protocol):
    """Reads of the local mirror; all raise OperatorError for a commit or blob that is not there."""

    def resolve(self, revision: str) -> CommitId | None:
        """Returns the full commit that a full or short id names, or None."""
        ...

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        """Returns every file below a folder, sorted by path relative to it; empty when it is not there."""
        ...

    def folder(self, commit: CommitId, path: str) -> Mapping[str, str]:
        """Returns what a folder itself holds, files and folders by name, each with its object's id; equal ids
        mean equal contents. Empty when it is not there."""
        ...

    def blob(self, blob: BlobId) -> bytes:
        """Returns a blob's content; InvalidInput when it is over the size limit."""
        ...

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        """Tells whether `descendant` contains `ancestor`; a commit contains itself."""
        ...

    def commit_facts(self, commit: CommitId) -> CommitFacts:
        """Returns a commit's parents, author, time and message."""
        ...

    def log(self, head: CommitId, *, path: str | None, most: int) -> tuple[CommitFacts, ...]:
        """Returns first-parent commits, newest first, optionally only those that touch a path."""
        ...


class Signers(Protocol):
    """Those whose commits may change what is guarded."""

    def signer_of(self, commit: CommitId) -> str | None:
        """Returns who has signed a commit, or None: nobody who is allowed.

        Raises:
            OperatorError: It cannot be told who is allowed.
        """
        ...


class Remote(Protocol):
    """The branch that people merge into."""

    def fetch(self) -> CommitId:
        """Brings the mirror up to date and returns the branch's commit.

        Raises:
            TransientError: The remote did not answer in time.
            OperatorError: It answered, and forbids it, or the repo or branch is not there or is empty.
        """
        ...

    def commit(self, parent: CommitId, edits: Mapping[str, bytes | None], message: str) -> CommitId:
        """Writes a commit on top of `parent` into the mirror; None deletes a path. Nothing is pushed."""
        ...

    def push(self, commit: CommitId, branch: str) -> PushResult:
        """Pushes without force to a branch, then reads the remote ref back.

        Raises:
            TransientError: No answer; whether it landed is unknown until the next fetch.
        """
        ...
