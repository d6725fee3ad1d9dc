"""Every target that people are told of is there, makes what it needs first, and runs what it says."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.system.apt import require

ROOT = Path(__file__).resolve().parents[2]

CHECKS = ("ruff format --check .", "ruff check .", "mypy", "lint-imports")

RUNS: dict[str, tuple[str, ...]] = {
    "setup": (),
    "fmt": ("ruff format .", "ruff check --fix ."),
    "check": (*CHECKS, "tests/unit tests/property tests/house"),
    "test": ("-n 6 --dist loadgroup --no-loadscope-reorder tests",),
    "cluster-test": ("-m cluster tests",),
    "races": ("RECONCILER_TEST_ROUNDS=5", "tests/cluster/test_races.py"),
    "sim": ("tests/simulation",),
    "model": ("-m tests.model.search 1 1 1", "-m tests.model.search 1 1 2 --begun --reads"),
    "demo": ("reconciler demo",),
    "bench": ("benchmarks.main_job --out docs/benchmarks.md",),
    "docs": ("-m tests.house.generated",),
    "recordings": (
        "-m tests.controlplane.recording",
        "git diff --exit-code tests/contract/kubelet",
    ),
}
"""What each target runs once everything that it needs is there."""

INSTALLS = ("locks/dev.txt", "locks/build.txt", "-e .")
BUILDS = "tests.controlplane.building"
BUILDING = {"test", "cluster-test", "races", "bench"}


VENV = "/nowhere/.venv"


@cache
def commands(target: str, *variables: str) -> list[str]:
    """Returns what make would run for a target in a fresh clone, in order."""
    done = subprocess.run(
        [require("make", "make"), "--dry-run", f"VENV={VENV}", *variables, target],
        cwd=ROOT,
        # Whoever runs these tests by make has set what a make inside of it goes by.
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [line.removeprefix(f"{VENV}/bin/") for line in done.stdout.splitlines()]


def place(target: str, wanted: str) -> int:
    """Returns where a target runs something first."""
    found = [i for i, command in enumerate(commands(target)) if wanted in command]
    assert found, f"make {target}: {wanted}"
    return found[0]


@pytest.mark.parametrize("target", RUNS)
def test_a_target_makes_what_it_needs_and_then_runs_what_it_is_for(target: str) -> None:
    needs = [*INSTALLS, *([BUILDS] if target in BUILDING else [])]
    ready = max(place(target, need) for need in needs)
    for run in RUNS[target]:
        assert place(target, run) > ready


@pytest.mark.parametrize(
    ("asked", "run"),
    [
        ((), "--runs 20 --first 1"),
        (("RUNS=7", "FIRST=3"), "--runs 7 --first 3"),
        (("SIM_S=300", "FIRST=9"), "--seconds 300 --first 9"),
        (("SIM_SEED=5",), "SIM_SEED=5 "),
    ],
    ids=["so many", "from one on", "as many as fit", "one"],
)
def test_seeds_are_played_as_asked(asked: tuple[str, ...], run: str) -> None:
    done = commands("sim", *asked)
    assert any("tests.simulation.fleet" in line and run in line for line in done)


@pytest.mark.parametrize("target", RUNS)
def test_a_target_is_run_whatever_files_there_are(target: str) -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None and target in phony[1].split()


def test_what_python_compiles_is_kept_whatever_a_shell_says() -> None:
    shell = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "KEPT": "1"}
    told = [str(require("make", "make")), "--eval=told:; @env", "told"]
    done = subprocess.run(told, cwd=ROOT, env=shell, capture_output=True, text=True, check=True)
    variables = [line.partition("=")[0] for line in done.stdout.splitlines()]
    assert "KEPT" in variables and "PYTHONDONTWRITEBYTECODE" not in variables


def test_ci_runs_the_quick_checks_and_then_everything_and_skips_nothing() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-3:] == ["export CI=true", "make check", "make test"]
    assert "set -euo pipefail" in lines
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
