"""What is counted of one environment over all of its services."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.names import ServiceName


@dataclass(frozen=True, slots=True)
class Places:
    """How many services may roll out in an environment at once, and which do.

    Attributes:
        taken: Services that roll out there and get on, by name.
        given: Services that may begin now; each takes its place with its next turn.
        next_up: Who is given the next place that is free; None: nobody who would take one waits.
    """

    most: int
    taken: tuple[ServiceName, ...] = ()
    given: frozenset[ServiceName] = frozenset()
    next_up: ServiceName | None = None


@dataclass(frozen=True, slots=True)
class Going:
    """What else is asked to go from an environment, and what fails there.

    Attributes:
        services: Those that are asked to go, or went within the last hour.
        there: How many services the environment has, those among them.
        failing: Services that fail there now.
    """

    services: tuple[ServiceName, ...]
    there: int
    failing: tuple[ServiceName, ...] = ()
