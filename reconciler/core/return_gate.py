"""The gate of what cannot come back: the policy refuses it, asks for a person's word, or accepts it."""

from __future__ import annotations

from typing import assert_never

from reconciler.core import rejections
from reconciler.core.gate import closed, opened, unknown
from reconciler.core.view import CellView
from reconciler.model.actions import Gate
from reconciler.model.facts import Cell
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.release import Revision
from reconciler.model.return_trip import Irreversible, ReturnTrip

NAMED_MAX = 3
"""Of what cannot come back, as a message names it; `explain` is read in a terminal."""


def can_return(view: CellView, wanted: Revision) -> Gate:
    """What goes out can come back to what is proven here, or a person or the policy has accepted that it cannot."""
    name = "ReturnTrip"
    ask = view.cell.ask
    trip = _trip(view.cell, wanted)
    rule = ask.policy.irreversible if ask.policy is not None else Irreversible.REFUSE
    is_accepted = rule is not Irreversible.REFUSE and ask.accepted == wanted.id
    if trip is None or is_accepted:
        return opened(name)
    if trip.is_rendering:
        return unknown(name, Reason.RENDERING, trip.unknown, CHANGES[Reason.RENDERING])
    if trip.unknown:
        reason = Reason.RETURN_UNKNOWN
        return unknown(name, reason, trip.unknown, CHANGES[reason])
    if not trip.one_ways:
        return opened(name)
    message = f"{wanted.release.version} cannot come back: {_named(trip)}"
    reason = Reason.IRREVERSIBLE
    match rule:
        case Irreversible.ACCEPT:
            return opened(name)
        case Irreversible.ASK:
            ask_for = f"`reconciler approve --irreversible {view.service} {view.environment}`"
            unblock = f"{ask_for}, or a release that can come back"
            return closed(name, reason, message, unblock)
        case Irreversible.REFUSE:
            unblock = "a release that can come back; the policy says `irreversible: refuse`"
            return closed(name, reason, message, unblock)
        case _:
            assert_never(rule)


def goes_one_way(cell: Cell, wanted: Revision) -> bool:
    """Tells whether nothing leads back from an admission: by itself, or by what it takes the place of."""
    trip = _trip(cell, wanted)
    is_one_way = trip is not None and bool(trip.one_ways or trip.unknown)
    return is_one_way or rejections.is_out_for_good(cell.record)


def _trip(cell: Cell, wanted: Revision) -> ReturnTrip | None:
    """Returns the way back from a revision; None where nothing is proven that could be gone back to."""
    back = rejections.way_back(cell, wanted)
    # A tombstone has gates of its own.
    if back is None or wanted.absent:
        return None
    found = (t for t in cell.ask.trips if (t.leaving, t.back) == (wanted.id, back.id))
    why = f"whether {wanted.release.version} can come back to {back.release.version} is being worked out"
    return next(found, ReturnTrip(wanted.id, back.id, unknown=why, is_rendering=True))


def _named(trip: ReturnTrip) -> str:
    first = "; ".join(str(one) for one in trip.one_ways[:NAMED_MAX])
    rest = len(trip.one_ways) - NAMED_MAX
    return f"{first}; and {rest} more" if rest > 0 else first
