"""Places to roll out in an environment at once."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.names import ServiceName


@dataclass(frozen=True, slots=True)
class Places:
    """How many services may roll out in an environment at once, and which do.

    Attributes:
        taken: Services that roll out there and get on, by name.
        given: Services that may begin now; each takes its place with its next turn.
    """

    most: int
    taken: tuple[ServiceName, ...] = ()
    given: frozenset[ServiceName] = frozenset()
