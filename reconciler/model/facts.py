"""What was seen of the world for one turn; a fact that is not known says so and is never empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.fleet import ClusterState, Mode
from reconciler.model.fleet_counts import Going, Places
from reconciler.model.freezes import Freeze
from reconciler.model.groups import Standings
from reconciler.model.health import Cause, Evidence, HealthStatus
from reconciler.model.names import (
    ClusterName,
    CommitId,
    EnvironmentName,
    RenderDigest,
    RevisionId,
    ServiceName,
)
from reconciler.model.outside import NOTHING_ASKED, Outside
from reconciler.model.path import Path
from reconciler.model.policy import EnvironmentPolicy
from reconciler.model.promotion import Asked, Followed, Promotion
from reconciler.model.reasons import Reason
from reconciler.model.records import ApplyState, PromotionRecord, ServiceRecord
from reconciler.model.release import Revision
from reconciler.model.return_trip import ReturnTrip
from reconciler.model.skips import Vouched


class LiveState(StrEnum):
    """How what is live compares with what HEAD's pin renders to; asked only before adoption."""

    UNKNOWN = "unknown"
    ABSENT = "absent"
    EQUAL = "equal"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Suspension:
    """A person's break-glass word that nothing may be written.

    Attributes:
        why: Their reason, and until when, in words.
        until: When it ends by itself.
    """

    why: str
    until: datetime


@dataclass(frozen=True, slots=True)
class MemberHealth:
    """The health of a service's objects on one cluster, the worst of them named.

    Attributes:
        first_failure_at: When the present failure was first observed; None while there is none.
        evidence: Of the worst object.
        names_release: Whether its failure names the release, whatever else fails.
    """

    status: HealthStatus = HealthStatus.UNKNOWN
    reason: str = ""
    message: str = ""
    cause: Cause = Cause.NONE
    evidence: tuple[Evidence, ...] = ()
    first_failure_at: datetime | None = None
    names_release: bool = False


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order that its cluster has not carried out yet.

    Attributes:
        revision: What it is to be given.
        waiting_s: Seconds since that was ordered, by our own clock.
        why: Why it could not be carried out so far; empty before it was tried.
        retry_in_s: Seconds until it is tried again; 0 while it is being tried.
    """

    revision: RevisionId
    waiting_s: float = 0.0
    why: str = ""
    retry_in_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Member:
    """One cluster of a cell, as seen this turn.

    Attributes:
        reachable: The API server answers.
        synced: Everything needed to judge this service there has been listed and is fresh.
        record: What the cluster was asked for; None means "none there" only when `synced`.
        health: Of the objects last applied; its default is Unknown.
        healthy_s: Seconds observed healthy on `record.revision`.
        waiting_s: Seconds since `record.revision` was asked for, by our own clock.
        away_s: Seconds since the API server last answered; 0 while it does.
        drift: How many fields differ from what is applied.
        drifted_objects: How many objects they are in.
        suspended: A person has suspended the cluster, or its record of the service.
        other: The installation that its record belongs to, if that is another: nothing is known of it then.
        order: What waits to be carried out there; the record may not say it yet.
        live: Compared with HEAD's render; UNKNOWN until an examination has answered.
        live_for_s: Seconds for which `live` is taken for true before it may be compared again.
        state: Its place in its life, as fleet.yaml has it; only active ones are waited for.
    """

    cluster: ClusterName
    reachable: bool
    synced: bool
    record: ServiceRecord | None
    health: MemberHealth = MemberHealth()
    healthy_s: float = 0.0
    waiting_s: float = 0.0
    away_s: float = 0.0
    drift: int = 0
    drifted_objects: int = 0
    order: Ordered | None = None
    live: LiveState = LiveState.UNKNOWN
    live_for_s: float = 0.0
    suspended: Suspension | None = None
    other: str = ""
    state: ClusterState = ClusterState.ACTIVE

    @property
    def may_be_written(self) -> bool:
        """Whether it is ours to write to: no person has suspended it, and it is no other installation's."""
        return self.suspended is None and not self.other

    @property
    def known(self) -> bool:
        """Whether anything said here may be relied upon."""
        return self.reachable and self.synced

    @property
    def is_held_by_others(self) -> bool:
        """Whether it was left as it is, since something there that is not ours differs from what is asked for."""
        record = self.record
        return (
            self.known
            and record is not None
            and record.is_observed
            and record.state is not ApplyState.APPLIED
            and record.reason == Reason.ADOPTION_DIFFERS
        )

    @property
    def is_untouched(self) -> bool:
        """Whether it is held by others before anything of ours was ever written there."""
        is_first = self.record is not None and self.record.state is ApplyState.PENDING
        return is_first and self.is_held_by_others

    def waited_s(self, revision: RevisionId) -> float | None:
        """Returns the seconds since a revision was asked for here, by its record or an order; None: it was not.

        However often it is ordered: only once it was applied whole does another delivery of it begin anew.
        """
        times = []
        if self.order is not None and self.order.revision == revision:
            times.append(self.order.waiting_s)
        if self.record is not None and self.record.revision.id == revision:
            times.append(self.waiting_s)
        # A later order for the same changes how it is kept, and not since when it is waited for.
        return max(times, default=None)

    def is_late(self, revision: RevisionId, deadline_s: float) -> bool:
        """Whether a revision was asked for here, and so long ago."""
        waited_s = self.waited_s(revision)
        return waited_s is not None and waited_s >= deadline_s

    def retried(self, revision: RevisionId) -> Ordered | None:
        """Returns the order of a revision that could not be carried out and is tried again, if there is one."""
        is_tried = self.order is not None and self.order.revision == revision and self.order.why
        return self.order if is_tried else None

    def is_on(self, revision: RevisionId) -> bool:
        """Whether every object of a revision has been applied here, and nothing else was asked for.

        A status that speaks of an older spec says nothing: something else may have been begun since.
        """
        return (
            self.known
            and self.record is not None
            and self.record.revision.id == revision
            and self.record.applied == revision
            and self.record.is_observed
        )


