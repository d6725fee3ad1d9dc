"""A watch that has always been read whole, for what only asks whether it has."""

from __future__ import annotations


class Fresh:
    """A Watched that is never old."""

    is_fresh = True
    heard_s = 0.0
    fresh_until_s = float("inf")
