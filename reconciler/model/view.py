"""All that one turn has seen and decided: what pages, commands and metrics are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.model.actions import Action, Hold
from reconciler.model.env_repo import Snapshot
from reconciler.model.facts import FleetSummary, ServiceFacts
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, CommitId, EnvironmentName, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.release import Revision


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of the branch.

    Attributes:
        commit: What the last successful fetch brought; None before the first.
        snapshot: The accepted commit, parsed; None until one could be read.
        fetched_at: Wall time of the last successful fetch.
        fetched_s: The same by the monotonic clock.
        error: Why the last fetch failed, or HEAD is not accepted; empty when all is well.
        halted: Set while HEAD may not be followed at all.
        clusters: Of the accepted fleet.yaml, or as the home remembers them while no commit could be read.
        joining: Those of them that join.
        draining: Those of them that drain.
        left: Those that drained and are named no more: nothing is said of them.
    """

    commit: CommitId | None = None
    snapshot: Snapshot | None = None
    fetched_at: datetime | None = None
    fetched_s: float | None = None
    error: str = ""
    halted: Reason | None = None
    clusters: tuple[ClusterName, ...] = ()
    joining: tuple[ClusterName, ...] = ()
    draining: tuple[ClusterName, ...] = ()
    left: tuple[ClusterName, ...] = ()

    @property
    def unmissed(self) -> frozenset[ClusterName]:
        """Clusters that may be switched off without a word."""
        return frozenset({*self.draining, *self.left})


@dataclass(frozen=True, slots=True)
class Planned:
    """One service as it was last planned."""

    facts: ServiceFacts
    actions: tuple[Action, ...]
    at: datetime

    def of(self, environment: EnvironmentName) -> tuple[Action, ...]:
        """Returns the actions for one environment."""
        return tuple(a for a in self.actions if a.environment == environment)

    @property
    def wanted(self) -> tuple[Revision | None, ...]:
        """What HEAD asks for, as far as it is known, environment by environment."""
        return tuple(cell.ask.wanted for cell in self.facts.cells)

    @property
    def is_rendering(self) -> bool:
        """Whether more will be known in a moment, whatever is planned until then."""
        return any(cell.ask.is_rendering for cell in self.facts.cells)

    def is_held(self, environment: EnvironmentName) -> bool:
        """Whether anything holds an environment."""
        return any(isinstance(action, Hold) for action in self.of(environment))

    def is_held_by(self, environment: EnvironmentName, reasons: Collection[Reason]) -> bool:
        """Whether one of some reasons holds an environment."""
        holds = (action for action in self.of(environment) if isinstance(action, Hold))
        return any(hold.reason in reasons for hold in holds)


@dataclass(frozen=True, slots=True)
class View:
    """The fleet as one turn left it.

    Attributes:
        unreachable: Clusters that do not answer, and why.
        denied: Clusters that answer and may not be watched in full, and why.
        late: Clusters that answer and were not yet read whole when nobody waited any longer, and why.
        home: The cluster that holds the promotion records; what is said of any service rests on it.
        turn_s: Seconds that the turn took.
    """

    head: Head
    mode: Mode
    fleet: FleetSummary
    services: Mapping[ServiceName, Planned] = field(default_factory=dict)
    unreachable: Mapping[ClusterName, str] = field(default_factory=dict)
    denied: Mapping[ClusterName, str] = field(default_factory=dict)
    late: Mapping[ClusterName, str] = field(default_factory=dict)
    home: ClusterName | None = None
    turn_s: float = 0.0
