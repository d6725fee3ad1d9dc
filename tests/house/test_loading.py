"""What a command loads before it does anything."""

from __future__ import annotations

import subprocess
import sys

LOADED = (
    "import sys, reconciler.__main__; print(*(name for name in sys.modules if 'simulated' in name))"
)

COLLECTED = """
import gc, reconciler.__main__
print(gc.isenabled(), gc.get_freeze_count() > 0)
"""


def printed(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_only_the_demo_loads_a_simulation() -> None:
    assert printed(LOADED) == []


def test_garbage_is_looked_for_in_what_comes_after_the_imports_alone() -> None:
    assert printed(COLLECTED) == ["True", "True"]
