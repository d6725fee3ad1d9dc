"""What a command loads before it does anything."""

from __future__ import annotations

import subprocess
import sys

LOADED = (
    "import sys, reconciler.__main__; print(*(name for name in sys.modules if 'simulated' in name))"
)


def test_only_the_demo_loads_a_simulation() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
