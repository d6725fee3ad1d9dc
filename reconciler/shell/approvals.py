"""Who asked for what a pin says, and who approved it: as the branch's commits tell."""

from __future__ import annotations

from dataclasses import replace

from reconciler.errors import OperatorError
from reconciler.model.facts import Approval
from reconciler.model.names import CommitId, RevisionId
from reconciler.ports.git import CommitFacts, History
from reconciler.shell.pin_writers import ASKED, PinWriters


class Approvals:
    """Reads a pin's own history.

    Args:
        history: The mirror.
        root: The subfolder that is the env repo, or empty.
    """

    def __init__(self, history: History, root: str) -> None:
        self._pins = PinWriters(history, root)

    def of(
        self, head: CommitId, path: str, revision: RevisionId, *, absent: bool = False
    ) -> Approval:
        """Returns whose word a pin's approval is, and against whose.

        Args:
            head: The commit that the pin is read from.
            path: The pin, below the env repo's root.
            revision: What it says is approved.
            absent: Whether the pin asks for absence, whose revision is always the same.

        Raises:
            TransientError: The mirror could not be read.
        """
        try:
            asked = self._pins.writers(head, path, ASKED)
            # The first of them alone: of a merge, whoever merges only lets in.
            word = self._pins.writers(head, path, ("approved",))[:1]
            approval = Approval(revision, _author(asked), _author(word))
            if not absent or not word:
                return approval
            anew, asked_in = self._pins.anew(head, path, word)
            return approval if anew else replace(approval, asked_since=asked_in)
        except OperatorError:
            # A commit that is larger than is ever read, or is not there any more.
            return Approval(revision, None, None)


def _author(writers: tuple[CommitFacts, ...]) -> str | None:
    """Returns who made a change; of a merge, who made what was merged."""
    return writers[0].author if writers else None
