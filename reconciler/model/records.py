"""The daemon's memory: what it has decided and seen, kept in the clusters as custom resources."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from reconciler.model.health import Evidence
from reconciler.model.names import (
    ClusterName,
    CommitId,
    EnvironmentName,
    Identity,
    PartDigest,
    RenderDigest,
    RevisionId,
    ServiceName,
)
from reconciler.model.path import Path
from reconciler.model.policy import DriftMode, EnvironmentPolicy
from reconciler.model.release import Part, Revision
from reconciler.model.skips import Skipped


class Origin(StrEnum):
    """How a proof came to be."""

    SOAKED = "soaked"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class Proof:
    """A stored fact: this revision was healthy in this environment.

    Attributes:
        members: Clusters it was seen on.
        opens_gates: False for an adopted revision that has not yet been observed for a whole soak.
        policy_digest: Of the rules it was proven under.
        watch_until: Until then a failure is still rolled back by itself; None: never.
        renders: What was applied on all of `members` together; None when that is not known.
        irreversible: Nothing that was proven before it can be gone back to from here on.
    """

    revision: Revision
    origin: Origin
    members: tuple[ClusterName, ...]
    opens_gates: bool
    policy_digest: str
    proven_at: datetime
    watch_until: datetime | None = None
    renders: RenderDigest | None = None
    irreversible: bool = False


@dataclass(frozen=True, slots=True)
class Rollout:
    """A revision on its way into an environment; a snapshot, so that later edits do not move the goal.

    Attributes:
        restore_to: The proven revision to go back to, or None when nothing is proven here.
        commit: HEAD at admission: the commit that asked for it.
        path: The service's own at admission, so that a way back needs no Git to know it.
        skipped: What it was let past by a person's word; None: nothing.
        began_at: When the first roll-out was admitted in whose place this one came; None: in nobody's.
        irreversible: It was accepted that it cannot come back: bad means halt and page.
    """

    revision: Revision
    restore_to: Revision | None = field(default=None, kw_only=True)
    policy: EnvironmentPolicy
    policy_digest: str
    admitted_at: datetime
    commit: CommitId
    path: Path
    began_at: datetime | None = None
    irreversible: bool = False
    skipped: Skipped | None = None


@dataclass(frozen=True, slots=True)
class RevertProgress:
    """Where the commit for a rejection stands.

    Attributes:
        commit: The commit that is on the remote, or None while it is still owed.
        branch: A branch for a person, where the target branch refused the push.
        pushed_at: When the remote was read back with it.
    """

    commit: CommitId | None = None
    branch: str | None = None
    pushed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """The fact that a revision is bad here, and what is to be done about it.

    Attributes:
        part: The part that changed against the last proven revision, and its digest.
        environments: The failing one and those after it on the path.
        restore_to: What the clusters go back to; None: nothing proven, so objects and pin stay.
        names_release: Whether it is bad whatever else failed at the same time: it says nothing of other services.
        first_failure_at: When the failure was first observed.
        rolled_back_at: When every reachable member was back, current and ready.
    """

    revision: Revision
    part: Part
    part_digest: PartDigest
    environments: tuple[EnvironmentName, ...]
    reason: str
    message: str
    cluster: ClusterName
    evidence: tuple[Evidence, ...]
    restore_to: Revision | None = field(default=None, kw_only=True)
    commit: CommitId
    first_failure_at: datetime
    rejected_at: datetime
    rolled_back_at: datetime | None = None
    revert: RevertProgress = RevertProgress()
    names_release: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """What a service that another depends on was on, when that was let on to an environment.

    Attributes:
        identity: Of its release, in short.
    """

    service: ServiceName
    identity: str


@dataclass(frozen=True, slots=True)
class Lean:
    """What a release was let on to an environment beside.

    Attributes:
        identity: Its own, in short.
    """

    identity: str
    beside: tuple[Beside, ...]


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """The facts about one service in one environment, kept in the home cluster.

    Attributes:
        admitted: What live is reconciled to; None before anything was admitted or adopted.
        rollout: Set from admission until proof, or until the roll-back is complete.
        proofs: Newest first, at most PROOFS_MAX.
        rejections: Newest first, at most REJECTIONS_MAX.
        passed: Identities that were proven here, in short and newest first, at most PASSED_MAX: an
            environment that changes often must not forget what a slower one after it still waits for.
        leans: Of what depends on others: beside which of their releases each was let in; newest first, at
            most LEANS_MAX.
        epoch: Of the coordinator that wrote it last.
        holder: The coordinator's name.
        installation: Which installation of the reconciler owns the record.
        version: The stored object's resourceVersion; empty before it was first stored.
    """

    service: ServiceName
    environment: EnvironmentName
    admitted: Revision | None = None
    rollout: Rollout | None = None
    proofs: tuple[Proof, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    passed: tuple[str, ...] = ()
    leans: tuple[Lean, ...] = ()
    epoch: int = 0
    holder: str = ""
    installation: str = ""
    version: str = ""


LEANS_MAX = 5
"""As many as there are proofs to go back to; what is older is not gone back to either."""

PROOFS_MAX = 5
"""Enough for two or three to go back to and the recent sources that a floating pin follows."""

REJECTIONS_KEPT = 5
"""Of those that no fuse counts any more and Git has: quarantine/<svc>.yaml forgets nothing."""

REJECTIONS_MAX = 20
"""However many fuses count or Git lacks: with the largest values, too, a record can be stored (ADR 9)."""

PASSED_MAX = 50
"""Of 16 digits each: weeks of releases in less than a kilobyte."""

EVIDENCE_MAX = 5
"""Observations that a rejection keeps: as many as its commit tells."""

MESSAGE_MAX = 300
"""Characters of a message in a rejection; a cluster's own may quote a whole object."""


