"""Whether anything is still on its way, for `reconciler run --once`."""

from __future__ import annotations

from reconciler.core.judging import has_failed
from reconciler.model.actions import Action, CommitPin, Deliver, Examine, Hold
from reconciler.model.fleet import Mode
from reconciler.model.reasons import Reason
from reconciler.model.view import Planned, View
from reconciler.shell.clusters import UNASKED

AT_REST = frozenset(
    {
        Reason.SETTLED,
        # Only a person changes these, or an hour.
        Reason.ADOPTION_DIFFERS,
        Reason.FAILING_AFTER_PROOF,
        Reason.FROZEN,
        Reason.FUSE_BLOWN,
        Reason.HISTORY_REWRITTEN,
        Reason.INVALID_PIN,
        Reason.INVALID_SERVICE,
        Reason.NOTHING_PROVEN,
        Reason.NOT_SUPPORTED,
        Reason.ORPHANED,
        Reason.OTHER_INSTALLATION,
        Reason.PAUSED,
        Reason.QUARANTINED,
        Reason.QUARANTINE_UNREADABLE,
        Reason.REJECTED,
        Reason.RENDER_FAILED,
        Reason.OUTSIDE_WINDOW,
        Reason.WAITING_FOR_APPROVAL,
        Reason.WAITING_FOR_CHECKS,
        Reason.GATE_CLOSED,
        Reason.CONDITION_NOT_MET,
        Reason.NOT_CONFIGURED,
        Reason.PROMOTION_ASKED,
        Reason.PROMOTION_CLOSED,
        Reason.NOTHING_TO_FOLLOW,
        # These wait for another cell, which is looked at itself.
        Reason.FAILING_BEFORE,
        Reason.RENDER_CHANGED,
        Reason.WAITING_FOR_DEPENDENCY,
        Reason.WAITING_FOR_PROOF,
    }
)


ASKED = frozenset({Reason.PROMOTION_ASKED, Reason.PROMOTION_CLOSED})
"""A pin that a person was asked to move stays due until one has."""


def is_settled(view: View) -> bool:
    """Tells whether every cell is proven, or held by something that time alone does not change."""
    head = view.head
    if head.snapshot is None or not UNASKED.isdisjoint(view.unreachable.values()):
        return False
    is_refused = head.halted is not None or head.commit != head.snapshot.commit
    if head.error and not is_refused:
        return False
    return all(
        not planned.is_rendering and all(_is_at_rest(planned, action) for action in planned.actions)
        for planned in view.services.values()
    )


def _waits_for_a_person(planned: Planned, order: Deliver) -> bool:
    """Tells whether an order is tried again only until somebody takes away what is not ours."""
    cell = next(c for c in planned.facts.cells if c.environment == order.environment)
    member = cell.member(order.cluster)
    return member is not None and member.is_held_by_others and has_failed(member, order.revision)


def _is_at_rest(planned: Planned, action: Action) -> bool:
    if isinstance(action, Hold):
        return action.reason in AT_REST
    if isinstance(action, Examine):
        # What is held is compared again and again, and what was not compared yet is not held.
        return planned.is_held(action.environment)
    if isinstance(action, CommitPin) and planned.is_held_by(action.environment, ASKED):
        return True
    if isinstance(action, Deliver) and _waits_for_a_person(planned, action):
        return True
    # What is only observed stays where it is, once it has been looked at.
    return planned.facts.mode is Mode.OBSERVE
