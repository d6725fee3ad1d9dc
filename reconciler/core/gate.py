"""One gate: open, closed, or unknown."""

from __future__ import annotations

from reconciler.model.actions import Gate, GateState
from reconciler.model.reasons import CHANGES, Reason
from reconciler.model.records import belongs_to


def opened(name: str) -> Gate:
    """Returns the gate that lets through."""
    return Gate(name, GateState.OPEN, Reason.OPEN, "")


def closed(name: str, reason: Reason, message: str, unblock: str) -> Gate:
    """Returns the gate that holds, and what would change it."""
    return Gate(name, GateState.CLOSED, reason, message, unblock)


def unknown(name: str, reason: Reason, message: str, unblock: str) -> Gate:
    """Returns the gate of which nobody knows; it holds as a closed one does."""
    return Gate(name, GateState.UNKNOWN, reason, message, unblock)


def anothers(name: str, other: str, what: str) -> Gate:
    """Returns the gate of a record that another installation has written."""
    reason = Reason.OTHER_INSTALLATION
    return unknown(name, reason, belongs_to(other, what=what), CHANGES[reason])
