"""One cell seen from where it stands: its own facts, its neighbours on the path, the fleet and the time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.model.facts import Cell, FleetSummary, ServiceFacts
from reconciler.model.names import EnvironmentName, ServiceName


@dataclass(frozen=True, slots=True)
class CellView:
    """What a decision about one service in one environment may look at.

    Attributes:
        index: The cell's place on the path.
        now: Wall time, UTC.
    """

    facts: ServiceFacts
    index: int
    fleet: FleetSummary
    now: datetime

    @property
    def cell(self) -> Cell:
        """The cell itself."""
        return self.facts.cells[self.index]

    @property
    def earlier(self) -> tuple[Cell, ...]:
        """The cells before it on the path."""
        return self.facts.cells[: self.index]

    @property
    def service(self) -> ServiceName:
        """The service's name."""
        return self.facts.service

    @property
    def environment(self) -> EnvironmentName:
        """The environment's name."""
        return self.cell.environment
