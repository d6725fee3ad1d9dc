"""Conditions that a policy puts on an admission, evaluated over facts."""

from __future__ import annotations

from typing import Protocol

from reconciler.model.answers import NotKnown
from reconciler.model.outside import ConditionQuestion


class Conditions(Protocol):
    """Evaluates conditions; the same question has the same answer."""

    def holds(self, question: ConditionQuestion) -> bool | NotKnown:
        """Returns whether a condition holds. An error, or what takes too long or too much, is NotKnown."""
        ...
