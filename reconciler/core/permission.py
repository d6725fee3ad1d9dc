"""The gates that people hold: a pause, a freeze, windows of time, an approval."""

from __future__ import annotations

from dataclasses import replace

from reconciler.core import skipping, windows
from reconciler.core.gate import closed, opened, unknown
from reconciler.core.view import CellView
from reconciler.model.actions import Gate
from reconciler.model.reasons import Reason
from reconciler.model.release import Revision
from reconciler.model.skips import Skippable
from reconciler.model.times import rfc3339


def not_paused(view: CellView, _: Revision) -> Gate:
    """The pin is not paused."""
    name = "NotPaused"
    if not view.cell.ask.paused:
        return opened(name)
    pin = f"environments/{view.environment}/{view.service}.yaml"
    return closed(name, Reason.PAUSED, "the pin says `paused: true`", f"set it to false in {pin}")


def not_frozen(view: CellView, revision: Revision) -> Gate:
    """Nothing that covers the cell is frozen."""
    name = "NotFrozen"
    standing = [f for f in view.cell.ask.freezes if f.until is None or f.until > view.now]
    if not standing:
        return opened(name)
    # Who waits is told of the one that ends last: nothing moves before that.
    last = max(standing, key=lambda freeze: (freeze.until is None, freeze.until or view.now))
    ends = "until it is thawed" if last.until is None else f"until {rfc3339(last.until)}"
    message = f"{last.scope} is frozen {ends}: {last.reason}"
    unblock = f"`reconciler thaw {last.scope}`, or take it out of `freezes` in fleet.yaml"
    shut = replace(closed(name, Reason.FROZEN, message, unblock), due_at=last.until)
    return skipping.past(view, revision, shut, Skippable.FREEZE)


def in_window(view: CellView, revision: Revision) -> Gate:
    """A roll-out waits for the windows that it began with and for those of HEAD, whichever are the narrower."""
    name = "InWindow"
    record = view.cell.record
    rollout = record.rollout if record is not None else None
    own = rollout.policy if rollout is not None and rollout.revision.id == revision.id else None
    every = tuple(policy.windows for policy in (view.cell.ask.policy, own) if policy is not None)
    if all(windows.is_open(one, view.now) for one in every):
        return opened(name)
    opens = windows.opens_at(every, view.now)
    when = f"the next one opens at {rfc3339(opens)}" if opens else "no opening was found ahead"
    message, unblock = (
        f"it is outside of its windows; {when}",
        "wait, or change the policy's `windows`",
    )
    shut = replace(closed(name, Reason.OUTSIDE_WINDOW, message, unblock), due_at=opens)
    return skipping.past(view, revision, shut, Skippable.WINDOW)


def approved(view: CellView, wanted: Revision) -> Gate:
    """It is bound to the revision: whatever changes in the pin or its service is to be approved anew."""
    name = "Approved"
    reason = Reason.WAITING_FOR_APPROVAL
    policy, approval = view.cell.ask.policy, view.cell.ask.approval
    if policy is None or not policy.needs_approval:
        return opened(name)
    unblock = f"somebody else than who pinned it runs `reconciler approve {view.service} {view.environment}`"
    if approval is None:
        return closed(name, reason, f"nobody has approved {wanted.id}", unblock)
    if approval.revision != wanted.id:
        message = f"{approval.revision} is approved, and {wanted.id} is asked for"
        return closed(name, reason, message, unblock)
    if approval.asked_by is None or approval.approved_by is None:
        message = "who pinned it, or who approved it, is not known from the last commits of the pin"
        return unknown(name, reason, message, unblock)
    if approval.asked_since is not None:
        message = f"it was approved before {approval.asked_since} asked for it anew"
        return closed(name, reason, message, unblock)
    if _address(approval.asked_by) == _address(approval.approved_by):
        message = f"{approval.approved_by} has pinned it and approved it"
        return closed(name, reason, message, unblock)
    return opened(name)


def _address(author: str) -> str:
    """Returns what tells a person of `Name <address>` from another: people write their names in several ways."""
    _, _, address = author.rpartition("<")
    return address.rstrip(">").strip().casefold() or author
