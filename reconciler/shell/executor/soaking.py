"""Seconds that something was observed healthy; time when nobody looked does not count."""

from __future__ import annotations


class Soak:
    """A stopwatch that runs only while what it measures is seen healthy.

    Args:
        banked_s: What an earlier process had counted.
    """

    def __init__(self, banked_s: float = 0.0) -> None:
        self._banked_s = banked_s
        self._since_s: float | None = None

    def healthy(self, now_s: float) -> None:
        """Notes that it is healthy now."""
        if self._since_s is None:
            self._since_s = now_s

    def stop(self, last_healthy_s: float) -> None:
        """Notes that it was last seen healthy at some moment; what was counted until then stays."""
        if self._since_s is not None:
            self._banked_s += max(0.0, last_healthy_s - self._since_s)
            self._since_s = None

    def total_s(self, now_s: float) -> float:
        """Returns the seconds counted so far."""
        running = 0.0 if self._since_s is None else max(0.0, now_s - self._since_s)
        return self._banked_s + running
