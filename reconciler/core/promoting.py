"""What an environment may be asked to run next: what is proven in every environment before it."""

from __future__ import annotations

from reconciler.core import rejections
from reconciler.core.view import CellView
from reconciler.model.facts import Cell
from reconciler.model.names import Identity
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


def _is_proven(cell: Cell, identity: Identity) -> bool:
    record = cell.record
    if record is None:
        return False
    proven = (proof.revision.identity for proof in record.proofs if proof.opens_gates)
    return identity in proven or in_short(identity) in record.passed


def _is_bad(view: CellView, revision: Revision) -> bool:
    held = any(rejections.repeats(revision, entry) for entry in view.cell.ask.quarantine or ())
    return held or rejections.against(view, revision) is not None
