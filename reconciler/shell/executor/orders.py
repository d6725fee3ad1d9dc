"""What an executor is asked to do, and in whose name it may write."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reconciler.model.actions import Deliver
from reconciler.model.names import EnvironmentName, RevisionId, ServiceName
from reconciler.model.objects import Rendered
from reconciler.model.records import Record, ServiceRecord

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

    def on(self, record: Record) -> Record:
        """Returns a record in this name."""
        return replace(record, epoch=self.epoch, holder=self.holder, installation=self.installation)


@dataclass(frozen=True, slots=True)
class Leadership:
    """Whether we lead, and in which name we write.

    Attributes:
        claim: None before we ever led.
        leads: Whether forward moves, pruning and Git writes are ours now.
    """

    claim: Claim | None
    leads: bool
    message: str = ""

    def holding(self, record: ServiceRecord) -> ServiceRecord | None:
        """Returns a record as it must stand before a batch of writes that nobody ordered.

        That is: as it is, where it shows our term; in our name, where we lead and it shows an
        earlier one. None where it is another's.
        """
        claim = self.claim
        if claim is None:
            return None
        if (record.epoch, record.holder) == (claim.epoch, claim.holder):
            return record
        if not self.leads or record.epoch >= claim.epoch:
            return None
        return claim.on(record)


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

    def is_met_by(self, waiting: Order) -> bool:
        """Whether an order that waits asks for the same, in the same name, and could do as much."""
        could = waiting.rendered is not None or self.rendered is None
        return could and (waiting.deliver, waiting.claim) == (self.deliver, self.claim)


@dataclass(frozen=True, slots=True)
class Examination:
    """A comparison of what is live with what a revision renders to."""

    key: CellKey
    revision: RevisionId
    rendered: Rendered
