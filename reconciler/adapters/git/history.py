"""Reads of the mirror's object database: no checkout, and a limit on every object."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol, TypeVar, cast

import pygit2
from pygit2.enums import FileMode, ObjectType

from reconciler.adapters.git.access import (
    BLOB_BYTES_MAX,
    COMMIT_BYTES_MAX,
    LOG_COMMITS_MAX,
    PATH_BYTES_MAX,
    TREE_BYTES_MAX,
    TREE_DEPTH_MAX,
    TREE_ENTRIES_MAX,
)
from reconciler.adapters.git.errors import MirrorBroken, translated
from reconciler.adapters.git.mirror import holds
from reconciler.errors import InvalidInput, TransientError
from reconciler.model.names import BlobId, CommitId
from reconciler.model.release import TreeEntry
from reconciler.ports.git import CommitFacts

_ID = re.compile(r"[0-9a-f]{4,40}", re.IGNORECASE)
_FULL_ID = re.compile(r"[0-9a-f]{40}")
_REFUSED_NAME = re.compile(r"\.{0,2}|\.git|.*[/\x00].*", re.IGNORECASE | re.DOTALL)

_Read = TypeVar("_Read", pygit2.Commit, pygit2.Tree, pygit2.Blob)

_LIMITS: dict[type, tuple[ObjectType, int]] = {
    pygit2.Commit: (ObjectType.COMMIT, COMMIT_BYTES_MAX),
    pygit2.Tree: (ObjectType.TREE, TREE_BYTES_MAX),
    pygit2.Blob: (ObjectType.BLOB, BLOB_BYTES_MAX),
}
"""What each kind of object is called in its header, and how large it may be."""

_SECONDS_MAX = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())
"""The last day that a datetime holds; a commit may claim any time."""


class Objects(Protocol):
    """Where objects are read: a mirror of ours, or a repository of somebody else's."""

    def repository(self) -> pygit2.Repository:
        """Returns the calling thread's own Repository."""
        ...

    def suspect(self) -> None:
        """Notes that an object is missing or garbled."""
        ...


