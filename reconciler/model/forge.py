"""What a forge says of commits, branches and pull requests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.names import CommitId


class StatusState(StrEnum):
    """What a check says of a commit; a word that we do not know is not taken for any of these."""

    SUCCESS = "success"
    SKIPPED = "skipped"
    PENDING = "pending"
    WARNING = "warning"
    FAILURE = "failure"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class CommitStatus:
    """The newest word of one check about a commit.

    Attributes:
        context: The check's name, as people name it in a policy.
        description: Its own words, cleaned and cut.
    """

    context: str
    state: StatusState
    description: str = ""


@dataclass(frozen=True, slots=True)
class Statuses:
    """Every check that has said anything of a commit, by name; none where none has."""

    commit: CommitId
    checks: tuple[CommitStatus, ...]


class PullRequestState(StrEnum):
    """Whether a pull request still asks for anything."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """One pull request.

    Attributes:
        number: What people call it in this repository.
        url: Its page.
        branch: The branch that it asks to have merged.
        base: The branch that it asks to be merged into.
        head: The newest commit of `branch` that the forge has seen.
    """

    number: int
    url: str
    branch: str
    base: str
    state: PullRequestState
    head: CommitId


@dataclass(frozen=True, slots=True)
class Protection:
    """What protects a branch from us, as far as the forge tells.

    Attributes:
        can_push: Whether we may push to it directly.
        can_merge: Whether we may merge a pull request into it.
        required_checks: Checks without which nothing is merged, sorted.
        required_approvals: How many people must have approved.
    """

    branch: str
    is_protected: bool
    can_push: bool
    can_merge: bool
    required_checks: tuple[str, ...] = ()
    required_approvals: int = 0
