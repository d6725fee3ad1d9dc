"""Conditions evaluated in the test's own process, where none is tried that would hold it up."""

from __future__ import annotations

from reconciler.adapters.cel.evaluating import evaluate
from reconciler.model.answers import NotKnown
from reconciler.model.outside import ConditionQuestion


class MemoryConditions:
    """The Conditions port.

    Attributes:
        asked: Every question, in order.
    """

    def __init__(self) -> None:
        self.asked: list[ConditionQuestion] = []

    def holds(self, question: ConditionQuestion) -> bool | NotKnown:
        """As the port has it."""
        self.asked.append(question)
        answer = evaluate(question.expression, question.facts)
        return answer if isinstance(answer, bool) else NotKnown("ConditionUnknown", answer)
