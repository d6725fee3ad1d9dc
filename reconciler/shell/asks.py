"""What HEAD asks for in each cell, resolved again only when what it rests on has changed."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.model.facts import Ask
from reconciler.model.promotion import Followed, Promotion
from reconciler.model.reasons import Reason
from reconciler.model.records import PromotionRecord
from reconciler.shell.ahead import with_ahead
from reconciler.shell.asking import Asker
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.trips import Trips


class Asks:
    """The Asks of one HEAD after the other; only the coordinator's task calls it.

    Args:
        followed: What a registry has for a cell.
    """

    def __init__(self, followed: Callable[[CellKey], Followed | None]) -> None:
        self._followed = followed
        self._trips = Trips()
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
        followed = self._followed(key)
        rests_on = (
            admitted,
            followed,
            _rejected(record),
            *(_proven(r) for r in (record, *earlier)),
        )
        kept = self._kept.get(key)
        found = kept[1] if kept is not None and kept[0] == rests_on else None
        if found is not None and not _may_pass(found, record) and not _is_unread(found):
            return found
        if found is None or _may_pass(found, record):
            found = self._trips.added(asker.ask(*key, record, earlier), asker, *key, record)
        ask = with_ahead(found, asker, key, record, earlier, followed)
        self._kept[key] = (rests_on, ask)
        return ask


def _proven(record: PromotionRecord | None) -> object:
    """Returns the part of a record that a pin's meaning rests on."""
    if record is None:
        return None
    return record.passed, tuple((p.revision.id, p.opens_gates) for p in record.proofs)


def _rejected(record: PromotionRecord | None) -> object:
    """Returns the part of a record that says where nobody goes back to."""
    if record is None:
        return None
    irreversible = record.rollout is not None and record.rollout.irreversible
    return irreversible, tuple((r.revision.id, r.rejected_at) for r in record.rejections)


def _may_pass(ask: Ask, record: PromotionRecord | None) -> bool:
    """Whether an Ask failed for a reason that may be gone by itself, or rests on a word that may count no more."""
    if any(trip.unknown for trip in ask.trips):
        return True
    if ask.skip is not None and ask.wanted is not None and ask.skip.skip.revision == ask.wanted.id:
        is_done = record is not None and record.rollout is None and record.admitted == ask.wanted
        return not is_done
    return ask.reason in (Reason.SOURCE_UNKNOWN, Reason.RENDER_FAILED, Reason.RENDERING)


def _is_unread(ask: Ask) -> bool:
    """Whether the history that says what may come next could not be read, or need not have been yet."""
    return ask.ahead is None and ask.promote is not Promotion.MANUAL
