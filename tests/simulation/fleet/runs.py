"""Many seeds at once: what they found, how often what was done under which fault, and how fast that was."""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace

from tests.simulation.fleet.coverage import table
from tests.simulation.fleet.play import Played, play
from tests.simulation.fleet.script import written
from tests.simulation.fleet.shrinking import failing, shrunk

SHOWN_MAX = 5
"""Failing seeds that are named at the end."""

SHRUNK_MAX = 2
"""Of them, those that are shrunk and told as a story: of each broken invariant the first seed, and not of all."""

SEEDS_A_PROCESS = 500
"""What a seed leaves behind in its process is kept from growing for ever."""

Summary = tuple[Played, float]


def begin() -> None:
    """Leaves what is imported out of every later search for garbage: a tenth of a seed's time goes into those."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


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


def run(seeds: Iterable[int], processes: int, limit_s: float = float("inf")) -> Total:
    """Plays seeds on so many cores, and begins none once the time is up; tells of them in their order."""
    total, until_s = Total(Counter(), []), time.monotonic() + limit_s

    def take(summary: Future[Summary]) -> None:
        played, cpu_s = summary.result()
        total.add(played, cpu_s)
        if played.broken:
            print(f"seed {played.seed}: {played.broken[0]}", flush=True)

    waiting: deque[Future[Summary]] = deque()
    with _pool(processes) as pool:
        for seed in seeds:
            if time.monotonic() >= until_s:
                break
            waiting.append(pool.submit(one, seed))
            if len(waiting) > 2 * processes:
                take(waiting.popleft())
        while waiting:
            take(waiting.popleft())
    return total


def _pool(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=begin,
        max_tasks_per_child=SEEDS_A_PROCESS,
    )


def replayed(seed: int, *, shrinks: bool = True) -> tuple[bool, list[str]]:
    """Plays one seed, shrunk if it fails; returns whether it is well, and its story."""
    script, told = written(seed), []
    played = play(script)
    if shrinks and played.broken:
        script, played = shrunk(script)
        told.append(f"seed {seed}, shrunk to {len(script.events)} events:")
        told += [f"  turn {event.turn:3} {event}" for event in script.events]
    told += map(str, played.lines)
    turns = f"{played.turns} turns, {played.faults} faults"
    told.append(f"seed {seed}: {turns}, digest {played.digest}")
    told += [f"  broken: {what}" for what in played.broken]
    return not played.broken, told


def tell_shrunk(failed: Iterable[Played], processes: int) -> None:
    """Prints the stories of some of the seeds that failed, one for each way to fail."""
    first: dict[frozenset[str], int] = {}
    for played in failed:
        first.setdefault(failing(played), played.seed)
    with _pool(processes) as pool:
        for _, told in pool.map(replayed, sorted(first.values())[:SHRUNK_MAX]):
            print("\n".join(["", *told]), flush=True)


def main() -> None:
    """The command: so many seeds, or the one of SIM_SEED with its timeline."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.fleet")
    parser.add_argument("--runs", type=int, help="how many seeds")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin none after that")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--shrink", action="store_true", help="shrink the seed of SIM_SEED")
    asked = parser.parse_args()
    if seed := os.environ.get("SIM_SEED"):
        is_well, told = replayed(int(seed), shrinks=asked.shrink)
        print("\n".join(told))
        raise SystemExit(0 if is_well else 1)
    if asked.runs is None and asked.seconds == float("inf"):
        parser.error("say --runs, or --seconds")
    began_s = time.monotonic()
    last = sys.maxsize if asked.runs is None else asked.first + asked.runs
    total = run(range(asked.first, last), asked.processes, asked.seconds)
    _tell(total, asked.first, time.monotonic() - began_s)
    if total.failed:
        tell_shrunk(total.failed, asked.processes)
        raise SystemExit(1)


def _tell(total: Total, first: int, wall_s: float) -> None:
    """Prints what came of all seeds together; only the times in it differ from run to run."""
    for line in table(total.table):
        print(line)
    seeds = max(1, total.seeds)
    print(
        f"{total.seeds} seeds from {first} on in {wall_s:.0f} s ({total.seeds / wall_s:.2f} a second, "
        f"{total.cpu_s / seeds:.2f} CPU s each), {total.turns} turns, {total.faults} faults, "
        f"{total.virtual_s / 3600:.0f} virtual hours, settled within {total.settled_s_max:.0f} s; "
        f"{len(total.failed)} failed"
    )
    if total.failed:
        failed = sorted(played.seed for played in total.failed)
        shown = ", ".join(map(str, failed[:SHOWN_MAX]))
        print(f"failing seeds: {shown}; SIM_SEED={failed[0]} replays one")
