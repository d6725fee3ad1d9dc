"""The ways to a Git repository that the same checks are run over: real servers, and the fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from reconciler.adapters.git.repository import GitRepository, open_repository
from reconciler.model.names import CommitId
from reconciler.ports.git import History, Remote
from tests.fakes.memory_git import MemoryGit
from tests.gitservers.served import Served, Way, serve

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

FIRST = {"environments/dev/web.yaml": b"a\n", "README.md": b"r\n"}
"""What every repository begins with."""


class StoppedClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """Returns NOW."""
        return NOW

    def monotonic_s(self) -> float:
        """Returns nothing that moves."""
        return 0.0


class Port(History, Remote, Protocol):
    """Both ports over one repository, as every adapter gives them."""


class People(Protocol):
    """What people do to a repository, whatever keeps it."""

    def commit(
        self,
        files: Mapping[str, bytes | None],
        *,
        branch: str = "main",
        orphan: bool = False,
        message: str = "A change",
    ) -> str:
        """Puts a commit on a branch as a merge on the server does; an orphan rewrites the branch."""
        ...

    def tip(self, branch: str = "main") -> str:
        """Returns a branch's commit, or "" where it is not there."""
        ...

    def read(self, path: str, branch: str = "main") -> str:
        """Returns a file on a branch, without white space at its ends."""
        ...

    def set_branch(self, branch: str, commit: str) -> None:
        """Puts a branch where a person wants it; "" deletes it."""
        ...

    def on_pre_receive(self, code: Callable[[], str | None] | None) -> None:
        """Sets what runs while a push is taken; its words refuse the push."""
        ...


@dataclass(frozen=True, slots=True)
class GitWorld:
    """A repository with one commit, the people who write to it, and the ports over it."""

    people: People
    repo: Port
    first: str


@dataclass(frozen=True, slots=True)
class ServedWorld(GitWorld):
    """A repository behind a real server."""

    served: Served
    repo: GitRepository

    def another(self, folder: Path) -> GitRepository:
        """Returns a second adapter with a mirror of its own."""
        access = replace(self.served.access, mirror_dir=folder / "another" / "mirror")
        return open_repository(access, clock=StoppedClock())

    def with_access(self, **changes: object) -> GitRepository:
        """Returns an adapter over the same mirror whose access differs."""
        return open_repository(replace(self.served.access, **changes), clock=StoppedClock())  # type: ignore[arg-type]


def one_commit(world: ServedWorld) -> CommitId:
    """Returns a commit of ours on top of what people have, not pushed yet."""
    return world.repo.commit(world.repo.fetch(), {"y": b"1"}, "y")


class _ServedPeople:
    """People over a served repository.

    Args:
        served: The repository and its server.
    """

    def __init__(self, served: Served) -> None:
        self._served = served
        self.commit = served.repository.commit
        self.tip = served.repository.tip
        self.read = served.repository.read

    def set_branch(self, branch: str, commit: str) -> None:
        ref = f"refs/heads/{branch}"
        self._served.repository.git("update-ref", *([ref, commit] if commit else ["-d", ref]))

    def on_pre_receive(self, code: Callable[[], str | None] | None) -> None:
        assert self._served.hooks is not None
        self._served.hooks.pre_receive = code


class _MemoryPeople:
    """People over the fake.

    Args:
        git: The fake.
    """

    def __init__(self, git: MemoryGit) -> None:
        self._git = git

    def commit(
        self,
        files: Mapping[str, bytes | None],
        *,
        branch: str = "main",
        orphan: bool = False,
        message: str = "A change",
    ) -> str:
        return self._git.merge(files, message, branch=branch, orphan=orphan)

    def tip(self, branch: str = "main") -> str:
        return self._git.branches.get(branch, "")

    def read(self, path: str, branch: str = "main") -> str:
        return self._git.read(path, self._git.branches[branch]).decode().strip()

    def set_branch(self, branch: str, commit: str) -> None:
        if commit:
            self._git.branches[branch] = CommitId(commit)
        else:
            del self._git.branches[branch]

    def on_pre_receive(self, code: Callable[[], str | None] | None) -> None:
        self._git.refuse = (lambda branch: code() or "") if code else (lambda branch: "")


@contextmanager
def served_world(way: Way, folder: Path) -> Iterator[ServedWorld]:
    """Serves a repository and opens the adapter over it."""
    with serve(way, folder) as served:
        first = served.repository.commit(FIRST)
        repo = open_repository(served.access, clock=StoppedClock())
        yield ServedWorld(_ServedPeople(served), first=first, served=served, repo=repo)


def memory_world() -> GitWorld:
    """Makes the fake."""
    git = MemoryGit(StoppedClock())
    first = git.merge(FIRST)
    return GitWorld(_MemoryPeople(git), git, first)
