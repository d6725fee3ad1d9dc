"""What an executor is asked to do, and in whose name it may write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from reconciler.model.actions import Deliver
from reconciler.model.names import EnvironmentName, RevisionId, ServiceName
from reconciler.model.objects import Rendered
from reconciler.model.records import PromotionRecord, Record, ServiceRecord, belongs_to

CellKey = tuple[ServiceName, EnvironmentName]


@dataclass(frozen=True, slots=True)
class Installation:
    """Whose records are ours; those of another installation are never written over.

    Attributes:
        name: That our records carry.
        formerly: Names that it had.
    """

    name: str
    formerly: tuple[str, ...] = ()

    def other(self, record: PromotionRecord | ServiceRecord | None) -> str:
        """Returns the installation that a record belongs to, if that is another; else nothing.

        A record without a name was written before there were any, and is whoever's finds it.
        """
        found = record.installation if record is not None else ""
        return "" if found in (self.name, *self.formerly) else found


def not_ours(kind: str, key: CellKey, other: str) -> tuple[str, str, str, str]:
    """Returns the error of a write to another's record: object, what, why, what to do."""
    return f"{kind}/{key[0]}.{key[1]}", "it is not written over", belongs_to(other), LET_GO


LET_GO = "end one of the two, or name it in `installation_formerly` if it is this one's former name"


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
class Rights:
    """What an executor may do now; each is asked every time.

    Attributes:
        may_write: Whether anything of a cell may be written at all: no in observe mode.
        leadership: Whether we lead, and in whose name we write.
        installation: Whose records are ours.
    """

    may_write: Callable[[CellKey], bool]
    leadership: Callable[[], Leadership]
    installation: Installation


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was found to be live when an environment was adopted, and may stand in a cluster still."""

    revision: RevisionId
    rendered: Rendered


@dataclass(frozen=True, slots=True)
class Order:
    """One revision for one cluster.

    Attributes:
        namespace: The service's namespace, for people who read the record.
        rendered: What the revision renders to here; None leaves only what is stored in the cluster.
        adopted: What `deliver.adopted` renders to here; None where there is none, or it cannot be rendered.
    """

    deliver: Deliver
    claim: Claim
    namespace: str
    rendered: Rendered | None
    adopted: Adopted | None = None

    @property
    def key(self) -> CellKey:
        """The cell it is for."""
        return (self.deliver.service, self.deliver.environment)

    @property
    def revision(self) -> RevisionId:
        """What its cluster is to be given."""
        return self.deliver.revision.id

    def is_met_by(self, waiting: Order) -> bool:
        """Whether an order that waits asks for the same, in the same name, and could do as much."""
        has = ((waiting.rendered, self.rendered), (waiting.adopted, self.adopted))
        could = all(theirs is not None or ours is None for theirs, ours in has)
        return could and (waiting.deliver, waiting.claim) == (self.deliver, self.claim)


@dataclass(frozen=True, slots=True)
class Examination:
    """A comparison of what is live with what a revision renders to."""

    key: CellKey
    revision: RevisionId
    rendered: Rendered
