"""Which files only some people may change, and which changes of them need nobody's word."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reconciler.model.env_repo import QuarantineEntry

GUARDED = ("fleet.yaml", "policies/", "quarantine/")
"""Files and folders of the env repo: where things go, by what rules, and what may not go anywhere."""


def changed(was: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the guarded paths that differ, of two commits' files: their contents by path."""
    paths = {path for path in (*was, *now) if path.startswith(GUARDED)}
    return tuple(sorted(path for path in paths if was.get(path) != now.get(path)))


def only_stops(was: Collection[QuarantineEntry], now: Collection[QuarantineEntry]) -> bool:
    """Whether a quarantine only grew: what the daemon adds by itself can stop a release, and let none in."""
    held = all(entry in now for entry in was)
    return held and all(entry.lifted is None for entry in now if entry not in was)
