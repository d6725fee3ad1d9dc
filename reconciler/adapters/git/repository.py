"""The env repo's two ports over one mirror: reads from disk, exchanges in child processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pygit2

from reconciler.adapters.git.access import GitAccess
from reconciler.adapters.git.addresses import check_branch, parse_address
from reconciler.adapters.git.committing import write_tree
from reconciler.adapters.git.errors import MirrorBroken, translated
from reconciler.adapters.git.exchange import Exchanges, Operation, Request, request_for
from reconciler.adapters.git.history import MirrorHistory
from reconciler.adapters.git.mirror import Mirror, confine_libgit2
from reconciler.adapters.git.signing import Sign
from reconciler.errors import InvalidInput, OperatorError, TransientError
from reconciler.model.names import CommitId
from reconciler.ports.clock import Clock
from reconciler.ports.git import PushOutcome, PushResult


class GitRepository(MirrorHistory):
    """`History` and `Remote` of the env repo.

    Safe to call from several threads: reads use a Repository of the calling thread, fetches wait for
    each other, and a push runs beside both.

    Args:
        access: Where the repo is; checked by `open_repository`.
        clock: Gives our commits their time.
    """

    _mirror: Mirror

    def __init__(self, access: GitAccess, *, clock: Clock) -> None:
        self._access = access
        self._address = parse_address(access.url)
        self._clock = clock
        self._exchanges = Exchanges()
        super().__init__(Mirror(access.mirror_dir, access.url))

    def fetch(self) -> CommitId:
        """Brings the mirror up to date and returns the branch's commit.

        A mirror that is missing, broken or not ours is cloned anew beside the old one first.

        Raises:
            TransientError: The remote did not answer in time.
            OperatorError: It answered, and forbids it, or the repo or branch is not there or is empty.
        """
        with (
            translated(object=f"mirror {self._mirror.path}", what="the fetch failed"),
            self._mirror.locked(self._access.timeout_s),
        ):
            if self._mirror.is_sound():
                self._mirror.remove_leftovers(self._access.timeout_s)
                try:
                    return self._fetch_into(self._mirror.path)
                except MirrorBroken:
                    self._mirror.suspect()
            commit = self._fetch_into(self._mirror.make_fresh())
            self._mirror.take_fresh()
            return commit

    def commit(
        self,
        parent: CommitId,
        edits: Mapping[str, bytes | None],
        message: str,
        *,
        sign: Sign | None = None,
    ) -> CommitId:
        """Writes a commit on top of `parent` into the mirror; None deletes a path. Nothing is pushed.

        Args:
            parent: What it is on top of.
            edits: Content by path.
            message: Its whole text.
            sign: Signs it; None: it is not signed.

        Raises:
            OperatorError: An edit is refused, or it could not be signed.
        """
        if "\0" in message:
            raise InvalidInput("commit", "the message is refused", "it holds a NUL")
        repo = self._mirror.repository()
        base = self._commit(repo, parent)
        with self._reading(f"commit on {parent}"):
            tree = write_tree(repo, base.tree, edits)
            who = _signature(self._access, self._clock)
            if sign is None:
                return CommitId(str(repo.create_commit(None, who, who, message, tree, [base.id])))
            text = str(repo.create_commit_string(who, who, message, tree, [base.id]))
        signature = sign(text.encode()).decode()
        with self._reading(f"commit on {parent}"):
            return CommitId(str(repo.create_commit_with_signature(text, signature, "gpgsig")))

    def push(self, commit: CommitId, branch: str) -> PushResult:
        """Pushes without force to a branch, then reads the remote ref back.

        The branch that people merge into is never made anew; any other is made when it is missing.

        Raises:
            TransientError: No answer; whether it landed is unknown until the next fetch.
            OperatorError: The remote is a local path, or refuses our credential.
        """
        check_branch(branch)
        if not self._address.can_push:
            raise OperatorError(
                f"repo {self._address.text}",
                "the push is refused",
                "a push to a local path could silently erase a concurrent commit",
                "set repo.url to the repo's https or ssh address",
            )
        if not self._holds(self._mirror.repository(), commit):
            raise TransientError(
                f"commit {commit}",
                "the push is refused",
                "the mirror it was written to has been replaced; decide again",
            )
        request = self._request(Operation.PUSH, self._mirror.path)
        answer = self._run(
            replace(request, branch=branch, commit=commit, must_exist=branch == self._access.branch)
        )
        return PushResult(PushOutcome(answer["outcome"]), answer["message"])

    def _fetch_into(self, mirror: Path) -> CommitId:
        answer = self._run(self._request(Operation.FETCH, mirror))
        return CommitId(answer["commit"])

    def _request(self, operation: Operation, mirror: Path) -> Request:
        return request_for(self._access, operation=operation, mirror=mirror, home=self._mirror.home)

    def _run(self, request: Request) -> dict[str, Any]:
        return self._exchanges.run(
            request,
            address=self._address,
            ca_file=self._access.ca_file,
            timeout_s=self._access.timeout_s,
        )


def open_repository(access: GitAccess, *, clock: Clock) -> GitRepository:
    """Checks the access and returns the repository; nothing is read or made yet.

    Raises:
        InvalidInput: The address, the branch or the author is refused.
    """
    parse_address(access.url)
    check_branch(access.branch)
    _signature(access, clock)
    confine_libgit2(home=access.mirror_dir.with_name(access.mirror_dir.name + ".home"))
    return GitRepository(access, clock=clock)


def _signature(access: GitAccess, clock: Clock) -> pygit2.Signature:
    for text in (access.author_name, access.author_email):
        if not text.isprintable() or not text.strip() or set(text) & set("<>"):
            raise InvalidInput(
                "repo.author_name, repo.author_email",
                "this author is refused",
                "it is empty, or holds `<`, `>` or a control character",
                "give a plain name and an address",
            )
    seconds = int(clock.now().timestamp())
    return pygit2.Signature(access.author_name, access.author_email, seconds, 0, "utf-8")
