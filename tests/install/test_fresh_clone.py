"""The README's first command, in a clone in which nothing was made yet."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.install.fresh_clone import make_demo


@pytest.mark.slow
@pytest.mark.timeout(700)
@pytest.mark.xdist_group("fresh-clone")
def test_make_demo_is_all_that_a_fresh_clone_needs(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    demo = make_demo(clone)
    said = "\n".join(demo.said)
    assert "RevertPushed" in said and "Traceback" not in said
    # Of a program that ends well make says so, unless it is quicker to end by the signal itself.
    assert demo.code in (0, -signal.SIGINT)
    told = ("git", "-C", str(clone), "status", "--porcelain")
    left = subprocess.run(told, capture_output=True, text=True, timeout=60, check=True).stdout
    assert left == "", "what it makes is ignored by Git"
