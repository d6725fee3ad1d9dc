"""A gate that somebody else holds, such as a board that must say yes."""

from __future__ import annotations

from typing import Protocol

from reconciler.model.answers import NotKnown
from reconciler.model.outside import GateAnswer, GateQuestion


class AdmissionGate(Protocol):
    """Asked about one revision in one environment; may be asked again at any time."""

    def ask(self, question: GateQuestion) -> GateAnswer | NotKnown:
        """Returns its word. Whatever is none, or is about another revision, is NotKnown and never open."""
        ...
