"""A hotfix: what a person asks a revision to be let past, and who may ask for that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.names import RevisionId


class Skippable(StrEnum):
    """All that can be skipped; nothing that is proven bad, unknown or stopped by the daemon itself ever is."""

    SOAK = "soak"
    WINDOW = "window"
    FREEZE = "freeze"


@dataclass(frozen=True, slots=True)
class Hotfix:
    """A policy's word on who may skip what in an environment.

    Attributes:
        by: Principals of the allowed signers.
        gates: What they may skip.
    """

    by: tuple[str, ...]
    gates: tuple[Skippable, ...]


@dataclass(frozen=True, slots=True)
class Skip:
    """What a pin asks to be let past.

    Attributes:
        gates: What is skipped.
        revision: The one revision that it is for.
        reason: Why.
        by: Who, for people who read it.
    """

    gates: tuple[Skippable, ...]
    revision: RevisionId
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a pin asks to be let past, and whose word that is.

    Attributes:
        skip: As the pin has it.
        signers: Principals whose signature is on the commit that wrote it; none: nobody's that counts.
        why_nobody: Why there are none, in words.
    """

    skip: Skip
    signers: tuple[str, ...]
    why_nobody: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """What an admission was let past: a fact of its roll-out.

    Attributes:
        gates: What was closed and skipped.
        by: Who signed for it.
        reason: Why, in their words.
    """

    gates: tuple[Skippable, ...]
    by: str
    reason: str
