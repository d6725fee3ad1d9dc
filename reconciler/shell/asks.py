"""What HEAD asks for in each cell, resolved again only when what it rests on has changed."""

from __future__ import annotations

from reconciler.model.facts import Ask
from reconciler.model.promotion import Promotion
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.shell.ahead import with_ahead
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey


class Asks:
    """The Asks of one HEAD after the other; only the coordinator's task calls it."""

    def __init__(self) -> None:
        self._kept: dict[CellKey, tuple[object, Ask]] = {}

    def clear(self) -> None:
        """Forgets all of them: HEAD is another one."""
        self._kept.clear()

    def of(
        self,
        asker: Asker,
        key: CellKey,
        record: PromotionRecord | None,
        earlier: tuple[PromotionRecord | None, ...],
    ) -> Ask:
        """Returns what is asked for in a cell.

        Args:
            asker: Of HEAD.
            key: The cell.
            record: Its promotion record.
            earlier: Those of the environments before it, in order of the path.
        """
        admitted = record.admitted.id if record and record.admitted else None
        rests_on = (admitted, *(_proven(r) for r in (record, *earlier)))
        kept = self._kept.get(key)
        if kept is not None and kept[0] == rests_on and not _may_pass(kept[1]):
            return kept[1]
        ask = with_ahead(asker.ask(*key, record, earlier), asker, key, record, earlier)
        self._kept[key] = (rests_on, ask)
        return ask


def _proven(record: PromotionRecord | None) -> object:
    """Returns the part of a record that a pin's meaning rests on."""
    if record is None:
        return None
    return record.passed, tuple((p.revision.id, p.opens_gates) for p in record.proofs)


def _may_pass(ask: Ask) -> bool:
    """Whether an Ask failed for a reason that may be gone by itself."""
    is_unread = ask.ahead is None and ask.promote is not Promotion.MANUAL
    return is_unread or ask.reason in (
        Reason.SOURCE_UNKNOWN,
        Reason.RENDER_FAILED,
        Reason.RENDERING,
    )
