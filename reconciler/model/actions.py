"""What may be done: the closed union that the plan answers with and the shell carries out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconciler.model.names import (
    ClusterName,
    CommitId,
    EnvironmentName,
    RevisionId,
    ServiceName,
)
from reconciler.model.policy import DriftMode
from reconciler.model.promotion import Promotion
from reconciler.model.reasons import Reason
from reconciler.model.records import Beside, Proof, Rejection, Rollout
from reconciler.model.release import Revision


class GateState(StrEnum):
    """A gate that could not be read is unknown, which holds as closed does."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition an admission must meet.

    Attributes:
        name: Stable PascalCase name.
        unblock: What would change it, for a person.
        due_in_s: Seconds until it may change by time alone, by our own stopwatches; None: not known.
        due_at: The same, where a time is written down to count from.
    """

    name: str
    state: GateState
    reason: Reason
    message: str
    unblock: str = ""
    due_in_s: float | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Adopt:
    """Take what is live, equal to HEAD's render or named by the clusters' own records, as admitted."""

    service: ServiceName
    environment: EnvironmentName
    proof: Proof
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Admit:
    """Let a revision on to an environment.

    Attributes:
        rollout: None when the revision is proven here already: it goes on at once.
        revision: What becomes admitted.
        carried: The proof that carries over to it, since it renders to exactly what was proven here.
        beside: What the services that it depends on are on here.
    """

    service: ServiceName
    environment: EnvironmentName
    revision: Revision
    rollout: Rollout | None
    reason: str
    message: str
    carried: Proof | None = None
    beside: tuple[Beside, ...] = ()


@dataclass(frozen=True, slots=True)
class Deliver:
    """Give a revision to one cluster.

    Attributes:
        returning: Put it back from the objects stored there; needs neither Git nor a renderer.
        proven: It is proven here, so that what it no longer holds may be pruned.
        keep: Revisions whose stored objects stay, newest first.
        rejection: Goes into the cluster's record while the home is out of reach.
        overwrite: The pin says so of what somebody else made there.
        adopted: What was live when the environment was adopted, where nothing was ever applied whole since.
    """

    service: ServiceName
    environment: EnvironmentName
    cluster: ClusterName
    revision: Revision
    returning: bool
    proven: bool
    drift: DriftMode
    keep: tuple[RevisionId, ...]
    reason: str
    message: str
    rejection: Rejection | None = None
    overwrite: bool = False
    adopted: Revision | None = None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Take back an order that its cluster has not carried out yet, since nothing asks for it any more."""

    service: ServiceName
    environment: EnvironmentName
    cluster: ClusterName
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Examine:
    """Compare what is live on one cluster with what a revision renders to; writes nothing."""

    service: ServiceName
    environment: EnvironmentName
    cluster: ClusterName
    revision: Revision
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Prove:
    """Write down that a revision was healthy here for its whole soak."""

    service: ServiceName
    environment: EnvironmentName
    proof: Proof
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Write down that a revision is bad here; what is admitted becomes the revision to go back to."""

    service: ServiceName
    environment: EnvironmentName
    rejection: Rejection
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class FinishRollBack:
    """Write down that every reachable cluster is back, current and ready."""

    service: ServiceName
    environment: EnvironmentName
    rejection: Rejection
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class CommitRevert:
    """Put the pins back in Git and write the quarantine, in one commit.

    Attributes:
        direct: False sends it to a branch for a person, since a fuse is blown.
    """

    service: ServiceName
    environment: EnvironmentName
    rejection: Rejection
    direct: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class CommitPin:
    """Have a pin ask for what every environment before has proven.

    Attributes:
        revision: What it is to ask for.
        leaving: What it asks for now.
        commit: HEAD as this was decided on; on any other it is to be decided anew.
        by: A commit, or a pull request; MANUAL is none of them, and never planned.
        floats: The pin's source is not written, and stays so.
    """

    service: ServiceName
    environment: EnvironmentName
    revision: Revision
    leaving: Revision
    commit: CommitId
    by: Promotion
    reason: str
    message: str
    floats: bool = True


@dataclass(frozen=True, slots=True)
class Hold:
    """Do nothing here, and say why.

    Attributes:
        page: True when a person should be told, since waiting alone will not help.
        due_in_s: Seconds until this may change by time alone, by our own stopwatches; None when only
            an event changes it, or nobody knows.
        due_at: The same, where a time is written down to count from.
    """

    service: ServiceName
    environment: EnvironmentName
    reason: Reason
    message: str
    gates: tuple[Gate, ...] = ()
    page: bool = False
    due_in_s: float | None = None
    due_at: datetime | None = None


Action = (
    Adopt
    | Admit
    | Deliver
    | Withdraw
    | Examine
    | Prove
    | Reject
    | FinishRollBack
    | CommitRevert
    | CommitPin
    | Hold
)
