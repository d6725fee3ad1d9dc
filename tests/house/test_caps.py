"""Files and functions stay small enough to be read whole; what is over the cap may only shrink."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

OVER: dict[str, int] = {
    "tests/contract/test_kube_api.py": 419,
    "tests/simulation/test_main_job.py": 429,
    "tests/unit/core/test_gates.py": 504,
    "tests/unit/core/test_health.py": 624,
    "tests/unit/core/test_rolling.py": 499,
    "tests/unit/core/test_settled.py": 430,
    "tests/unit/shell/test_executor.py": 432,
    "tests/unit/shell/test_reverting.py": 428,
}
"""Files over the cap when it was set, and their lines then. Take a row out, or lower it; never raise it."""


def sources() -> list[Path]:
    return sorted(
        path
        for folder in ("reconciler", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    )


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_and_its_functions_can_be_read_whole(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    lines = len(path.read_text().splitlines())
    assert lines <= OVER.get(name, FILE_LINES_MAX), f"{name} has {lines} lines: split it"
    if name.startswith("reconciler/"):
        for function, length in functions(path):
            assert length <= FUNCTION_LINES_MAX, f"{name}: {function} has {length} lines: split it"


@pytest.mark.parametrize("name", OVER)
def test_the_list_of_what_is_over_only_shrinks(name: str) -> None:
    path = ROOT / name
    assert path.exists(), f"{name} is gone: take its row out"
    lines = len(path.read_text().splitlines())
    assert lines > FILE_LINES_MAX, f"{name} is under the cap: take its row out"
    assert lines > OVER[name] - 25, f"{name} has shrunk to {lines} lines: lower its row"
