"""What an executor is asked to do, and what it cannot do and why."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.actions import Deliver
from reconciler.model.names import EnvironmentName, RevisionId, ServiceName
from reconciler.model.objects import Rendered

CellKey = tuple[ServiceName, EnvironmentName]


@dataclass(frozen=True, slots=True)
class Claim:
    """In whose name records are written.

    Attributes:
        epoch: Of the lease; a record refuses a lower one.
        holder: Name of the coordinator.
        installation: Which installation of the reconciler it belongs to.
    """

    epoch: int
    holder: str
    installation: str


@dataclass(frozen=True, slots=True)
class Order:
    """One revision for one cluster.

    Attributes:
        namespace: The service's namespace, for people who read the record.
        rendered: What the revision renders to here; None leaves only what is stored in the cluster.
    """

    deliver: Deliver
    claim: Claim
    namespace: str
    rendered: Rendered | None

    @property
    def key(self) -> CellKey:
        """The cell it is for."""
        return (self.deliver.service, self.deliver.environment)


@dataclass(frozen=True, slots=True)
class Examination:
    """A comparison of what is live with what a revision renders to."""

    key: CellKey
    revision: RevisionId
    rendered: Rendered