class MirrorHistory:
    """The port `History` over one mirror; safe to call from any thread.

    Args:
        mirror: Where the objects are.
    """

    def __init__(self, mirror: Objects) -> None:
        self._mirror = mirror

    def resolve(self, revision: str) -> CommitId | None:
        """Returns the full commit that a full or short id names, or None."""
        repo = self._mirror.repository()
        if not _ID.fullmatch(revision):
            return None
        with self._reading(f"commit {revision}"):
            try:
                oid = repo.expand_id(revision.lower())
            except KeyError:
                return None
            except ValueError as error:
                raise InvalidInput(
                    f"commit {revision}",
                    "this id is ambiguous",
                    str(error),
                    "write more of its digits",
                ) from error
            # A full id is expanded to itself, whether or not it is there.
            if not holds(repo, str(oid)):
                return None
            kind, _ = repo.odb.read_header(oid)
        return CommitId(str(oid)) if kind == ObjectType.COMMIT else None

    def tree(self, commit: CommitId, path: str) -> tuple[TreeEntry, ...]:
        """Returns every file below a folder, sorted by path relative to it; empty when it is not there."""
        repo = self._mirror.repository()
        folder = self._folder(repo, self._commit(repo, commit), path)
        if folder is None:
            return ()
        object = f"commit {commit}:{path}"
        return tuple(sorted(self._walk(repo, folder, object=object), key=lambda entry: entry.path))

    def folder(self, commit: CommitId, path: str) -> Mapping[str, str]:
        """Returns what a folder itself holds, by name, with the ids of the objects; empty when it is not there."""
        repo = self._mirror.repository()
        folder = self._folder(repo, self._commit(repo, commit), path)
        if folder is None:
            return {}
        tree = self._read(repo, folder, pygit2.Tree)
        return {
            (entry.raw_name or b"").decode("utf-8", "backslashreplace"): str(entry.id)
            for entry in tree
        }

    def blob(self, blob: BlobId) -> bytes:
        """Returns a blob's content; InvalidInput when it is over the size limit."""
        repo = self._mirror.repository()
        if not self._holds(repo, blob):
            # Ids come from trees of this mirror, so one that is missing tells of a broken mirror.
            self._mirror.suspect()
            raise InvalidInput(f"blob {blob}", "it cannot be read", "the mirror does not hold it")
        return self._read(repo, blob, pygit2.Blob).data

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        """Tells whether `descendant` contains `ancestor`; a commit contains itself."""
        repo = self._mirror.repository()
        for commit in (ancestor, descendant):
            self._commit(repo, commit)
        if ancestor == descendant:
            return True
        with self._reading(f"commit {descendant}"):
            return bool(repo.descendant_of(descendant, ancestor))

    def commit_facts(self, commit: CommitId) -> CommitFacts:
        """Returns a commit's parents, author, time and message."""
        return _facts(self._commit(self._mirror.repository(), commit))

    def signature(self, commit: CommitId) -> tuple[bytes, bytes]:
        """Returns a commit's signature, empty where it has none, and what of the commit it was made over."""
        found = self._commit(self._mirror.repository(), commit)
        with self._reading(f"commit {commit}"):
            signature, signed = found.gpg_signature
        return signature or b"", signed or b""

    def log(self, head: CommitId, *, path: str | None, most: int) -> tuple[CommitFacts, ...]:
        """Returns first-parent commits, newest first, optionally only those that touch a path.

        At most LOG_COMMITS_MAX commits are looked at.
        """
        repo = self._mirror.repository()
        found: list[CommitFacts] = []
        commit: pygit2.Commit | None = self._commit(repo, head)
        for _ in range(LOG_COMMITS_MAX):
            if commit is None or len(found) >= most:
                break
            parents = commit.parent_ids
            parent = self._commit(repo, CommitId(str(parents[0]))) if parents else None
            if path is None or self._at(repo, commit, path) != self._at(repo, parent, path):
                found.append(_facts(commit))
            commit = parent
        return tuple(found)

    def _at(
        self, repo: pygit2.Repository, commit: pygit2.Commit | None, path: str
    ) -> tuple[str, int] | None:
        """Returns what a commit has at a path: an object's id and mode, or None."""
        if commit is None:
            return None
        at = (str(commit.tree_id), int(FileMode.TREE))
        for part in path.split("/") if path else ():
            if at[1] != FileMode.TREE:
                return None
            folder = self._read(repo, at[0], pygit2.Tree)
            if part not in folder:
                return None
            at = (str(folder[part].id), int(folder[part].filemode))
        return at

    def _folder(self, repo: pygit2.Repository, commit: pygit2.Commit, path: str) -> str | None:
        at = self._at(repo, commit, path)
        return at[0] if at is not None and at[1] == FileMode.TREE else None

    def _walk(self, repo: pygit2.Repository, root: str, *, object: str) -> Iterator[TreeEntry]:
        seen = 0
        folders = [("", root, 0)]
        while folders:
            above, oid, depth = folders.pop()
            tree = self._read(repo, oid, pygit2.Tree)
            for entry in tree:
                seen += 1
                name = (entry.raw_name or b"").decode("utf-8", "backslashreplace")
                path = f"{above}{name}"
                if seen > TREE_ENTRIES_MAX or depth > TREE_DEPTH_MAX:
                    raise InvalidInput(
                        object,
                        "this folder is refused",
                        f"it holds over {TREE_ENTRIES_MAX} files or {TREE_DEPTH_MAX} levels",
                    )
                if _REFUSED_NAME.fullmatch(name) or len(path.encode()) > PATH_BYTES_MAX:
                    raise InvalidInput(
                        f"{object}/{ascii(path[:100])[1:-1]}",
                        "this entry is refused",
                        "no file of this name can be written out safely",
                        "remove it from the commit",
                    )
                if entry.filemode == FileMode.TREE:
                    folders.append((f"{path}/", str(entry.id), depth + 1))
                else:
                    yield TreeEntry(path=path, mode=int(entry.filemode), blob=str(entry.id))

    def _commit(self, repo: pygit2.Repository, commit: CommitId) -> pygit2.Commit:
        if not _FULL_ID.fullmatch(commit):
            raise InvalidInput(f"commit {commit!r:.100}", "it cannot be read", "this is no full id")
        if not self._holds(repo, commit):
            raise InvalidInput(
                f"commit {commit}", "it cannot be read", "the branch's history does not hold it"
            )
        return self._read(repo, commit, pygit2.Commit)

    def _holds(self, repo: pygit2.Repository, oid: str) -> bool:
        with self._reading(f"object {oid}"):
            return holds(repo, oid)

    def _read(self, repo: pygit2.Repository, oid: str, kind: type[_Read]) -> _Read:
        """Reads an object, whose size is looked at before any of it is unpacked."""
        expected, bytes_max = _LIMITS[kind]
        object = f"{expected.name.lower()} {oid}"
        with self._reading(object):
            found, size_bytes = repo.odb.read_header(oid)
        if found != expected:
            raise InvalidInput(object, "it cannot be read", "this id names another kind of object")
        if size_bytes > bytes_max:
            raise InvalidInput(
                object,
                "it is refused",
                f"it has {size_bytes} bytes, over the limit of {bytes_max}",
                "take it out of the env repo",
            )
        with self._reading(object):
            return cast(_Read, repo[oid])

    @contextmanager
    def _reading(self, object: str) -> Iterator[None]:
        try:
            with translated(object=object, what="the mirror does not give it"):
                yield
        except TransientError as error:
            # Nobody else is asked in a read of our own disk: what has no name is taken for damage.
            self._mirror.suspect()
            raise MirrorBroken(error.object, error.what, error.why) from error


def _facts(commit: pygit2.Commit) -> CommitFacts:
    seconds = min(max(commit.commit_time, 0), _SECONDS_MAX)
    author = commit.author
    name, email = (raw.decode("utf-8", "replace") for raw in (author.raw_name, author.raw_email))
    return CommitFacts(
        commit=CommitId(str(commit.id)),
        parents=tuple(CommitId(str(parent)) for parent in commit.parent_ids),
        author=f"{name} <{email}>",
        at=datetime.fromtimestamp(seconds, tz=UTC),
        message=commit.raw_message.decode("utf-8", "replace"),
    )
