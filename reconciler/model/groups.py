"""How services that are moved as one stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model.names import CommitId, EnvironmentName
from reconciler.model.records import Rejection


@dataclass(frozen=True, slots=True)
class Standing:
    """How a service of a group stands in an environment.

    Attributes:
        asks: HEAD asks for something there that was not let in yet.
        is_ready: Nothing but its group, and a place, holds that; None: nobody knows.
        why: What does, in words.
        rolls_since: HEAD at the admission of what rolls out there.
        is_soaked: What rolls out there would be proven now, but for its group.
        rejection: The newest that was made there and stands.
    """

    asks: bool = False
    is_ready: bool | None = True
    why: str = ""
    rolls_since: CommitId | None = None
    is_soaked: bool = False
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True)
class Standings:
    """How a service of a group stands wherever it goes.

    Attributes:
        commit: The HEAD that it was planned by; of another one it says nothing.
    """

    commit: CommitId | None
    cells: Mapping[EnvironmentName, Standing]
