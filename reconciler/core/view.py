"""One cell seen from where it stands: its own facts, its neighbours on the path, the fleet and the time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.model.facts import Cell, FleetSummary, ServiceFacts
from reconciler.model.names import EnvironmentName, ServiceName


@dataclass(frozen=True, slots=True)
class CellView:
    """What a decision about one service in one environment may look at.

    Attributes:
        index: The cell's place among those of the service.
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

    def as_if_read(self) -> CellView:
        """Returns the view in which each cluster that an order waits for, and that answers, has been read.

        Itself where all of them have been.
        """
        members = self.cell.members
        if all(m.known or not m.reachable or m.order is None for m in members):
            return self
        read = tuple(replace(m, synced=True) if m.order is not None else m for m in members)
        cells = list(self.facts.cells)
        cells[self.index] = replace(self.cell, members=read)
        return replace(self, facts=replace(self.facts, cells=tuple(cells)))

    @property
    def earlier(self) -> tuple[Cell, ...]:
        """The cells that a release passes before it comes here, in the order of the path."""
        before = self.facts.path.before(self.environment)
        return tuple(cell for cell in self.facts.cells if cell.environment in before)

    @property
    def after(self) -> tuple[EnvironmentName, ...]:
        """The environments that a release comes to only through this one, in the order of the path."""
        return self.facts.path.after(self.environment)

    @property
    def service(self) -> ServiceName:
        """The service's name."""
        return self.facts.service

    @property
    def environment(self) -> EnvironmentName:
        """The environment's name."""
        return self.cell.environment
