"""What was let in beside a release of another service, and must not be left without it when that is taken back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from reconciler.core import rejections
from reconciler.model.facts import Cell, Support
from reconciler.model.names import ServiceName
from reconciler.model.records import LEANS_MAX, Beside, Lean, PromotionRecord, in_short
from reconciler.model.release import Revision


def beside(cell: Cell) -> tuple[Beside, ...]:
    """Returns what the services that a cell's depends on are on now, as far as it is known."""
    return tuple(Beside(s.service, s.identity) for s in cell.supports if s.identity)


def with_lean(
    record: PromotionRecord, revision: Revision, on: tuple[Beside, ...]
) -> PromotionRecord:
    """Returns a record that says beside what a revision was let in; what it said of that release before is over."""
    identity = in_short(revision.identity)
    others = tuple(lean for lean in record.leans if lean.identity != identity)
    own = (Lean(identity, on),) if on else ()
    leans = (*own, *others)[:LEANS_MAX]
    return replace(record, leans=leans)


def withdrawn_from(cell: Cell, revision: Revision) -> ServiceName | None:
    """Returns a service whose release was taken back in a cell, beside which a revision was let in there; or None."""
    return withdrawn_leans(cell.record, cell.supports).get(in_short(revision.identity))


def withdrawn_leans(
    record: PromotionRecord | None, supports: Iterable[Support]
) -> dict[str, ServiceName]:
    """Returns the identities, in short, that lean on what was taken back, and on whose that is."""
    left = {support.service: support.withdrawn for support in supports}
    return {
        lean.identity: one.service
        for lean in (record.leans if record is not None else ())
        for one in lean.beside
        if one.identity in left.get(one.service, ())
    }


def withdrawn(cell: Cell) -> frozenset[str]:
    """Returns the identities, in short, that a service has left in a cell since they do not stand there.

    What it is on is none, even where it is rejected: with nothing to go back to it stays.
    """
    record = cell.record
    if record is None:
        return frozenset()
    newest = max((p.proven_at for p in record.proofs if p.opens_gates), default=None)
    bad = (
        in_short(rejection.revision.identity)
        for rejection in rejections.standing(record, cell.ask)
        if not _is_past(rejection.rejected_at, newest)
    )
    on = in_short(record.admitted.identity) if record.admitted is not None else ""
    return frozenset((*bad, *withdrawn_leans(record, cell.supports))) - {on}


def _is_past(rejected_at: datetime, newest: datetime | None) -> bool:
    """Once something newer was proven, whoever waited for a better release has it."""
    return newest is not None and newest > rejected_at
