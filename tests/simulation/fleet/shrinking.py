"""Makes a failing run small: what can be left out of its script while it still fails in the same way is left out."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.fleet.play import Played, play
from tests.simulation.fleet.script import Event, Script

RUNS_MAX = 120
"""Each is a whole run."""


def failing(played: Played) -> frozenset[str]:
    """Returns the names of the invariants that a run found broken."""
    return frozenset(what.partition(":")[0] for what in played.broken)


def shrunk(script: Script, runs_max: int = RUNS_MAX) -> tuple[Script, Played]:
    """Returns a script with as few events as are found to be needed, and what came of it.

    Halves, then quarters and so on are left out, as delta debugging does; turns after the failure go first.
    """
    played = play(script)
    wanted = failing(played)
    if not wanted:
        return script, played
    runs = 1
    size = max(1, len(script.events) // 2)
    while runs < runs_max:
        found = False
        for start in range(0, len(script.events), size):
            kept = _without(script.events, start, size)
            if runs >= runs_max or len(kept) == len(script.events):
                continue
            smaller = replace(script, events=kept)
            runs += 1
            came = play(smaller)
            if failing(came) & wanted:
                script, played, found = smaller, came, True
                break
        if not found and size == 1:
            break
        if not found:
            size = max(1, size // 2)
    return script, played


def _without(events: tuple[Event, ...], start: int, size: int) -> tuple[Event, ...]:
    """The first pins stay: without them there is nothing to see."""
    return tuple(e for i, e in enumerate(events) if e.turn == 0 or not start <= i < start + size)
