"""Many seeds at once: what they found, how often what was done under which fault, and how fast that was."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tests.simulation.fleet.coverage import table
from tests.simulation.fleet.play import Played, play
from tests.simulation.fleet.script import written
from tests.simulation.fleet.shrinking import shrunk

SHOWN_MAX = 5
"""Failing seeds that are told of; the first is shrunk."""

Summary = tuple[Played, float]


def one(seed: int) -> Summary:
    """Plays a seed; returns what came of it, without its timeline, and the CPU seconds that it took."""
    began_s = time.process_time()
    played = play(written(seed))
    return replace(played, lines=()), time.process_time() - began_s


@dataclass(slots=True)
class Total:
    """What came of many seeds."""

    table: Counter[tuple[str, str]]
    failed: list[Played]
    seeds: int = 0
    turns: int = 0
    faults: int = 0
    cpu_s: float = 0.0
    virtual_s: float = 0.0
    settled_s_max: float = 0.0

    def add(self, played: Played, cpu_s: float) -> None:
        """Adds a run."""
        self.seeds += 1
        self.cpu_s += cpu_s
        self.turns += played.turns
        self.faults += played.faults
        self.virtual_s += played.virtual_s
        self.settled_s_max = max(self.settled_s_max, played.settled_s)
        self.table.update(played.table)
        if played.broken:
            self.failed.append(played)


def run(seeds: Iterable[int], processes: int) -> Total:
    """Plays seeds on so many cores; tells of failures as they come."""
    total = Total(Counter(), [])
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for played, cpu_s in pool.imap_unordered(one, seeds):
            total.add(played, cpu_s)
            if played.broken:
                print(f"seed {played.seed}: {played.broken[0]}", flush=True)
    return total


def replay(seed: int, *, shrinks: bool) -> int:
    """Plays one seed and prints its timeline; returns an exit code."""
    script = written(seed)
    played = play(script)
    if shrinks and played.broken:
        script, played = shrunk(script)
        print(f"seed {seed}, shrunk to {len(script.events)} events:")
        for event in script.events:
            print(f"  turn {event.turn:3} {event}")
    for line in played.lines:
        print(line)
    print(f"seed {seed}: {played.turns} turns, {played.faults} faults, digest {played.digest}")
    for what in played.broken:
        print(f"  broken: {what}")
    return 1 if played.broken else 0


def main() -> None:
    """The command: so many seeds, or the one of SIM_SEED with its timeline."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.fleet")
    parser.add_argument("--runs", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--shrink", action="store_true", help="shrink the seed of SIM_SEED")
    asked = parser.parse_args()
    if seed := os.environ.get("SIM_SEED"):
        raise SystemExit(replay(int(seed), shrinks=asked.shrink))
    began_s = time.monotonic()
    total = run(range(asked.first, asked.first + asked.runs), asked.processes)
    wall_s = time.monotonic() - began_s
    for line in table(total.table):
        print(line)
    print(
        f"{total.seeds} seeds in {wall_s:.0f} s ({total.seeds / wall_s:.2f} a second, "
        f"{total.cpu_s / total.seeds:.2f} CPU s each), {total.turns} turns, {total.faults} faults, "
        f"{total.virtual_s / 3600:.0f} virtual hours, settled within {total.settled_s_max:.0f} s; "
        f"{len(total.failed)} failed"
    )
    if total.failed:
        first = sorted(played.seed for played in total.failed)[:SHOWN_MAX]
        print(f"failing seeds: {', '.join(map(str, first))}; SIM_SEED={first[0]} replays one")
        raise SystemExit(1)
