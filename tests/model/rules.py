"""What must hold whatever the order: told by what happened, and not by what the product says of it."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.core.moves import RecordAction
from reconciler.core.reverting import RevertPlan
from reconciler.model.actions import Admit, Adopt, Deliver, FinishRollBack, Hold, Prove, Reject
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.reasons import Reason
from reconciler.model.records import Rejection
from reconciler.model.release import Revision
from tests.model.values import DOUBTFUL, GOOD, Cluster, Fleet, Head, Place, Seen

HELD = frozenset(
    {
        Reason.REJECTED,
        Reason.QUARANTINED,
        Reason.NOTHING_PROVEN,
        Reason.WAITING_FOR_PROOF,
        Reason.FAILING_BEFORE,
        Reason.FAILING_AFTER_PROOF,
    }
)
"""Reasons for which an environment may rest on something else than what HEAD asks for, or on what fails."""


def _forward(place: Place, afar: Sequence[Place], revision: Revision) -> str:
    """A release goes on only once it was well everywhere before, and not once it was rejected."""
    version = revision.release.version
    if any(revision in p.rejected for p in (*afar, place)):
        return f"{version} was rejected, and goes out again"
    if revision not in place.proved and any(revision not in p.soaked for p in afar):
        return f"{version} goes on before it was well for a whole soak in every environment before"
    return ""


def of_order(place: Place, afar: Sequence[Place], was: Cluster, order: Deliver) -> str:
    """Returns the promise that an order breaks, or nothing."""
    if was.asked is not None and was.asked.revision == order.revision:
        return ""
    if not was.read:
        return "a cluster that was not read is given something else"
    version = order.revision.release.version
    admitted = place.record.admitted if place.record is not None else None
    if admitted in place.rejected:
        return f"nothing is proven to go back to, and {version} is written"
    is_back = was.asked is not None and was.asked.revision == DOUBTFUL and order.revision == GOOD
    if is_back and not any(DOUBTFUL in p.ever for p in (*afar, place)):
        return f"clusters go back to {version} before the rejection is written"
    return _forward(place, afar, order.revision)


def of_record(place: Place, afar: Sequence[Place], action: RecordAction) -> str:
    """Returns the promise that a change of the record breaks, or nothing."""
    match action:
        case Adopt():
            return "" if place.record is None else "adopted over what was decided"
        case Admit():
            if action.rollout is None and action.revision not in place.proved:
                return f"{action.revision.release.version} is not proven here and skips its soak"
            return _forward(place, afar, action.revision)
        case Prove():
            return _of_proof(place, action.proof.revision)
        case Reject():
            return _of_rejection(place, afar, action.rejection)
        case FinishRollBack():
            return _of_end(place, action.rejection)


def _of_proof(place: Place, revision: Revision) -> str:
    soaked = (
        c.read and c.is_on(revision) and c.does in (Seen.SOAKED, Seen.FAILED)
        for c in place.clusters
    )
    if not all(soaked) or any(c.does is Seen.FAILED for c in place.clusters):
        return f"{revision.release.version} is proven, and did not soak on every cluster"
    return ""


def _of_rejection(place: Place, afar: Sequence[Place], rejection: Rejection) -> str:
    bad = rejection.revision
    if bad in place.rejected:
        return f"{bad.release.version} is rejected twice"
    is_failing = any(c.read and c.is_on(bad) and c.does is Seen.FAILED for c in place.clusters)
    if not is_failing and not any(bad in p.rejected for p in afar):
        return f"{bad.release.version} is rejected, and failed nowhere"
    back = [r for r in (GOOD, DOUBTFUL) if r in place.proved and r != bad]
    if rejection.restore_to != next(iter(back), None):
        return f"the way back from {bad.release.version} is not the newest that is proven"
    return ""


def _of_end(place: Place, rejection: Rejection) -> str:
    target = rejection.restore_to
    if target is None:
        return "a roll-back ends that led nowhere"
    is_back = (
        c.read and c.is_on(target) and c.does in (Seen.CURRENT, Seen.SOAKED) for c in place.clusters
    )
    return "" if all(is_back) else "a roll-back ends before every cluster is back and well"


def of_commit(place: Place, rejection: Rejection) -> str:
    """Returns the promise that a commit breaks which is owed from now on, or nothing."""
    if rejection.revision not in place.ever:
        return "a commit for what was never rejected"
    target = rejection.restore_to
    is_back = target is None or all(c.runs == target for c in place.clusters)
    return "" if is_back else "a commit before every cluster is back"


def of_push(
    places: Sequence[Place],
    at: int,
    head: Head,
    rejection: Rejection,
    plan: RevertPlan,
    fleet: Fleet,
) -> str:
    """Returns the promise that a pushed commit breaks, or nothing."""
    if plan.entry in head.entries:
        return "the same commit is made twice"
    for edit in plan.edits:
        edited = fleet.environments().index(edit.environment)
        place = places[edited]
        if edited < at:
            return "an earlier environment is reverted"
        if head.pins[edited] != rejection.revision or edit.restore_to == rejection.revision:
            return "a revert is reverted"
        if edit.restore_to not in place.proved or edit.restore_to in place.rejected:
            return "a pin goes back to what is not proven there"
    if plan.edits and any(c.runs == rejection.revision for c in places[at].clusters):
        return "a pin goes back before the clusters"
    return ""


def at_rest(places: Sequence[Place], head: Head, holds: Sequence[tuple[Hold, ...]]) -> str:
    """Returns the promise that is broken where nothing more happens by itself, or nothing."""
    for at, place in enumerate(places):
        broken = _resting(places, at, head, holds[at])
        if broken:
            return f"environment {at + 1}: {broken}"
        own = place.record.rejections if place.record is not None else ()
        made = [r for r in own if len(r.environments) == len(places) - at]
        if any(not _is_written(r, head.entries) for r in made):
            return f"environment {at + 1}: a rejection is not in Git"
    return ""


def _is_written(rejection: Rejection, entries: Sequence[QuarantineEntry]) -> bool:
    return any(e.revision == rejection.revision.id for e in entries)


def _resting(places: Sequence[Place], at: int, head: Head, holds: tuple[Hold, ...]) -> str:
    place, wanted = places[at], head.pins[at]
    if not holds or not all(hold.message for hold in holds):
        return "nothing is done, and nothing says why"
    if any(c.order is not None or c.busy or not c.read for c in place.clusters):
        return "an order waits for ever"
    reasons = {hold.reason for hold in holds}
    bad = {r for p in places[: at + 1] for r in p.rejected}
    running = {c.runs for c in place.clusters}
    if running & bad and place.proved - bad:
        return "what was rejected runs, and there was something to go back to"
    fails = any(c.does is Seen.FAILED for c in place.clusters)
    if running == {wanted} and not fails and wanted in place.proved - bad:
        return "" if reasons == {Reason.SETTLED} else f"all is as HEAD asks, and it says {reasons}"
    if not reasons & HELD:
        return f"it rests without being as HEAD asks: {sorted(reasons)}"
    is_rolling = place.record is not None and place.record.rollout is not None
    if is_rolling and fails:
        return "a roll-out fails, and nothing comes of it"
    return ""
