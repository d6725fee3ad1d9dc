"""Time as a port, so that a test or a simulation can move it."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Two readings of one clock; they are never mixed."""

    def now(self) -> datetime:
        """Returns wall time, UTC, aware; for records and people."""
        ...

    def monotonic_s(self) -> float:
        """Returns seconds that never run backwards; for soak, time limits and leases."""
        ...
