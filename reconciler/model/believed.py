"""How many automatic rejections in an hour are believed before a person is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Believed:
    """How many automatic rejections in an hour are believed.

    Attributes:
        of_service: Of one service.
        of_commit: Of what one commit asked for.
        of_fleet: In the whole fleet.
    """

    of_service: int
    of_commit: int
    of_fleet: int
