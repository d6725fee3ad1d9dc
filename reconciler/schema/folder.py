"""A plain folder as the files of a commit, so that a change can be checked before it is one."""

from __future__ import annotations

import hashlib
from pathlib import Path

from reconciler.errors import InvalidInput
from reconciler.model.names import BlobId, CommitId
from reconciler.model.release import TreeEntry
from reconciler.schema.yaml_text import BYTES_MAX

WORKING_FOLDER = CommitId("0" * 40)
"""Stands for what is not committed yet."""

ENTRIES_MAX = 100_000
_SKIPPED = frozenset({".git", "node_modules", ".venv"})
_FILE_BYTES_MAX = 4 * 1024 * 1024


class FolderFiles:
    """The files below a folder; a link is shown as one and never followed.

    Args:
        folder: Its root.

    Raises:
        InvalidInput: It is no folder, or holds too much.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            why = "there is no such folder"
            raise InvalidInput(str(folder), "it cannot be read", why, "give a folder or a commit")
        self._paths: dict[BlobId, Path] = {}
        self._entries = tuple(sorted(self._walk(folder), key=lambda entry: entry.path))

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        """Returns every file below a folder."""
        del commit
        prefix = f"{path.strip('/')}/" if path.strip("/") else ""
        return tuple(
            TreeEntry(e.path.removeprefix(prefix), e.mode, e.blob)
            for e in self._entries
            if e.path.startswith(prefix)
        )

    def resolve(self, revision: str) -> CommitId | None:
        """Returns the folder's own stand-in for any commit."""
        return WORKING_FOLDER if revision == WORKING_FOLDER else None

    def blob(self, blob: BlobId) -> bytes:
        """Returns a file's content."""
        path = self._paths[blob]
        try:
            octets = path.read_bytes()
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise InvalidInput(str(path), "it cannot be read", why) from error
        if len(octets) > _FILE_BYTES_MAX:
            why = f"it has {len(octets)} bytes, and {_FILE_BYTES_MAX} are allowed"
            raise InvalidInput(str(path), "it cannot be read", why, f"split it; {BYTES_MAX} do")
        return octets

    def _walk(self, root: Path) -> list[TreeEntry]:
        found: list[TreeEntry] = []
        waiting = [root]
        while waiting:
            for path in sorted(waiting.pop().iterdir()):
                name = path.relative_to(root).as_posix()
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

    def _id(self, path: Path, name: str) -> str:
        blob = BlobId(
            hashlib.sha1(name.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
        )
        self._paths[blob] = path
        return blob
