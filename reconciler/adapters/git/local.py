"""A repository on this machine, read where it is: for a change that no remote has yet."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from reconciler.adapters.git.errors import translated
from reconciler.adapters.git.history import MirrorHistory
from reconciler.adapters.git.mirror import confine_libgit2
from reconciler.errors import InvalidInput
from reconciler.model.names import BlobId, CommitId
from reconciler.model.release import TreeEntry
from reconciler.ports.git import CommitFacts, History

NAME_CHARACTERS_MAX = 250
"""Longer than any name that Git itself would store as a file."""


class _Checkout:
    """Stands where a mirror does; it is somebody else's, so that nothing of it is ever replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = threading.local()

    def repository(self) -> pygit2.Repository:
        """Returns this thread's own Repository."""
        if not hasattr(self._opened, "repository"):
            with translated(object=f"repository {self._folder}", what="it cannot be opened"):
                self._opened.repository = pygit2.Repository(str(self._folder))
        repository: pygit2.Repository = self._opened.repository
        return repository

    def suspect(self) -> None:
        """Notes nothing: a broken repository is its owner's."""


class LocalHistory(MirrorHistory):
    """The port `History` over a repository that a person works in.

    Args:
        folder: The repository's own folder, `.git` or a bare one.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(_Checkout(folder))

    def resolve(self, revision: str) -> CommitId | None:
        """Returns the commit that a name means, as people write it: `main`, `origin/main`, `HEAD~1`."""
        if not revision or len(revision) > NAME_CHARACTERS_MAX or revision.startswith("-"):
            return None
        repo = self._mirror.repository()
        try:
            found = repo.revparse_single(revision).peel(ObjectType.COMMIT)
        except (KeyError, ValueError, pygit2.GitError):
            return None
        return CommitId(str(found.id))


class FolderHistory(LocalHistory):
    """The same for one folder of the repository: its trees begin there.

    Args:
        repository: As for LocalHistory.
        folder: The folder, in the working folder of that repository.
    """

    def __init__(self, repository: Path, folder: Path) -> None:
        super().__init__(repository)
        self._start = folder

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        """Returns every file below a folder."""
        return super().tree(commit, self._below(path))

    def folder(self, commit: CommitId, path: str) -> Mapping[str, str]:
        """Returns what a folder itself holds."""
        return super().folder(commit, self._below(path))

    def _below(self, path: str) -> str:
        root = self._mirror.repository().workdir
        at = self._start.resolve().relative_to(Path(root).resolve()) if root else Path()
        return (at / path).as_posix() if at != Path() else path


def local_history(start: Path) -> LocalHistory | None:
    """Returns the history of the repository that holds a folder, or None where there is none."""
    found = _around(start)
    return LocalHistory(found) if found is not None else None


def folder_history(folder: Path) -> FolderHistory | None:
    """Returns a folder's own history in the repository that holds it, or None where there is none."""
    found = _around(folder)
    return FolderHistory(found, folder) if found is not None else None


def _around(start: Path) -> Path | None:
    confine_libgit2(home=start)
    try:
        found = pygit2.discover_repository(str(start))
    except (KeyError, ValueError, pygit2.GitError):
        return None
    return Path(found) if found else None


def person() -> tuple[str, str] | None:
    """Returns the name and address under which whoever runs this commits, as Git itself finds them."""
    variables = (os.environ.get("GIT_AUTHOR_NAME"), os.environ.get("GIT_AUTHOR_EMAIL"))
    if variables[0] and variables[1]:
        return variables[0], variables[1]
    name, address = person_setting("user.name"), person_setting("user.email")
    return (name, address) if name and address else None


def person_setting(name: str) -> str | None:
    """Returns what the Git config of whoever runs this says, their own files alone; None: nothing."""
    home = Path.home()
    found: str | None = None
    for file in (
        Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "config",
        home / ".gitconfig",
    ):
        if not file.is_file():
            continue
        try:
            config = pygit2.Config(str(file))
            found = str(config[name]) if name in config else found
        except (pygit2.GitError, ValueError):
            continue
    return found


class JoinedHistory:
    """Two histories as one: what the first does not hold is looked for in the second.

    Commits and blobs are named by what is in them, so that it does not matter who gives them.

    Args:
        mirror: Asked first for commits.
        local: Asked first for blobs: a mirror that misses one takes itself to be broken.
    """

    def __init__(self, mirror: History, local: History) -> None:
        self._mirror = mirror
        self._local = local

    def resolve(self, revision: str) -> CommitId | None:
        """Returns the commit that a name means in the mirror, or else here."""
        return self._mirror.resolve(revision) or self._local.resolve(revision)

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        """Returns every file below a folder."""
        return self._holder(commit).tree(commit, path)

    def folder(self, commit: CommitId, path: str) -> Mapping[str, str]:
        """Returns what a folder itself holds."""
        return self._holder(commit).folder(commit, path)

    def blob(self, blob: BlobId) -> bytes:
        """Returns a blob's content."""
        try:
            return self._local.blob(blob)
        except InvalidInput:
            return self._mirror.blob(blob)

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        """Tells whether `descendant` contains `ancestor`."""
        return self._holder(descendant).is_ancestor(ancestor, descendant)

    def commit_facts(self, commit: CommitId) -> CommitFacts:
        """Returns a commit's parents, author, time and message."""
        return self._holder(commit).commit_facts(commit)

    def log(self, head: CommitId, *, path: str | None, most: int) -> tuple[CommitFacts, ...]:
        """Returns first-parent commits, newest first."""
        return self._holder(head).log(head, path=path, most=most)

    def _holder(self, commit: CommitId) -> History:
        return self._local if self._mirror.resolve(commit) is None else self._mirror
