"""The one frozen event that feeds the log line, the metric, the page and the demo's report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.release import Revision


class EventKind(StrEnum):
    """What may happen; each has its heading in docs/events.md."""

    ADOPTED = "Adopted"
    ADMITTED = "Admitted"
    APPLIED = "Applied"
    APPLY_FAILED = "ApplyFailed"
    HEALTHY = "Healthy"
    FAILED = "Failed"
    PROVEN = "Proven"
    REJECTED = "Rejected"
    ROLLED_BACK = "RolledBack"
    REVERT_PUSHED = "RevertPushed"
    REVERT_REFUSED = "RevertRefused"
    PIN_MOVED = "PinMoved"
    PIN_ASKED = "PinAsked"
    HELD = "Held"
    DRIFT_SEEN = "DriftSeen"
    DRIFT_CORRECTED = "DriftCorrected"
    PRUNED = "Pruned"
    PRUNE_HELD = "PruneHeld"
    CLUSTER_REACHABLE = "ClusterReachable"
    CLUSTER_UNREACHABLE = "ClusterUnreachable"
    FETCHED = "Fetched"
    FETCH_FAILED = "FetchFailed"
    HEAD_REFUSED = "HeadRefused"
    LEADING = "Leading"
    LEADING_LOST = "LeadingLost"


PAGE = ("page", "true")
"""A detail of what waiting will not help."""

WARNINGS = frozenset(
    {
        EventKind.APPLY_FAILED,
        EventKind.CLUSTER_UNREACHABLE,
        EventKind.DRIFT_SEEN,
        EventKind.FAILED,
        EventKind.FETCH_FAILED,
        EventKind.HEAD_REFUSED,
        EventKind.LEADING_LOST,
        EventKind.PRUNE_HELD,
        EventKind.REJECTED,
        EventKind.REVERT_REFUSED,
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, for people; nothing is decided from it.

    Attributes:
        at: Wall time, UTC.
        seconds: How long it took, where that means anything.
        detail: More keys for the log line; holds no Secret's value.
    """

    at: datetime
    kind: EventKind
    reason: str = ""
    message: str = ""
    service: ServiceName | None = None
    environment: EnvironmentName | None = None
    cluster: ClusterName | None = None
    revision: Revision | None = None
    seconds: float | None = None
    detail: tuple[tuple[str, str], ...] = ()

    @property
    def is_warning(self) -> bool:
        """Whether a person should look at it some time."""
        return self.kind in WARNINGS or PAGE in self.detail
