"""Good, bad or unknown: what the members of a cell say about the revision they run."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.facts import Member
from reconciler.model.health import Cause, HealthStatus
from reconciler.model.records import ApplyState, ServiceRecord
from reconciler.model.release import Revision

APPLY_REFUSED = "ApplyRefused"
"""The reason an executor gives when the API server calls an object of the revision itself wrong."""


@dataclass(frozen=True, slots=True)
class Badness:
    """Why a revision is bad: the member that showed it, with a reason and a sentence.

    Attributes:
        names_release: Whether it is bad whatever else fails at the same time.
    """

    member: Member
    reason: str
    message: str
    names_release: bool


def badness(
    members: tuple[Member, ...], revision: Revision, *, deadline_s: float | None = None
) -> Badness | None:
    """Returns the first member on which the revision itself has failed.

    Only a failure whose cause is the release's own counts; whatever may be the platform's, and
    whatever is not known, is never bad.

    Args:
        members: The clusters whose word counts.
        revision: What is judged; a member that runs another says nothing.
        deadline_s: Seconds after which a cause in its Pods that is too little by itself is enough.
    """
    for member in members:
        record = member.record
        if not member.known or record is None or record.revision.id != revision.id:
            continue
        if is_refused(record):
            return Badness(member, APPLY_REFUSED, f"{member.cluster}: {record.message}", True)
        health = member.health
        if not member.is_on(revision.id) or health.cause is not Cause.RELEASE:
            continue
        is_late = deadline_s is not None and member.is_late(revision.id, deadline_s)
        is_suspect = is_late and health.status is HealthStatus.IN_PROGRESS
        if health.status is HealthStatus.FAILED or is_suspect:
            message = f"{member.cluster}: {health.message}"
            return Badness(member, health.reason, message, health.names_release)
    return None


def is_refused(record: ServiceRecord) -> bool:
    """Tells whether the API server called an object of what is asked for now itself wrong."""
    return (
        record.is_observed and record.state is ApplyState.FAILED and record.reason == APPLY_REFUSED
    )


def has_failed(member: Member, revision: Revision) -> bool:
    """Tells whether what was ordered could not be applied there; it is tried again, and again said so."""
    record = member.record
    return (
        member.known
        and record is not None
        and record.is_observed
        and record.state is not ApplyState.APPLIED
        and bool(record.reason)
        and record.revision.id == revision.id
    )


def why_not(member: Member, revision: Revision) -> str:
    """Returns what keeps a member from running a revision well, in words: first why it was not given it."""
    retried = member.retried(revision.id)
    return (retried.why if retried else member.health.message) or member.health.status


def is_healthy(member: Member, revision: Revision, *, for_s: float) -> bool:
    """Tells whether a member runs exactly this revision, current, and was seen so long enough."""
    return (
        member.is_on(revision.id)
        and member.health.status is HealthStatus.CURRENT
        and member.healthy_s >= for_s
    )


def has_arrived(member: Member, revision: Revision) -> bool:
    """Tells whether a cluster was given a revision whole and was seen current on it since, as far as can be told.

    It stays true when a Pod is replaced, and over a restart. Of a cluster that does not answer nothing
    is said, as on a way back: that is told of the cluster, and not of each service.
    """
    record = member.record
    if member.other:
        return False
    if not member.reachable:
        return True
    if record is None:
        return not member.synced
    is_given = record.revision.id == record.applied == revision.id
    if not is_given or member.retried(revision.id):
        # What is tried again may have left a mixture, whatever the status said before.
        return False
    was_well = member.healthy_s > 0.0 or record.healthy_s > 0.0
    return was_well or is_healthy(member, revision, for_s=0.0)


def to_go_back(members: tuple[Member, ...]) -> tuple[Member, ...]:
    """Returns those that a roll-back waits for: not who is away, suspended, or never had anything of ours."""
    return tuple(m for m in members if m.reachable and m.may_be_written and not m.is_untouched)
