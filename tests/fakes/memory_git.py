"""Git in memory: a branch that people merge into, and pushes that can fail in each way that real ones do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.errors import InvalidInput, TransientError, Unreachable
from reconciler.model.names import BlobId, CommitId
from reconciler.model.release import TreeEntry
from reconciler.ports.clock import Clock
from reconciler.ports.git import CommitFacts, PushOutcome, PushResult

BRANCH = "main"
PERSON = "A Person <person@example.com>"


@dataclass(frozen=True, slots=True)
class _Commit:
    facts: CommitFacts
    files: Mapping[str, BlobId]


class MemoryGit:
    """Both a History and a Remote, of which `main` is the branch that people merge into.

    Attributes:
        is_down: Nothing answers.
        before_push: Runs between our fetch and what the server makes of our push.
        refuse: The server's hook, given the branch: words refuse the push. It may write as others do.
        drops_pushes: Pushes are taken and kept nowhere.
        breaks_off: The connection is lost after the server has taken a push.
        fetches: How often somebody fetched.
        unreadable: Commits that are larger than is ever read.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._blobs: dict[BlobId, bytes] = {}
        self._commits: dict[CommitId, _Commit] = {}
        self.branches: dict[str, CommitId] = {}
        self.is_down = False
        self.refuse: Callable[[str], str] = lambda branch: ""
        self.before_push: Callable[[], None] = lambda: None
        self.drops_pushes = False
        self.breaks_off = False
        self.fetches = 0
        self.unreadable: set[CommitId] = set()

    # What people do.

    def merge(
        self,
        edits: Mapping[str, bytes | str | None],
        message: str = "a change",
        *,
        branch: str = BRANCH,
        author: str = PERSON,
        orphan: bool = False,
    ) -> CommitId:
        """Commits to a branch, as a merged pull request does."""
        octets = {
            path: text.encode() if isinstance(text, str) else text for path, text in edits.items()
        }
        parent = None if orphan else self.branches.get(branch)
        commit = self._write(parent, octets, message, author)
        self.branches[branch] = commit
        return commit

    def orphan(self) -> CommitId:
        """Returns a commit with main's files and no parent, as a force push brings it."""
        files = self._commits[self.branches[BRANCH]].files
        octets = {path: self._blobs[blob] for path, blob in files.items()}
        return self._write(None, octets, "all new", PERSON)

    def read(self, path: str, commit: CommitId | None = None) -> bytes:
        """Returns a file of main."""
        files = self._commits[commit or self.branches[BRANCH]].files
        return self._blobs[files[path]]

    def files(self, commit: CommitId) -> Mapping[str, BlobId]:
        """Returns the blob of each file of a commit."""
        return self._commits[commit].files

    # Remote.

    def fetch(self) -> CommitId:
        self.fetches += 1
        if self.is_down:
            raise Unreachable("git", "the fetch failed", "connection refused")
        if not self.branches:
            raise InvalidInput("git", "the repo is empty", "it has no branch")
        if BRANCH not in self.branches:
            names = ", ".join(sorted(self.branches))
            raise InvalidInput("git", f"branch {BRANCH} is not there", f"it has {names}")
        return self.branches[BRANCH]

    def commit(self, parent: CommitId, edits: Mapping[str, bytes | None], message: str) -> CommitId:
        files = self._at(parent).files
        for path, octets in edits.items():
            if {"", ".", "..", ".git"} & set(path.split("/")):
                raise InvalidInput(path, "this edit is refused", "it leaves the tree")
            if octets is None and path not in files:
                raise InvalidInput(path, "this edit is refused", "it is not there to delete")
        return self._write(parent, edits, message, "reconciler <reconciler@localhost>")

    def push(self, commit: CommitId, branch: str) -> PushResult:
        if self.is_down:
            raise Unreachable("git", "the push failed", "connection refused")
        if commit not in self._commits:
            raise TransientError(commit, "the push is refused", "there is no such commit")
        self.before_push()
        there = self.branches.get(branch)
        if there is not None and self.is_ancestor(commit, there):
            return PushResult(PushOutcome.LANDED)
        if there is None and branch == BRANCH:
            return PushResult(PushOutcome.MOVED, "the branch is gone")
        if there is not None and not self.is_ancestor(there, commit):
            return PushResult(PushOutcome.MOVED, f"the branch is at {there}")
        refusal = self.refuse(branch)
        if refusal:
            return PushResult(PushOutcome.REFUSED, f"hook declined: {refusal}")
        if self.branches.get(branch) != there:
            return PushResult(PushOutcome.MOVED, "the branch moved while we pushed")
        if self.drops_pushes:
            return PushResult(PushOutcome.LOST)
        self.branches[branch] = commit
        if self.breaks_off:
            raise TransientError("git", "the push broke off", "the connection was lost")
        return PushResult(PushOutcome.LANDED)

    # History.

    def resolve(self, revision: str) -> CommitId | None:
        if revision in self._commits:
            return CommitId(revision)
        found = [c for c in self._commits if c.startswith(revision)]
        return found[0] if len(found) == 1 else None

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        folder = f"{path.strip('/')}/" if path.strip("/") else ""
        return tuple(
            TreeEntry(name.removeprefix(folder), 0o100644, blob)
            for name, blob in sorted(self._read(commit).files.items())
            if name.startswith(folder)
        )

    def folder(self, commit: CommitId, path: str) -> Mapping[str, str]:
        below: dict[str, list[str]] = {}
        for entry in self.tree(commit, path):
            name, _, rest = entry.path.partition("/")
            below.setdefault(name, []).append(f"{rest} {entry.blob}" if rest else entry.blob)
        return {name: "\n".join(ids) for name, ids in below.items()}

    def blob(self, blob: BlobId) -> bytes:
        if blob not in self._blobs:
            raise InvalidInput(f"blob {blob}", "it cannot be read", "it is not there")
        return self._blobs[blob]

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        self._read(ancestor)
        self._read(descendant)
        waiting = [descendant]
        while waiting:
            one = waiting.pop()
            if one == ancestor:
                return True
            waiting.extend(self._at(one).facts.parents)
        return False

    def commit_facts(self, commit: CommitId) -> CommitFacts:
        return self._read(commit).facts

    def log(self, head: CommitId, *, path: str | None, most: int) -> tuple[CommitFacts, ...]:
        found: list[CommitFacts] = []
        at: CommitId | None = head
        while at is not None and len(found) < most:
            here = self._at(at)
            parent = here.facts.parents[0] if here.facts.parents else None
            before = self._at(parent).files if parent else {}
            if path is None or _below(here.files, path) != _below(before, path):
                found.append(here.facts)
            at = parent
        return tuple(found)

    def _read(self, commit: CommitId) -> _Commit:
        if commit in self.unreadable:
            raise InvalidInput(f"commit {commit}", "it is refused", "it is over the limit")
        return self._at(commit)

    def _at(self, commit: CommitId) -> _Commit:
        found = self._commits.get(commit)
        if found is None:
            raise InvalidInput(commit, "it cannot be read", "there is no such commit")
        return found

    def _write(
        self,
        parent: CommitId | None,
        edits: Mapping[str, bytes | None],
        message: str,
        author: str,
    ) -> CommitId:
        files = dict(self._commits[parent].files) if parent else {}
        for path, octets in edits.items():
            if octets is None:
                files.pop(path, None)
                continue
            blob = BlobId(hashlib.sha1(octets, usedforsecurity=False).hexdigest())
            self._blobs[blob] = octets
            files[path] = blob
        text = f"{parent}{sorted(files.items())}{message}{self._clock.now()}{len(self._commits)}"
        commit = CommitId(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
        parents = (parent,) if parent else ()
        facts = CommitFacts(commit, parents, author, self._clock.now(), message)
        self._commits[commit] = _Commit(facts, files)
        return commit


def _below(files: Mapping[str, BlobId], path: str) -> object:
    """Returns what stands at a path, be it a file or a folder."""
    folder = f"{path}/"
    return files.get(path) or {n: blob for n, blob in files.items() if n.startswith(folder)}
