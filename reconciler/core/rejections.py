"""What has been rejected, whether it still stands, and where a rejected revision goes back to."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.view import CellView
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.facts import Ask, Cell, Member
from reconciler.model.names import EnvironmentName
from reconciler.model.records import PromotionRecord, Rejection
from reconciler.model.release import Part, Revision
from reconciler.model.times import rfc3339


def is_lifted(rejection: Rejection, ask: Ask) -> bool:
    """Tells whether a person lifted this rejection in the quarantine file.

    An entry that is merely gone lifts nothing; only one that is there and says so does.
    """
    return any(
        entry.revision == rejection.revision.id
        and entry.rejected_at == rfc3339(rejection.rejected_at)
        for entry in ask.lifted
    )


def standing(record: PromotionRecord | None, ask: Ask) -> tuple[Rejection, ...]:
    """Returns a record's rejections that nobody has lifted, newest first."""
    if record is None:
        return ()
    return tuple(r for r in record.rejections if not is_lifted(r, ask))


def repeats(revision: Revision, rejection: Rejection | QuarantineEntry) -> bool:
    """Tells whether a revision contains the part that was rejected."""
    return revision.part(rejection.part) == rejection.part_digest


def against(view: CellView, revision: Revision) -> Rejection | None:
    """Returns a standing rejection, made here or before here, that holds this revision in this cell."""
    for cell in (view.cell, *reversed(view.earlier)):
        for rejection in standing(cell.record, cell.ask):
            if view.environment in rejection.environments and repeats(revision, rejection):
                return rejection
    return None


def way_back(cell: Cell, leaving: Revision) -> Revision | None:
    """Returns the newest proven revision that is neither rejected here nor the one being left."""
    if cell.record is None:
        return None
    bad = standing(cell.record, cell.ask)
    return next(
        (
            proof.revision
            for proof in cell.record.proofs
            if proof.revision.id != leaving.id
            and not any(repeats(proof.revision, rejection) for rejection in bad)
        ),
        None,
    )


def changed_part(bad: Revision, last_proven: Revision | None) -> Part:
    """Returns the part that a failure is laid to: the first that changed of images, tree and values."""
    if last_proven is None or bad.images_digest != last_proven.images_digest:
        return Part.IMAGES
    if bad.tree_digest != last_proven.tree_digest:
        return Part.TREE
    return Part.VALUES


def build(view: CellView, bad: Revision, member: Member, *, reason: str, message: str) -> Rejection:
    """Builds the rejection of a revision that failed on one member.

    Values and overlays belong to one environment, so a failure laid to them holds in that one alone.
    """
    restore_to = way_back(view.cell, bad)
    part = changed_part(bad, restore_to)
    after = () if part is Part.VALUES else _names(view.facts.cells[view.index + 1 :])
    rollout = view.cell.record.rollout if view.cell.record else None
    return Rejection(
        revision=bad,
        part=part,
        part_digest=bad.part(part),
        environments=(view.environment, *after),
        reason=reason,
        message=message,
        cluster=member.cluster,
        evidence=member.health.evidence,
        restore_to=restore_to,
        commit=rollout.commit if rollout else bad.release.source,
        first_failure_at=member.health.first_failure_at or view.now,
        rejected_at=view.now,
    )


def _names(cells: Iterable[Cell]) -> tuple[EnvironmentName, ...]:
    return tuple(cell.environment for cell in cells)
