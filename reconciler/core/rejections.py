"""What has been rejected, whether it still stands, and where a rejected revision goes back to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.core.judging import Badness
from reconciler.core.view import CellView
from reconciler.model.actions import Hold, Reject
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.facts import Ask, Cell
from reconciler.model.reasons import Reason
from reconciler.model.records import EVIDENCE_MAX, MESSAGE_MAX, PromotionRecord, Rejection
from reconciler.model.release import Part, Revision
from reconciler.model.times import rfc3339


def is_lifted(rejection: Rejection, ask: Ask) -> bool:
    """Tells whether a person lifted this rejection in the quarantine file.

    An entry that is merely gone lifts nothing; only one that is there and says so does.
    """
    return is_written(rejection, ask.lifted)


def is_written(rejection: Rejection, entries: Iterable[QuarantineEntry]) -> bool:
    """Tells whether one of some entries of quarantine/<svc>.yaml is this rejection's.

    It is the part and the time that count: an environment that took a rejection over holds another
    revision with the same part, and one entry, once lifted, lifts all of them.
    """
    key = (rejection.part, rejection.part_digest, rfc3339(rejection.rejected_at))
    return any((e.part, e.part_digest, e.rejected_at) == key for e in entries)


def standing(record: PromotionRecord | None, ask: Ask) -> tuple[Rejection, ...]:
    """Returns a record's rejections that nobody has lifted, newest first."""
    if record is None:
        return ()
    return tuple(r for r in record.rejections if not is_lifted(r, ask))


def repeats(revision: Revision, rejection: Rejection | QuarantineEntry) -> bool:
    """Tells whether a revision contains the part that was rejected."""
    return revision.part(rejection.part) == rejection.part_digest


def was_lifted(view: CellView, revision: Revision) -> bool:
    """Tells whether a person has lifted what held a revision here, so that it may be tried once more."""
    lifted = any(repeats(revision, entry) for entry in view.cell.ask.lifted)
    return lifted and against(view, revision) is None


def against(view: CellView, revision: Revision) -> Rejection | None:
    """Returns a standing rejection, made here or before here, that holds this revision in this cell."""
    for cell in (view.cell, *reversed(view.earlier)):
        for rejection in standing(cell.record, cell.ask):
            if view.environment in rejection.environments and repeats(revision, rejection):
                return rejection
    return None


def way_back(cell: Cell, leaving: Revision, avoiding: Rejection | None = None) -> Revision | None:
    """Returns the newest proven revision that is neither rejected here nor the one being left.

    Args:
        cell: Where to go back.
        leaving: What is being left.
        avoiding: A rejection made elsewhere, which the cell's own record may not hold yet.
    """
    return next(
        (
            revision
            for revision in ways_back(cell)
            if revision.id != leaving.id and not (avoiding and repeats(revision, avoiding))
        ),
        None,
    )


def allowed(view: CellView, leaving: Revision | None = None) -> Revision | None:
    """Returns the newest proven revision that no rejection holds here, be it made before here; or None.

    Args:
        view: The cell.
        leaving: What it must not be.
    """
    return next(
        (
            revision
            for revision in ways_back(view.cell)
            if (leaving is None or revision.id != leaving.id) and against(view, revision) is None
        ),
        None,
    )


def ways_back(cell: Cell) -> tuple[Revision, ...]:
    """Returns every proven revision that is not rejected here, newest first: none past what cannot come back.

    A tombstone is none: no way back deletes anything, and what ran before it is what is meant by "before".
    """
    record = cell.record
    if record is None or is_out_for_good(record):
        return ()
    bad = standing(record, cell.ask)
    barrier = next((n for n, proof in enumerate(record.proofs) if proof.irreversible), None)
    reachable = record.proofs if barrier is None else record.proofs[: barrier + 1]
    return tuple(
        proof.revision
        for proof in reachable
        if not proof.revision.absent
        and not any(repeats(proof.revision, rejection) for rejection in bad)
    )


def is_out_for_good(record: PromotionRecord | None) -> bool:
    """Tells whether what rolls out was accepted as what cannot come back."""
    return record is not None and record.rollout is not None and record.rollout.irreversible


def take_over(view: CellView, admitted: Revision) -> Reject | None:
    """Takes over a rejection that an earlier environment made of what is admitted here.

    It keeps the time of the first, so that it is the same fact and is lifted together with it. Where
    nothing is proven to go back to, there is nothing to do but to stop, which `held` tells.
    """
    rejection = against(view, admitted)
    if rejection is None or rejection.environments[0] == view.environment:
        return None
    target = way_back(view.cell, admitted, rejection)
    if target is None:
        return None
    failed_in = rejection.environments[0]
    message = f"{admitted.release.version} was rejected in {failed_in}: {rejection.reason}"
    own = replace(rejection, revision=admitted, restore_to=target, rolled_back_at=None)
    return Reject(view.service, view.environment, own, "RejectedBefore", message)


def held(view: CellView, admitted: Revision) -> Hold | None:
    """Returns the Hold of what is admitted and rejected, since nothing proven is there to go back to."""
    rejection = against(view, admitted)
    if rejection is None:
        return None
    version, failed_in = admitted.release.version, rejection.environments[0]
    told = f"{version} was rejected in {failed_in} ({rejection.reason})"
    if is_out_for_good(view.cell.record):
        return cannot_go_back(view, told)
    message = f"{told}, and nothing proven is here to go back to; a person must act"
    return Hold(view.service, view.environment, Reason.NOTHING_PROVEN, message, page=True)


def cannot_go_back(view: CellView, told: str) -> Hold:
    """Returns the Hold of what is bad and cannot come back: it stays where it is, and so does Git."""
    message = f"{told}, and it cannot come back; a person must act"
    return Hold(view.service, view.environment, Reason.CANNOT_GO_BACK, message, page=True)


def changed_part(bad: Revision, last_proven: Revision | None) -> Part:
    """Returns the part that a failure is laid to: the first that changed, the renderer last."""
    if last_proven is None:
        return Part.IMAGES
    return next((p for p in Part if bad.part(p) != last_proven.part(p)), Part.IMAGES)


def build(view: CellView, bad: Revision, why: Badness) -> Rejection:
    """Builds the rejection of a revision that failed on one member.

    Values and overlays belong to one environment, so a failure laid to them holds in that one alone.
    """
    restore_to = way_back(view.cell, bad)
    part = changed_part(bad, restore_to)
    after = () if part is Part.VALUES else view.after
    rollout = view.cell.record.rollout if view.cell.record else None
    return Rejection(
        revision=bad,
        part=part,
        part_digest=bad.part(part),
        environments=(view.environment, *after),
        reason=why.reason,
        message=why.message[:MESSAGE_MAX],
        cluster=why.member.cluster,
        evidence=why.member.health.evidence[:EVIDENCE_MAX],
        names_release=why.names_release,
        restore_to=restore_to,
        commit=rollout.commit if rollout else bad.release.source,
        first_failure_at=why.member.health.first_failure_at or view.now,
        rejected_at=view.now,
    )
