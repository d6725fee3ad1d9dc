"""Hotfixes as files say them: what a pin asks to be let past, and whom a policy lets ask."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.schema.parts import Digest, Line, Part

Gates = Annotated[list[Literal["soak", "window", "freeze"]], Field(min_length=1, max_length=3)]
"""What can be skipped at all."""


class PinSkipFile(Part):
    """What one revision is let past, where the policy lets whoever signed this commit skip it."""

    gates: Gates
    """`soak` of the environments before, `window`, `freeze`."""
    revision: Digest
    """The whole revision; for another one it says nothing."""
    reason: Line
    """Why; it is kept in the record, and told."""
    by: Line
    """Who, for those who read it; what counts is who signed the commit."""


class HotfixFile(Part):
    """Who may have a revision let past what."""

    by: Annotated[list[Line], Field(min_length=1, max_length=100)]
    """Principals of the daemon's setting `repo.allowed_signers_file`."""
    gates: Gates
    """What they may skip: `soak` of the environments before, `window`, `freeze`."""
