"""Commits with whatever in them, put on a bare repository's branch as a merge on the server does."""

from __future__ import annotations

import pygit2

from tests.system.hostile import FILE, SUBMODULE, Row

MAIN = "refs/heads/main"


def commit_tree(
    repo: pygit2.Repository, tree: pygit2.Oid, parents: list[pygit2.Oid], *, moves: bool = False
) -> str:
    """Returns a new commit of a tree; main moves to it only where that is asked for."""
    who = pygit2.Signature("a", "a@example.com", 0, 0)
    commit = repo.create_commit(None, who, who, "a change", tree, parents)
    if moves:
        repo.references.create(MAIN, commit, force=True)
    return str(commit)


def committed(repo: pygit2.Repository, *rows: Row, moves: bool = False, base: str = MAIN) -> str:
    """Returns a commit on top of main with bad things in it.

    Args:
        repo: Bare.
        rows: What is put where.
        moves: Whether main moves to it.
        base: Whose files are changed; the parent is main all the same.
    """
    tip = repo.references[MAIN].peel(pygit2.Commit)
    index = pygit2.Index()
    index.read_tree(repo.revparse_single(base).peel(pygit2.Tree))
    for row in rows:
        if row.mode != FILE:
            index.remove_all([row.path, f"{row.path}/*"])
        oid = pygit2.Oid(raw=row.octets) if row.mode == SUBMODULE else repo.create_blob(row.octets)
        index.add(pygit2.IndexEntry(row.path, oid, row.mode))  # type: ignore[arg-type]
    return commit_tree(repo, index.write_tree(repo), [tip.id], moves=moves)


def named(repo: pygit2.Repository, name: bytes, *, moves: bool = False) -> str:
    """Returns a commit on top of main whose `environments` holds one file of a name that no Git makes."""
    blob = repo.create_blob(b'release: {version: "1"}\n')
    row = b"100644 " + name + b"\0" + blob.raw
    inner = repo.odb.write(pygit2.enums.ObjectType.TREE, row)
    tip = repo.references[MAIN].peel(pygit2.Commit)
    builder = repo.TreeBuilder(tip.tree)
    builder.insert("environments", inner, pygit2.enums.FileMode.TREE)
    return commit_tree(repo, builder.write(), [tip.id], moves=moves)
