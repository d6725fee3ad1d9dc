"""Edits to files become a tree: neighbours, modes and folders that no edit names stay as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby

import pygit2
from pygit2.enums import FileMode

from reconciler.adapters.git.access import BLOB_BYTES_MAX, PATH_BYTES_MAX
from reconciler.errors import InvalidInput

_REFUSED_PART = re.compile(r"\.{0,2}|\.git|.*[\x00-\x1f\x7f\\].*", re.IGNORECASE | re.DOTALL)
_FILES = (FileMode.BLOB, FileMode.BLOB_EXECUTABLE)

_Edits = Mapping[tuple[str, ...], bytes | None]


def write_tree(
    repo: pygit2.Repository, tree: pygit2.Tree, edits: Mapping[str, bytes | None]
) -> pygit2.Oid:
    """Returns a tree with the edits applied; None deletes a path, and a folder left empty goes.

    Raises:
        InvalidInput: A path leaves the tree, goes through a file or a link, or is not there to delete.
    """
    by_parts = {_parts(path, content): content for path, content in edits.items()}
    return _write(repo, tree, by_parts, above="") or repo.TreeBuilder().write()


def _write(
    repo: pygit2.Repository, tree: pygit2.Tree | None, edits: _Edits, *, above: str
) -> pygit2.Oid | None:
    builder = repo.TreeBuilder() if tree is None else repo.TreeBuilder(tree)
    for name, group in groupby(sorted(edits), key=lambda parts: parts[0]):
        below = {parts[1:]: edits[parts] for parts in group}
        path = f"{above}{name}"
        present = tree[name] if tree is not None and name in tree else None
        if () not in below:
            _put_folder(repo, builder, present, below, path=path)
        elif len(below) > 1:
            raise _refused(path, "it is edited as a file and as a folder at once")
        else:
            _put_file(repo, builder, present, below[()], path=path)
    return builder.write() if len(builder) else None


def _put_folder(
    repo: pygit2.Repository,
    builder: pygit2.TreeBuilder,
    present: pygit2.Object | None,
    below: _Edits,
    *,
    path: str,
) -> None:
    name = path.rpartition("/")[2]
    if present is not None and not isinstance(present, pygit2.Tree):
        raise _refused(path, "it is no folder here")
    written = _write(repo, present, below, above=f"{path}/")
    if written is not None:
        builder.insert(name, written, FileMode.TREE)
    elif present is not None:
        builder.remove(name)


def _put_file(
    repo: pygit2.Repository,
    builder: pygit2.TreeBuilder,
    present: pygit2.Object | None,
    content: bytes | None,
    *,
    path: str,
) -> None:
    name = path.rpartition("/")[2]
    if present is not None and present.filemode not in _FILES:
        raise _refused(path, "it is no plain file here, but a folder, a link or a submodule")
    if content is not None:
        mode = FileMode.BLOB if present is None else present.filemode
        builder.insert(name, repo.create_blob(content), mode)
    elif present is not None:
        builder.remove(name)
    else:
        raise _refused(path, "it is not there to delete")


def _parts(path: str, content: bytes | None) -> tuple[str, ...]:
    parts = tuple(path.split("/"))
    if any(_REFUSED_PART.fullmatch(part) for part in parts):
        raise _refused(path, "it leaves the tree, or is no file name")
    if len(path.encode()) > PATH_BYTES_MAX:
        raise _refused(path[:100], f"it is longer than {PATH_BYTES_MAX} bytes")
    if content is not None and len(content) > BLOB_BYTES_MAX:
        raise _refused(path, f"it would be larger than {BLOB_BYTES_MAX} bytes")
    return parts


def _refused(path: str, why: str) -> InvalidInput:
    return InvalidInput(repr(path)[1:-1], "this edit is refused", why)
