"""A gate in memory, that says what a test has it say."""

from __future__ import annotations

from reconciler.model.answers import NotKnown
from reconciler.model.names import RevisionId
from reconciler.model.outside import GateAnswer, GateQuestion, GateWord

AWAY = NotKnown("Unreachable", "gate: it could not be asked: no answer in time")


class MemoryGate:
    """The AdmissionGate port.

    Attributes:
        away: What every question is answered with; None while it is there.
        asked: Every question, in order.
        open_for: Revisions that it lets in; None: all.
    """

    def __init__(self) -> None:
        self.away: NotKnown | None = None
        self.asked: list[GateQuestion] = []
        self.open_for: set[RevisionId] | None = set()
        self.word = GateWord.CLOSED

    def ask(self, question: GateQuestion) -> GateAnswer | NotKnown:
        """As the port has it."""
        self.asked.append(question)
        if self.away is not None:
            return self.away
        if self.open_for is None or question.revision in self.open_for:
            return GateAnswer(GateWord.OPEN)
        return GateAnswer(self.word, "the board meets on Monday")
