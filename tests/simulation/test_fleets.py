"""Whole fleets from seeds: what always holds is never broken, all comes to rest, and a seed replays exactly.

`SIM_FLEETS` says how many seeds are played here; `make sim RUNS=n` plays many on all cores.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.fleet.play import play
from tests.simulation.fleet.script import FAULTS, FAULTS_MIN, TURNS, written

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(1, 1 + int(os.environ.get("SIM_FLEETS", "3")))
DIGEST = "from tests.simulation.fleet.play import play\nfrom tests.simulation.fleet.script import written\n"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fleet_keeps_what_always_holds_and_comes_to_rest(seed: int) -> None:
    played = play(written(seed))
    assert played.broken == ()
    assert played.turns >= TURNS and played.faults >= FAULTS_MIN
    assert played.table["", "Prove"] > 0


def test_a_seed_gives_the_same_trace_in_any_process() -> None:
    code = f"{DIGEST}print(play(written(2)).digest)"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashes in ("1", "2")
    }
    assert digests == {f"{play(written(2)).digest}\n"}


@pytest.mark.parametrize("seed", range(200))
def test_a_seed_writes_a_fleet_of_the_promised_size(seed: int) -> None:
    script = written(seed)
    assert script == written(seed)
    assert 3 <= len(script.fleet.environments) <= 6
    assert 5 <= len(script.fleet.clusters()) <= 12
    assert len(script.fleet.services) >= 4
    assert len(script.steps) >= TURNS
    assert sum(event.kind in FAULTS for event in script.events) >= FAULTS_MIN