@dataclass(frozen=True, slots=True)
class Approval:
    """What a pin says is approved, and whose word that is.

    Attributes:
        revision: As the pin names it.
        asked_by: Who last changed what the pin asks for; None: the history does not say.
        approved_by: Who wrote the approval; None: the history does not say.
        asked_since: The commit that asked for absence anew after this approval; None: there is none.
    """

    revision: RevisionId
    asked_by: str | None
    approved_by: str | None
    asked_since: CommitId | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What HEAD asks for in one cell.

    Attributes:
        wanted: The resolved revision, or None when `reason` says why there is none.
        commit: HEAD; None when no snapshot could be read.
        policy: The rules at HEAD; None exactly when they are not known.
        source: As the pin writes it out; None while it floats, or there is no pin to read.
        immediate: What is admitted with the pin's `immediate` values, when that differs from it.
        boarding: On a train, what goes ahead while `wanted` is not proven before: the newest that is, of what
            this pin has asked for since what is admitted.
        promote: Who moves the pin on.
        ahead: What it may be moved on to, the newest first: asked for in the environments before after what it
            asks for, proven in all of them, and never asked for here. None: not known.
        follows: The service has an image policy, and this is one of the first environments.
        followed: What a registry has for it; None: it follows none, or nothing is known yet.
        renders: What `wanted` renders to on all of the environment's active clusters together.
        trips: The ways back from what may be admitted here to what is proven here.
        accepted: The revision of which the pin says that it need not come back.
        approval: What the pin says of it; None: nothing, or the policy asks for none.
        skip: What the pin asks to be let past, and whose word that is; None: nothing.
        freezes: All that cover the cell, whether or not they are over.
        mates: The other services of its group, which are moved as one with it.
        max_rollouts: How many services may roll out in the environment at once; None: any number.
        quarantine: Entries that hold in this environment and are not lifted; None: not readable.
        lifted: Entries for this environment that a person has lifted.
    """

    wanted: Revision | None
    commit: CommitId | None
    policy: EnvironmentPolicy | None
    policy_digest: str = ""
    paused: bool = False
    freezes: tuple[Freeze, ...] = ()
    mates: tuple[ServiceName, ...] = ()
    max_rollouts: int | None = None
    approval: Approval | None = None
    trips: tuple[ReturnTrip, ...] = ()
    accepted: RevisionId | None = None
    skip: Vouched | None = None
    adopt_overwrite: bool = False
    source: str | None = None
    immediate: Revision | None = None
    boarding: Revision | None = None
    promote: Promotion = Promotion.MANUAL
    ahead: tuple[Revision, ...] | None = None
    follows: bool = False
    followed: Followed | None = None
    renders: RenderDigest | None = None
    quarantine: tuple[QuarantineEntry, ...] | None = None
    lifted: tuple[QuarantineEntry, ...] = ()
    reason: Reason | None = None
    message: str = ""

    @property
    def is_rendering(self) -> bool:
        """Whether what is wanted will be known in a moment."""
        return self.reason is Reason.RENDERING


@dataclass(frozen=True, slots=True)
class Support:
    """A service that another depends on, in one environment.

    Attributes:
        identity: Of what it is on there, in short; empty where that is not known, or nothing.
        withdrawn: Identities, in short, that it has left there since they, or what they lean on, were
            rejected, and after which nothing newer was proven.
    """

    service: ServiceName
    identity: str
    withdrawn: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Cell:
    """One service in one environment.

    Attributes:
        record: None means "no record" only when `record_known`.
        record_saved: False while the home has not yet taken what `record` says.
        depends: For each service it depends on, whether its release is proven here; None: unknown.
        supports: The same services, and what they are on here.
        needed_by: For each service that depends on it, whether that is here, or asked for; None: unknown.
            Only looked for where it is asked to go.
        suspended: A person has suspended the promotion record.
        other: The installation that the record belongs to, if that is another: it is not known then.
        orphans: Clusters that run it and that HEAD does not mean it for (any more).
        leaving: Clusters that HEAD does not mean it for, and for which an order waits all the same.
        left: Clusters that drained, and are in the fleet no more.
        outside: What others say of what may be admitted next.
        asked: What became of the newest try to have a person move the pin; None: there was none.
    """

    environment: EnvironmentName
    ask: Ask
    record: PromotionRecord | None
    record_known: bool
    members: tuple[Member, ...]
    record_saved: bool = True
    depends: tuple[tuple[ServiceName, bool | None], ...] = ()
    supports: tuple[Support, ...] = ()
    needed_by: tuple[tuple[ServiceName, bool | None], ...] = ()
    suspended: Suspension | None = None
    other: str = ""
    orphans: tuple[ClusterName, ...] = ()
    leaving: tuple[ClusterName, ...] = ()
    left: tuple[ClusterName, ...] = ()
    outside: Outside = NOTHING_ASKED
    asked: Asked | None = None

    @property
    def active(self) -> tuple[Member, ...]:
        """The members that waves and quorums are made of."""
        return tuple(m for m in self.members if m.state is ClusterState.ACTIVE)

    @property
    def counted(self) -> tuple[Member, ...]:
        """The members whose word counts: the active ones, or all where none is, so that none is never all."""
        return self.active or self.members

    def member(self, cluster: ClusterName) -> Member | None:
        """Returns a member by its cluster, or None."""
        return next((m for m in self.members if m.cluster == cluster), None)


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """One service along its path.

    Attributes:
        cells: One for each step of the path, in its order.
    """

    service: ServiceName
    mode: Mode
    path: Path
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class FleetSummary:
    """What the whole fleet says to each of its services.

    Attributes:
        fuses_blown: Services whose own fuse is blown, and until when if nothing else of them is rejected.
        fleet_fuse_blown: The same of the fleet's fuse; None while it is whole.
        commits_blown: Commits of which too much was rejected, those that took it back among them, and until when.
        platform_incident: Services that turned bad together, or empty.
        going: Of each environment from which a service is asked to go, or went within the last hour.
        halted: Why no forward move may be made anywhere (history rewritten, lease lost), or empty.
        halted_reason: The reason that goes with `halted`.
        places: Of each environment with a limit in which anything rolls out, or asks to.
        groups: Of each service of a group, how it stands; one that is not there was not looked at yet.
        keeps_time: How long anything was well, or late, is counted here. It is not by a command, nor by a
            daemon that waits for the lease: they came later, and the one that decides has counted on.
    """

    fuses_blown: Mapping[ServiceName, datetime] = field(default_factory=dict)
    fleet_fuse_blown: datetime | None = None
    platform_incident: frozenset[ServiceName] = frozenset()
    going: Mapping[EnvironmentName, Going] = field(default_factory=dict)
    halted: str = ""
    halted_reason: Reason | None = None
    places: Mapping[EnvironmentName, Places] = field(default_factory=dict)
    groups: Mapping[ServiceName, Standings] = field(default_factory=dict)
    keeps_time: bool = True
    commits_blown: Mapping[CommitId, datetime] = field(default_factory=dict)
