"""What an environment may be asked to run next: what is proven in every environment before it."""

from __future__ import annotations

from reconciler.core import rejections
from reconciler.core.view import CellView
from reconciler.model.facts import Cell
from reconciler.model.names import Identity
from reconciler.model.promotion import Promotion
from reconciler.model.records import in_short
from reconciler.model.release import Revision


def promotable(view: CellView) -> tuple[Revision, ...]:
    """Returns the revisions that are proven in every environment before, the newest proof first.

    What was rejected here, or is quarantined here, is left out. They are those of the environment just before.
    """
    before = view.facts.path.just_before(view.environment)
    proofs = [
        proof
        for cell in view.earlier
        if cell.environment in before and cell.record is not None
        for proof in cell.record.proofs
        if proof.opens_gates and not proof.revision.absent
    ]
    newest = sorted(proofs, key=lambda proof: proof.proven_at, reverse=True)
    return tuple(
        proof.revision
        for proof in newest
        if all(_is_proven(cell, proof.revision.identity) for cell in view.earlier)
        and not _is_bad(view, proof.revision)
    )


def hotfixes(view: CellView) -> tuple[Revision, ...]:
    """Returns what may come here without a whole soak before: what rolls out just before, then what is promotable.

    In each environment before it rolls out or is proven; that it is seen healthy there is the gate's to say.
    """
    before = view.facts.path.just_before(view.environment)
    running = (
        cell.record.rollout.revision
        for cell in view.earlier
        if cell.environment in before
        and cell.record is not None
        and cell.record.rollout is not None
    )
    found = (
        revision
        for revision in running
        if all(_has(cell, revision.identity) for cell in view.earlier)
        and not _is_bad(view, revision)
    )
    return (*found, *promotable(view))


def _has(cell: Cell, identity: Identity) -> bool:
    admitted = cell.record.admitted if cell.record is not None else None
    is_admitted = admitted is not None and admitted.identity == identity
    return is_admitted or _is_proven(cell, identity)


def left_to_people(view: CellView) -> Revision | None:
    """Returns what those just before ask for and all have proven, where only a person pins it here; None: nothing."""
    ask, before = view.cell.ask, view.facts.path.just_before(view.environment)
    if ask.promote is not Promotion.MANUAL or ask.wanted is None:
        return None
    asked = {
        cell.ask.wanted.identity
        for cell in view.earlier
        if cell.environment in before and cell.ask.wanted is not None
    }
    images = ask.wanted.images_digest
    found = (r for r in promotable(view) if r.identity in asked and r.images_digest != images)
    return next(found, None)


def _is_proven(cell: Cell, identity: Identity) -> bool:
    record = cell.record
    if record is None:
        return False
    proven = (proof.revision.identity for proof in record.proofs if proof.opens_gates)
    return identity in proven or in_short(identity) in record.passed


def _is_bad(view: CellView, revision: Revision) -> bool:
    held = any(rejections.repeats(revision, entry) for entry in view.cell.ask.quarantine or ())
    return held or rejections.against(view, revision) is not None
