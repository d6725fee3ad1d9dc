"""Who asked for what a pin says, and who approved it: as the branch's commits tell."""

from __future__ import annotations

from reconciler.errors import OperatorError
from reconciler.model.facts import Approval
from reconciler.model.names import CommitId, RevisionId
from reconciler.ports.git import History
from reconciler.shell.pin_writers import PinWriters

ASKED = ("release", "values", "clusters")
"""What a revision is made of, in a pin."""


class Approvals:
    """Reads a pin's own history.

    Args:
        history: The mirror.
        root: The subfolder that is the env repo, or empty.
    """

    def __init__(self, history: History, root: str) -> None:
        self._pins = PinWriters(history, root)

    def of(self, head: CommitId, path: str, revision: RevisionId) -> Approval:
        """Returns whose word a pin's approval is, and against whose.

        Args:
            head: The commit that the pin is read from.
            path: The pin, below the env repo's root.
            revision: What it says is approved.

        Raises:
            TransientError: The mirror could not be read.
        """
        try:
            asked_by = self._author(head, path, ASKED)
            return Approval(revision, asked_by, self._author(head, path, ("approved",)))
        except OperatorError:
            # A commit that is larger than is ever read, or is not there any more.
            return Approval(revision, None, None)

    def _author(self, head: CommitId, path: str, fields: tuple[str, ...]) -> str | None:
        """Returns who made the newest commit that changed some fields; of a merge, who made what was merged."""
        writers = self._pins.writers(head, path, fields)
        return writers[0].author if writers else None
