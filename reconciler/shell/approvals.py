"""Who asked for what a pin says, and who approved it: as the branch's commits tell."""

from __future__ import annotations

from typing import Any

from reconciler.errors import OperatorError
from reconciler.model.facts import Approval
from reconciler.model.names import BlobId, CommitId, RevisionId
from reconciler.ports.git import CommitFacts, History
from reconciler.schema.files import PinFile
from reconciler.schema.reading import read_file
from reconciler.schema.yaml_text import BadText

LOOKED_MAX = 100
"""Commits that touched a pin; who changed it before them is not known."""

ASKED = ("release", "values", "clusters")
"""What a revision is made of, in a pin."""


class Approvals:
    """Reads a pin's own history.

    Args:
        history: The mirror.
        root: The subfolder that is the env repo, or empty.
    """

    def __init__(self, history: History, root: str) -> None:
        self._history = history
        self._root = root.strip("/")

    def of(self, head: CommitId, path: str, revision: RevisionId) -> Approval:
        """Returns whose word a pin's approval is, and against whose.

        Args:
            head: The commit that the pin is read from.
            path: The pin, below the env repo's root.
            revision: What it says is approved.

        Raises:
            TransientError: The mirror could not be read.
        """
        whole = f"{self._root}/{path}".lstrip("/")
        try:
            log = self._history.log(head, path=whole, most=LOOKED_MAX)
            asked_by = self._author(log, whole, ASKED)
            return Approval(revision, asked_by, self._author(log, whole, ("approved",)))
        except OperatorError:
            # A commit that is larger than is ever read, or is not there any more.
            return Approval(revision, None, None)

    def _author(
        self, log: tuple[CommitFacts, ...], path: str, fields: tuple[str, ...]
    ) -> str | None:
        """Returns who made the newest commit that changed some fields; None where it was not found."""
        for facts in log:
            parent = facts.parents[0] if facts.parents else None
            before = self._fields(parent, path, fields) if parent is not None else None
            if self._fields(facts.commit, path, fields) != before:
                return self._who(facts, path)
        return None

    def _who(self, facts: CommitFacts, path: str) -> str:
        """Returns a commit's author; of a merge, that of the merged commit: whoever merges only lets in."""
        if len(facts.parents) > 1:
            merged = self._history.log(facts.parents[1], path=path, most=1)
            return merged[0].author if merged else facts.author
        return facts.author

    def _fields(self, commit: CommitId, path: str, fields: tuple[str, ...]) -> Any:
        """Returns what a pin says in a commit; None where it is not there, or broken."""
        folder, _, name = path.rpartition("/")
        entry = next((e for e in self._history.tree(commit, folder) if e.path == name), None)
        if entry is None:
            return None
        try:
            file, _ = read_file(path, self._history.blob(BlobId(entry.blob)), PinFile)
        except BadText:
            return None
        return file.model_dump(include=set(fields))