def in_short(identity: Identity) -> str:
    """Returns the beginning of an identity: enough to tell it from any other of one service."""
    return identity.partition(":")[2][:16]


class ApplyState(StrEnum):
    """How far the executor is with what it was asked for."""

    PENDING = "Pending"
    APPLYING = "Applying"
    APPLIED = "Applied"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """What one cluster was asked to run of a service, and what it was in fact given.

    Attributes:
        revision: `spec`: the revision asked for, with verbatim release and values.
        returning: `spec`: True when it is to be put back from stored objects.
        proven: `spec`: it is proven in its environment, so that what it no longer holds may be pruned.
        drift: `spec`: what the executor does about drift.
        keep: `spec`: revisions whose stored objects stay in this cluster, newest first.
        rejection: `spec`: written here when the home is out of reach, and copied home later.
        state: `status`: how far the executor is.
        applied: `status`: the revision whose objects were all applied.
        render_digest: `status`: of the applied objects.
        healthy_s: `status`: seconds observed healthy, as of the last transition.
        reason: `status`: why it is not applied, or empty.
        generation: metadata.generation of the stored object.
        observed_generation: `status`: the generation that the status speaks of.
        version: resourceVersion; empty before it was first stored.
    """

    service: ServiceName
    environment: EnvironmentName
    revision: Revision
    namespace: str
    returning: bool = False
    proven: bool = False
    drift: DriftMode = DriftMode.REPORT
    keep: tuple[RevisionId, ...] = ()
    rejection: Rejection | None = None
    epoch: int = 0
    holder: str = ""
    installation: str = ""
    state: ApplyState = ApplyState.PENDING
    applied: RevisionId | None = None
    render_digest: RenderDigest | None = None
    healthy_s: float = 0.0
    reason: str = ""
    message: str = ""
    generation: int = 0
    observed_generation: int = 0
    version: str = ""

    @property
    def is_observed(self) -> bool:
        """Whether the status speaks of what is asked for now, and not of something before it."""
        return self.observed_generation == self.generation


def belongs_to(other: str, *, what: str = "it") -> str:
    """Returns, in words, why a record of another installation is left alone."""
    return f"{what} belongs to the installation {other}"


Record = TypeVar("Record", PromotionRecord, ServiceRecord)
"""Either of them, for what is done to both alike."""
