"""Whether what would go out could come back: worked out from what both revisions render to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.names import RevisionId


class Irreversible(StrEnum):
    """What a policy says of a release that cannot come back."""

    REFUSE = "refuse"
    ASK = "ask"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True, order=True)
class OneWay:
    """One thing that going back would not undo, or that the API server would not let go back.

    Attributes:
        object: Its kind, namespace and name.
        why: In words, without any value of a field.
    """

    object: str
    why: str

    def __str__(self) -> str:
        return f"{self.object}: {self.why}"


@dataclass(frozen=True, slots=True)
class ReturnTrip:
    """The way back from one revision to another in an environment.

    Attributes:
        leaving: What would be left again.
        back: What would be gone back to.
        one_ways: What cannot come back, on any cluster.
        unknown: Why that is not known, in words; empty where it is.
        is_rendering: It will be known in a moment.
    """

    leaving: RevisionId
    back: RevisionId
    one_ways: tuple[OneWay, ...] = ()
    unknown: str = ""
    is_rendering: bool = False
