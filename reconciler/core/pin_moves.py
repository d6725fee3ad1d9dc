"""The pin that asks for the next release by itself: once that is proven before, and while nothing holds it."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import gates, rejections
from reconciler.core.view import CellView
from reconciler.model.actions import Action, CommitPin, Gate, Hold
from reconciler.model.promotion import Asked, AskedState, FollowState, Promotion
from reconciler.model.reasons import Reason
from reconciler.model.release import Revision

_REASONS = {
    AskedState.OPEN: Reason.PROMOTION_ASKED,
    AskedState.BRANCH: Reason.PROMOTION_ASKED,
    AskedState.CLOSED: Reason.PROMOTION_CLOSED,
    AskedState.FAILED: Reason.PIN_NOT_MOVED,
}


def of_the_pin(view: CellView) -> tuple[CommitPin, ...]:
    """Returns the commit that moves the pin on, if one is due.

    It stays due until the pin says so: whoever makes it finds that it is made, or that a person was asked.
    """
    ask, target = view.cell.ask, following(view)
    if target is None or ask.wanted is None or ask.commit is None or _shut(view, target):
        return ()
    version, is_first = target.release.version, not view.earlier
    return (
        CommitPin(
            service=view.service,
            environment=view.environment,
            revision=target,
            leaving=ask.wanted,
            commit=ask.commit,
            by=ask.promote,
            reason="ImagePolicy" if is_first else "ProvenBefore",
            message=f"pin {version}, which {_known(view)}",
            floats=ask.source is None,
        ),
    )


def following(view: CellView) -> Revision | None:
    """Returns what the pin is to ask for next: the newest that is not known to be bad here; None: nothing."""
    ask = view.cell.ask
    if ask.promote is Promotion.MANUAL or (ask.wanted is not None and ask.wanted.absent):
        # What is to go is brought back by a person alone.
        return None
    return next((one for one in ask.ahead or () if not _is_bad(view, one)), None)


def waits(view: CellView, moves: tuple[Action, ...]) -> tuple[Action, ...]:
    """Returns the moves of a cell, of which rest is none while its pin waits for something, or for somebody."""
    target = following(view)
    if target is None:
        return _at_rest(moves, _not_followed(view))
    shut, asked = _shut(view, target), view.cell.asked
    hold: Hold | None = None
    if shut:
        hold = _held(view, target, shut[0])
    elif asked is not None and asked.revision == target.id:
        hold = _asked(view, target, asked)
    return _at_rest(moves, hold)


def _at_rest(moves: tuple[Action, ...], hold: Hold | None) -> tuple[Action, ...]:
    if hold is None:
        return moves
    return tuple(
        hold if isinstance(move, Hold) and move.reason is Reason.SETTLED else move for move in moves
    )


def _shut(view: CellView, target: Revision) -> tuple[Gate, ...]:
    return gates.shut(gates.moving_the_pin(view, target))


def _held(view: CellView, target: Revision, gate: Gate) -> Hold:
    message = f"{target.release.version} {_known(view)}, and is not pinned: {gate.message}"
    hold = Hold(view.service, view.environment, gate.reason, message)
    return replace(hold, due_in_s=gate.due_in_s, due_at=gate.due_at)


def _asked(view: CellView, target: Revision, asked: Asked) -> Hold:
    message = f"{target.release.version} {_known(view)}: {asked.why}"
    return Hold(view.service, view.environment, _REASONS[asked.state], message)


def _is_bad(view: CellView, revision: Revision) -> bool:
    held = any(rejections.repeats(revision, entry) for entry in view.cell.ask.quarantine or ())
    return held or rejections.against(view, revision) is not None


def _not_followed(view: CellView) -> Hold | None:
    """Returns why a pin that follows a registry stays, where that is not for want of anything newer; or None."""
    ask = view.cell.ask
    if ask.followed is None or ask.followed.state is FollowState.KNOWN:
        return None
    is_unknown = ask.followed.state is FollowState.UNKNOWN
    reason = Reason.REGISTRY_UNKNOWN if is_unknown else Reason.NOTHING_TO_FOLLOW
    return Hold(view.service, view.environment, reason, ask.followed.why)


def _known(view: CellView) -> str:
    """Returns, in words, what lets a release be pinned here."""
    before = view.facts.path.just_before(view.environment)
    return f"is proven in {' and '.join(before)}" if before else "its image policy takes"
