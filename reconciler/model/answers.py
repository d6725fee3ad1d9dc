"""What is known of something that was asked of the world, or why it is not: an error is never an answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotKnown:
    """Nothing is known: whoever was asked did not answer, or not with what was asked for.

    Attributes:
        reason: A stable PascalCase constant: the name of the error, or what is wrong with the answer.
        message: For a person; holds no secret.
        retry_after_s: Seconds the other side asked us to wait, if it said so.
    """

    reason: str
    message: str
    retry_after_s: float | None = None
