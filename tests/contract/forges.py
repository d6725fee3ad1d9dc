"""The forges that the same checks are run against: the fake, and a real Gitea."""

from __future__ import annotations

import time
import urllib.error
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from reconciler.adapters.forge.gitea import Gitea, GiteaAccess, open_gitea
from reconciler.model.names import CommitId
from reconciler.ports.forge import Forge
from tests.fakes.memory_forge import MemoryForge
from tests.forges.gitea import GiteaRepo

MERGEABLE_S = 20.0
"""Gitea looks behind the scenes whether a new pull request can be merged; until then it merges none."""


class People(Protocol):
    """What people and their checks do to a repository, whatever keeps it."""

    def commit(self, branch: str) -> CommitId:
        """Puts a new commit on a branch, which is made of `main` if need be."""
        ...

    def says(self, commit: CommitId, context: str, state: str) -> None:
        """Writes a status of a commit."""
        ...

    def protect(self, branch: str, checks: tuple[str, ...]) -> None:
        """Lets nobody push to a branch, and nothing be merged without some checks."""
        ...

    def close(self, number: int, *, merged: bool) -> None:
        """Ends a pull request."""
        ...


@dataclass(frozen=True, slots=True)
class ForgeWorld:
    """A repository with a commit on `main`, its people, and the port over it."""

    people: People
    forge: Forge


@dataclass(frozen=True, slots=True)
class RealForge(ForgeWorld):
    """The same in a Gitea."""

    forge: Gitea
    repo: GiteaRepo
    access: GiteaAccess

    def with_access(self, **changes: object) -> Gitea:
        """Returns an adapter that is told something else."""
        return open_gitea(replace(self.access, **changes))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class GiteaPeople:
    """People who use the real one."""

    repo: GiteaRepo

    def commit(self, branch: str) -> CommitId:
        path = f"{uuid.uuid4().hex}.txt"
        try:
            self.repo.api("GET", f"/branches/{branch}")
        except urllib.error.HTTPError:
            return CommitId(self.repo.write(path, "text", onto=branch))
        return CommitId(self.repo.write(path, "text", branch))

    def says(self, commit: CommitId, context: str, state: str) -> None:
        self.repo.says(commit, context, state)

    def protect(self, branch: str, checks: tuple[str, ...]) -> None:
        self.repo.protect(
            branch, enable_status_check=bool(checks), status_check_contexts=list(checks)
        )

    def close(self, number: int, *, merged: bool) -> None:
        if not merged:
            self.repo.api("PATCH", f"/pulls/{number}", {"state": "closed"})
            return
        until_s = time.monotonic() + MERGEABLE_S
        while not self.repo.api("GET", f"/pulls/{number}")["mergeable"]:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        self.repo.api("POST", f"/pulls/{number}/merge", {"Do": "merge"})


def real_forge(repo: GiteaRepo, folder: Path) -> RealForge:
    """Opens the adapter over a repository, as the bot."""
    token_file = folder / "forge-token"
    token_file.write_text(f"{repo.token}\n")
    access = GiteaAccess(repo.url, token_file, timeout_s=20.0)
    return RealForge(GiteaPeople(repo), open_gitea(access), repo, access)


def memory_forge() -> ForgeWorld:
    """Makes the fake."""
    fake = MemoryForge()
    return ForgeWorld(fake, fake)
