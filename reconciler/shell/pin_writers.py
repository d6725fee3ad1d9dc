"""Who wrote what a pin says: the commits of the branch that changed some of its fields."""

from __future__ import annotations

from typing import Any

from reconciler.model.names import CommitId
from reconciler.ports.git import CommitFacts, History
from reconciler.schema.files import PinFile
from reconciler.schema.reading import read_file
from reconciler.schema.snapshot import octets_at
from reconciler.schema.yaml_text import BadText

ASKED = ("release", "values", "clusters")
"""What a revision is made of, in a pin."""

LOOKED_MAX = 100
"""Commits that touched a pin; who changed it before them is not known."""


class PinWriters:
    """Reads a pin's own history.

    Args:
        history: The mirror.
        root: The subfolder that is the env repo, or empty.
    """

    def __init__(self, history: History, root: str) -> None:
        self._history = history
        self._root = root.strip("/")

    def writers(
        self, head: CommitId, path: str, fields: tuple[str, ...]
    ) -> tuple[CommitFacts, ...]:
        """Returns the newest commit that changed some fields of a pin, and first what it merged if it is a merge.

        None of them where it is further back than is looked.

        Args:
            head: The commit that the pin is read from.
            path: The pin, below the env repo's root.
            fields: Names of a pin's own fields.

        Raises:
            TransientError: The mirror could not be read.
            OperatorError: A commit is larger than is ever read, or is not there any more.
        """
        whole = f"{self._root}/{path}".lstrip("/")
        for facts in self._history.log(head, path=whole, most=LOOKED_MAX):
            parent = facts.parents[0] if facts.parents else None
            before = self._fields(parent, whole, fields) if parent is not None else None
            if self._fields(facts.commit, whole, fields) != before:
                return (*self._merged(facts, whole), facts)
        return ()

    def anew(
        self, head: CommitId, path: str, writers: tuple[CommitFacts, ...]
    ) -> tuple[tuple[CommitFacts, ...], CommitId | None]:
        """Returns those who wrote with what the pin asks for in their sight, and the commit that asked for it last.

        That is in the commit itself, in what it merged, or on top of it: a word that was given before, on the branch
        or on another that is merged later, was not about it. Nobody, where that commit is further back than is looked.

        Args:
            head: The commit that the pin is read from.
            path: The pin, below the env repo's root.
            writers: Of another of its fields.

        Raises:
            TransientError: The mirror could not be read.
            OperatorError: As `writers`.
        """
        asked = self.writers(head, path, ASKED)
        if not asked:
            return (), None
        own, newest = {facts.commit for facts in asked}, asked[-1].commit
        return tuple(
            facts
            for facts in writers
            if facts.commit in own or self._history.is_ancestor(newest, facts.commit)
        ), newest

    def says_the_same(
        self, one: CommitId, other: CommitId, path: str, fields: tuple[str, ...]
    ) -> bool:
        """Tells whether a pin's fields are the same in two commits."""
        whole = f"{self._root}/{path}".lstrip("/")
        return bool(self._fields(one, whole, fields) == self._fields(other, whole, fields))

    def _merged(self, facts: CommitFacts, path: str) -> tuple[CommitFacts, ...]:
        """Returns the newest commit of a merged branch that touched the pin: whoever merges only lets in.

        What the branch had before is not merged by it.
        """
        if len(facts.parents) <= 1:
            return ()
        before, theirs = facts.parents[:2]
        found = self._history.log(theirs, path=path, most=1)
        return tuple(f for f in found if not self._history.is_ancestor(f.commit, before))

    def _fields(self, commit: CommitId, path: str, fields: tuple[str, ...]) -> Any:
        """Returns what a pin says in a commit; None where it is not there, or broken."""
        octets = octets_at(self._history, commit, path)
        if octets is None:
            return None
        try:
            file, _ = read_file(path, octets, PinFile)
        except BadText:
            return None
        return file.model_dump(include=set(fields))
