"""The forge that serves the env repo: what checks say of a commit, and pull requests for our branches."""

from __future__ import annotations

from typing import Protocol

from reconciler.model.answers import NotKnown
from reconciler.model.forge import Protection, PullRequest, Statuses
from reconciler.model.names import CommitId


class Forge(Protocol):
    """One repository of a forge. A question that is not answered in whole is NotKnown, never empty."""

    def statuses(self, commit: CommitId) -> Statuses | NotKnown:
        """Returns the newest status of each check of a commit.

        A commit that the forge does not have is NotKnown: nobody can have checked it there yet.
        """
        ...

    def protection(self, branch: str) -> Protection | NotKnown:
        """Returns what protects a branch from us; a branch that is not there is NotKnown."""
        ...

    def pull_request_of(self, branch: str, base: str) -> PullRequest | NotKnown | None:
        """Returns the pull request for a branch of ours: the open one, else one that was open; None: never one."""
        ...

    def pull_request(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """Opens a pull request, or returns the one that is open for that branch and base.

        May be called again after any error: there is never a second one.

        Raises:
            OperatorError: The forge answered, and says that we may not, or that a branch is not there. Whether
                there is anything to merge is not asked: a forge may open one without.
            TransientError: No answer; whether it is open is unknown until it is asked for again.
        """
        ...

    def open_pull_requests(self, base: str) -> tuple[PullRequest, ...] | NotKnown:
        """Returns every open pull request from a branch of the repository itself into another, the oldest first."""
        ...

    def close_pull_request(self, number: int) -> None:
        """Closes a pull request without merging it; one that is closed already stays so.

        Raises:
            OperatorError: The forge answered, and says that we may not, or that it was merged, or is not there.
            TransientError: No answer; whether it is closed is unknown.
        """
        ...
