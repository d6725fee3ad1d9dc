"""Facts to begin with, so that a case names only what it is about.

A service `web` on the path dev, staging, prod; prod has three clusters in two waves. Where nothing
else is said, everything is well: reachable, read, healthy for long, and exactly as it was ordered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.core.delivering import deliveries
from reconciler.core.plan import plan_service
from reconciler.core.recording import empty
from reconciler.core.view import CellView
from reconciler.model.actions import Action, Deliver, Gate, Hold
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.facts import (
    Ask,
    Cell,
    FleetSummary,
    Member,
    MemberHealth,
    ServiceFacts,
    Suspension,
)
from reconciler.model.fleet import Mode
from reconciler.model.health import Cause, Evidence, HealthStatus
from reconciler.model.names import ClusterName, CommitId, EnvironmentName, RenderDigest, ServiceName
from reconciler.model.path import Path
from reconciler.model.policy import DriftMode, EnvironmentPolicy
from reconciler.model.records import (
    ApplyState,
    Origin,
    PromotionRecord,
    Proof,
    Rejection,
    RevertProgress,
    Rollout,
    ServiceRecord,
)
from reconciler.model.release import Part, Revision
from reconciler.model.return_trip import ReturnTrip
from reconciler.model.times import rfc3339
from tests.fakes.records import COMMIT, revision

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(hours=5)
WEB = ServiceName("web")
DEV, STAGING, PROD = (EnvironmentName(name) for name in ("dev", "staging", "prod"))
CLUSTERS = {
    DEV: (ClusterName("dev-1"),),
    STAGING: (ClusterName("staging-1"),),
    PROD: tuple(ClusterName(f"prod-{number}") for number in (1, 2, 3)),
}
V1, V2, V3 = revision("1.0.0"), revision("2.0.0"), revision("3.0.0")
HEAD = CommitId("c" * 40)

CURRENT = MemberHealth(HealthStatus.CURRENT)
STARTING = MemberHealth(HealthStatus.IN_PROGRESS, "RollingOut", "1 of 2 replicas are ready")
CRASHING = MemberHealth(
    HealthStatus.FAILED,
    "CrashLoopBackOff",
    "Pod web-1: it ended twice",
    Cause.RELEASE,
    (Evidence("Pod", "web-1", "CrashLoopBackOff", "it ended twice", 1, 2),),
    NOW - timedelta(seconds=5),
)
STUCK = MemberHealth(HealthStatus.FAILED, "ProgressDeadlineExceeded", "it took too long")
LONG_S = 100_000.0
SUSPENDED = Suspension("by hand, until one", NOW + timedelta(hours=1))
BLOWN_UNTIL = NOW + timedelta(minutes=20)


def policy(environment: EnvironmentName = DEV, **changes: Any) -> EnvironmentPolicy:
    """Returns an environment's rules; prod changes its first cluster, then the other two."""
    clusters = CLUSTERS[environment]
    waves = (clusters[:1], clusters[1:]) if len(clusters) > 1 else (clusters,)
    rules = EnvironmentPolicy(60.0, 600.0, 600.0, waves, DriftMode.REPORT)
    return replace(rules, **changes)


def proof(what: Revision, environment: EnvironmentName = DEV, **changes: Any) -> Proof:
    """Returns a proof by a soak that ended long ago."""
    given = Proof(what, Origin.SOAKED, CLUSTERS[environment], True, "sha256:p", BEFORE, BEFORE)
    return replace(given, **changes)


def rollout(what: Revision, environment: EnvironmentName = DEV, **changes: Any) -> Rollout:
    """Returns a roll-out that was admitted a moment ago, with version 1 to go back to."""
    given = Rollout(
        what,
        restore_to=V1,
        policy=policy(environment),
        policy_digest="sha256:p",
        admitted_at=NOW,
        commit=HEAD,
        path=Path.line(CLUSTERS),
    )
    return replace(given, **changes)


def rejection(what: Revision, environment: EnvironmentName = DEV, **changes: Any) -> Rejection:
    """Returns a rejection of a revision's images, rolled back to version 1 and committed."""
    path = tuple(CLUSTERS)
    given = Rejection(
        revision=what,
        part=Part.IMAGES,
        part_digest=what.images_digest,
        environments=path[path.index(environment) :],
        reason="CrashLoopBackOff",
        message="it ended twice",
        cluster=CLUSTERS[environment][0],
        evidence=CRASHING.evidence,
        restore_to=V1,
        commit=HEAD,
        first_failure_at=BEFORE,
        rejected_at=BEFORE,
        rolled_back_at=BEFORE,
        revert=RevertProgress(COMMIT, None, BEFORE),
    )
    return replace(given, **changes)


def entry(of: Rejection, **changes: Any) -> QuarantineEntry:
    """Returns the entry of quarantine/web.yaml for a rejection."""
    given = QuarantineEntry(
        service=WEB,
        revision=of.revision.id,
        identity=of.revision.identity,
        version=of.revision.release.version,
        part=of.part,
        part_digest=of.part_digest,
        environments=of.environments,
        reason=of.reason,
        evidence=(),
        commit=of.commit,
        rejected_at=rfc3339(of.rejected_at),
        lifted=None,
    )
    return replace(given, **changes)


def ask(wanted: Revision | None = V1, environment: EnvironmentName = DEV, **changes: Any) -> Ask:
    """Returns what HEAD asks for."""
    given = Ask(wanted, HEAD, policy(environment), "sha256:p", quarantine=())
    return replace(given, **changes)


