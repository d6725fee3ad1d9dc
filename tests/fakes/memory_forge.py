"""A forge in memory, over the branches of a repository that is only names."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import replace

from reconciler.errors import Refused, Unreachable
from reconciler.model.answers import NotKnown
from reconciler.model.forge import (
    CommitStatus,
    Protection,
    PullRequest,
    PullRequestState,
    Statuses,
    StatusState,
)
from reconciler.model.names import CommitId


class MemoryForge:
    """The Forge port; what people do to it is done by its other methods.

    Attributes:
        away: What every question is answered with; None while it is there.
        asked: Commits whose statuses were asked for.
    """

    def __init__(self) -> None:
        self.away: NotKnown | None = None
        self.asked: list[CommitId] = []
        self._numbers = itertools.count(1)
        self._commits: set[CommitId] = set()
        self._branches: dict[str, CommitId] = {}
        self._statuses: dict[CommitId, dict[str, CommitStatus]] = {}
        self._rules: dict[str, Protection] = {}
        self._pulls: list[PullRequest] = []
        self.commit("main")

    def serve(self, branches: dict[str, CommitId]) -> None:
        """Serves a repository that is more than names: these are its branches, as they come and go."""
        self._branches = branches

    @property
    def pulls(self) -> tuple[PullRequest, ...]:
        """Every pull request, the oldest first."""
        return tuple(self._pulls)

    def statuses(self, commit: CommitId) -> Statuses | NotKnown:
        """As the port has it."""
        self.asked.append(commit)
        if self.away is not None:
            return self.away
        if commit not in self._commits:
            return NotKnown("Refused", f"commit {commit}: there is none")
        return Statuses(commit, tuple(sorted(self._statuses.get(commit, {}).values())))

    def protection(self, branch: str) -> Protection | NotKnown:
        """As the port has it."""
        if self.away is not None:
            return self.away
        if branch not in self._branches:
            return NotKnown("Refused", f"branch {branch}: there is none")
        free = Protection(branch, is_protected=False, can_push=True, can_merge=True)
        return self._rules.get(branch, free)

    def pull_request_of(self, branch: str, base: str) -> PullRequest | NotKnown | None:
        """As the port has it."""
        if self.away is not None:
            return self.away
        mine = [pull for pull in self._pulls if (pull.branch, pull.base) == (branch, base)]
        is_open = (pull for pull in mine if pull.state is PullRequestState.OPEN)
        return next(is_open, mine[0] if mine else None)

    def pull_request(self, branch: str, base: str, title: str, body: str) -> PullRequest:
        """As the port has it."""
        found = self.pull_request_of(branch, base)
        if isinstance(found, NotKnown):
            raise Unreachable(f"branch {branch}", "no pull request can be opened", found.message)
        if isinstance(found, PullRequest) and found.state is PullRequestState.OPEN:
            return found
        what = f"cannot open a pull request into {base}"
        if not {branch, base} <= self._branches.keys():
            raise Refused(f"branch {branch}", what, "there is no such branch")
        number = next(self._numbers)
        head = self._branches[branch]
        url = f"memory:pulls/{number}"
        self._pulls.append(PullRequest(number, url, branch, base, PullRequestState.OPEN, head))
        return self._pulls[-1]

    def open_pull_requests(self, base: str) -> tuple[PullRequest, ...] | NotKnown:
        """As the port has it."""
        if self.away is not None:
            return self.away
        return tuple(p for p in self._pulls if p.base == base and p.state is PullRequestState.OPEN)

    def close_pull_request(self, number: int) -> None:
        """As the port has it."""
        if self.away is not None:
            raise Unreachable(f"pull request {number}", "cannot be closed", self.away.message)
        found = next((p for p in self._pulls if p.number == number), None)
        if found is None or found.state is PullRequestState.MERGED:
            what = "it is not there" if found is None else "it was merged"
            raise Refused(f"pull request {number}", "cannot be closed", what)
        self.close(number, merged=False)

    def commit(self, branch: str) -> CommitId:
        """Puts a new commit on a branch, which is made if need be."""
        text = f"{branch} {len(self._commits)}"
        made = CommitId(hashlib.sha1(text.encode()).hexdigest())
        self._commits.add(made)
        self._branches[branch] = made
        return made

    def know(self, commit: CommitId) -> None:
        """Takes a commit in, as a push does."""
        self._commits.add(commit)

    def forget(self) -> None:
        """Loses all commits, as one does that is a mirror and was set up anew."""
        self._commits.clear()

    def says(self, commit: CommitId, context: str, state: str) -> None:
        """Writes a status, as a check does."""
        said = CommitStatus(context, StatusState(state))
        self._statuses.setdefault(commit, {})[context] = said

    def protect(self, branch: str, checks: tuple[str, ...]) -> None:
        """Lets nobody push to a branch, and nothing be merged without some checks."""
        self._rules[branch] = Protection(
            branch, is_protected=True, can_push=False, can_merge=True, required_checks=checks
        )

    def close(self, number: int, *, merged: bool) -> None:
        """Ends a pull request, as a person does."""
        state = PullRequestState.MERGED if merged else PullRequestState.CLOSED
        found = next(i for i, pull in enumerate(self._pulls) if pull.number == number)
        pull = self._pulls[found]
        self._pulls[found] = replace(pull, state=state)
        if merged:
            self._branches[pull.base] = self._branches[pull.branch]
