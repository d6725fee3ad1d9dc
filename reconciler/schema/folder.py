"""A plain folder as the files of a commit, so that a change can be checked before it is one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

from reconciler.errors import InvalidInput
from reconciler.model.names import BlobId, CommitId
from reconciler.model.release import TreeEntry

WORKING_FOLDER = CommitId("0" * 40)
"""Stands for what is not committed yet."""

ENTRIES_MAX = 100_000
_SKIPPED = frozenset({".git", "node_modules", ".venv"})
FILE_BYTES_MAX = 2 * 1024 * 1024
"""What is taken of one file from Git, too: more is no configuration."""


class Commits(Protocol):
    """Commits of the repository that a folder is in, for pins whose `source` names one."""

    def resolve(self, revision: str) -> CommitId | None:
        """Returns the commit that a name means, or None."""
        ...

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        """Returns every file below a folder."""
        ...

    def blob(self, blob: BlobId) -> bytes:
        """Returns a blob's content."""
        ...


class FolderFiles:
    """The files below a folder; a link is shown as one and never followed.

    Args:
        folder: Its root.
        commits: Of the repository that it is in, with paths from the folder on; None where it is in none.

    Raises:
        InvalidInput: It is no folder, or holds too much.
    """

    def __init__(self, folder: Path, commits: Commits | None = None) -> None:
        if not folder.is_dir():
            why = "there is no such folder"
            raise InvalidInput(str(folder), "it cannot be read", why, "give a folder or a commit")
        self._commits = commits
        self._paths: dict[BlobId, tuple[Path, str]] = {}
        self._entries = tuple(sorted(self._walk(folder), key=lambda entry: entry.path))

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        """Returns every file below a folder, of what is not committed yet or of a commit."""
        if commit != WORKING_FOLDER and self._commits is not None:
            return self._commits.tree(commit, path)
        prefix = f"{path.strip('/')}/" if path.strip("/") else ""
        return tuple(
            TreeEntry(e.path.removeprefix(prefix), e.mode, e.blob)
            for e in self._entries
            if e.path.startswith(prefix)
        )

    def resolve(self, revision: str) -> CommitId | None:
        """Returns a commit of the repository, or what stands for the folder's own."""
        if revision == WORKING_FOLDER:
            return WORKING_FOLDER
        return self._commits.resolve(revision) if self._commits is not None else None

    def blob(self, blob: BlobId) -> bytes:
        """Returns a file's content."""
        if blob not in self._paths and self._commits is not None:
            return self._commits.blob(blob)
        path, name = self._paths[blob]
        try:
            with path.open("rb") as file:
                # One more than is allowed, so that a larger one is seen to be one.
                octets = file.read(FILE_BYTES_MAX + 1)
                size_bytes = os.fstat(file.fileno()).st_size
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise InvalidInput(name, "it cannot be read", why, "check its rights") from error
        if len(octets) > FILE_BYTES_MAX:
            why = f"it has {size_bytes} bytes, and {FILE_BYTES_MAX} are allowed"
            raise InvalidInput(name, "it cannot be read", why, "split it")
        return octets

    def _walk(self, root: Path) -> list[TreeEntry]:
        found: list[TreeEntry] = []
        waiting = [root]
        while waiting:
            for path in self._inside(waiting.pop()):
                # As Git's own names are read: what is no UTF-8 is shown, and names nothing.
                name = os.fsencode(path.relative_to(root)).decode("utf-8", "backslashreplace")
                if path.is_symlink():
                    found.append(TreeEntry(name, 0o120000, self._id(path, name)))
                elif path.is_dir():
                    if path.name not in _SKIPPED:
                        waiting.append(path)
                elif path.is_file():
                    found.append(TreeEntry(name, 0o100644, self._id(path, name)))
                if len(found) > ENTRIES_MAX:
                    why = f"it holds more than {ENTRIES_MAX} files"
                    raise InvalidInput(str(root), "it cannot be read", why, "name the env repo")
        return found

    def _inside(self, folder: Path) -> list[Path]:
        try:
            return sorted(folder.iterdir())
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise InvalidInput(str(folder), "it cannot be read", why, "check its rights") from error

    def _id(self, path: Path, name: str) -> str:
        blob = BlobId(hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest())
        self._paths[blob] = (path, name)
        return blob