def record(
    environment: EnvironmentName = DEV, admitted: Revision | None = V1, **changes: Any
) -> PromotionRecord:
    """Returns a record; what is admitted is proven unless proofs are given or a roll-out is on."""
    is_new = admitted in (V1, None) or "rollout" in changes
    proven = [V1] if is_new or admitted is None else [admitted, V1]
    proofs = tuple(proof(revision, environment) for revision in proven)
    return replace(empty(WEB, environment), admitted=admitted, **{"proofs": proofs, **changes})


def carried_out(order: Deliver) -> ServiceRecord:
    """Returns the record of a cluster that has done exactly what was ordered."""
    return ServiceRecord(
        service=order.service,
        environment=order.environment,
        revision=order.revision,
        namespace="web",
        returning=order.returning,
        proven=order.proven,
        drift=order.drift,
        keep=order.keep,
        rejection=order.rejection,
        state=ApplyState.APPLIED,
        applied=order.revision.id,
        render_digest=RenderDigest(f"sha256:{order.revision.id[-8:]}"),
        generation=1,
        observed_generation=1,
    )


def member(name: ClusterName, **changes: Any) -> Member:
    """Returns a cluster without a record that answers and was read."""
    given = Member(name, reachable=True, synced=True, record=None, health=CURRENT, healthy_s=LONG_S)
    return replace(given, **changes)


AWAY: dict[str, Any] = {"reachable": False, "synced": False}
UNREAD: dict[str, Any] = {"synced": False}
UNTOUCHED: dict[str, Any] = {"state": ApplyState.PENDING, "render_digest": None}
"""The status of a cluster to which nothing of ours was ever written."""


def cell(
    environment: EnvironmentName = DEV,
    known: PromotionRecord | None = None,
    wanted: Ask | None = None,
    *,
    on: Mapping[str, Revision | None] | None = None,
    members: Mapping[str, dict[str, Any]] | None = None,
    **changes: Any,
) -> Cell:
    """Returns a cell whose clusters run what is admitted, and are exactly as they were ordered.

    Args:
        environment: Which.
        known: Its promotion record.
        wanted: What HEAD asks for there; by default what is admitted.
        on: Clusters that run something else, or nothing (None).
        members: Changes of single clusters.
        changes: Of the cell itself.
    """
    admitted = known.admitted if known else None
    given = Cell(
        environment=environment,
        ask=comes_back(wanted or ask(admitted, environment), known),
        record=known,
        record_known=True,
        members=tuple(member(name) for name in CLUSTERS[environment]),
        **changes,
    )
    runs: dict[str, Revision | None] = dict.fromkeys(CLUSTERS[environment], admitted)
    runs |= on or {}
    done = tuple(_member(given, name, runs[name], (members or {}).get(name, {})) for name in runs)
    return replace(given, members=done)


def comes_back(what: Ask, known: PromotionRecord | None) -> Ask:
    """Returns an Ask that knows of each way back that all can come back; as it is where it says something itself."""
    if what.trips or known is None:
        return what
    goes = (r for r in (what.wanted, what.immediate, what.boarding) if r is not None)
    trips = (ReturnTrip(r.id, p.revision.id) for r in goes for p in known.proofs)
    return replace(what, trips=tuple(trips))


def _member(
    of: Cell, name: ClusterName | str, runs: Revision | None, changes: dict[str, Any]
) -> Member:
    given = member(ClusterName(name))
    if runs is not None:
        facts = in_line(WEB, (of,))
        (order,) = deliveries(CellView(facts, 0, FleetSummary(), NOW), runs, (given,))
        given = replace(given, record=carried_out(order))
    return replace(given, **changes)


def failing(given: Cell, cluster: str, reason: str, **changes: Any) -> Cell:
    """Returns a cell on one of whose clusters what was ordered last cannot be applied."""

    def failed(member: Member) -> Member:
        assert member.record is not None
        was = member.record
        now = replace(was, state=ApplyState.FAILED, applied=None, reason=reason, message="why")
        health = MemberHealth(reason=reason, message="why")
        return replace(member, record=replace(now, **changes), health=health, healthy_s=0)

    members = tuple(failed(m) if m.cluster == cluster else m for m in given.members)
    return replace(given, members=members)


def in_line(service: ServiceName, cells: tuple[Cell, ...]) -> ServiceFacts:
    """Returns the facts of a service whose environments come one after the other, as its cells do."""
    path = Path.line(cell.environment for cell in cells)
    return ServiceFacts(service, Mode.ENFORCE, path, cells)


def view(*cells: Cell, at: int = -1, fleet: FleetSummary | None = None) -> CellView:
    """Returns the view of the last of some cells, or of another."""
    facts = in_line(WEB, cells)
    return CellView(facts, range(len(cells))[at], fleet or FleetSummary(), NOW)


def planned(
    *cells: Cell, at: int = -1, fleet: FleetSummary | None = None, path: Path | None = None
) -> tuple[Action, ...]:
    """Returns what is planned for the last of some cells, or for another; on a line, or another path."""
    facts = in_line(WEB, cells)
    if path is not None:
        facts = replace(facts, path=path)
    wanted = cells[at].environment
    actions = plan_service(facts, fleet or FleetSummary(), NOW)
    return tuple(action for action in actions if action.environment == wanted)


def said(actions: tuple[Action, ...]) -> list[str]:
    """Returns actions in short: kind, then cluster and version, or a Hold's reason."""
    return [_said(action) for action in actions]


def _said(action: Action) -> str:
    kind = type(action).__name__
    if isinstance(action, Hold):
        return f"{kind} {action.reason}"
    if isinstance(action, Deliver):
        back = " back" if action.returning else ""
        return f"{kind} {action.cluster} {action.revision.release.version}{back}"
    return f"{kind} {action.reason}"


def states(gates: tuple[Gate, ...]) -> dict[str, str]:
    """Returns each gate that is not open, by its name."""
    return {gate.name: f"{gate.state} {gate.reason}" for gate in gates if gate.state != "open"}
