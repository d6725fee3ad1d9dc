"""What the chart holds of the code and of the policies is what `make chart` writes now."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "reconciler"


def test_what_is_made_elsewhere_is_up_to_date_in_the_chart() -> None:
    made = runpy.run_path(str(ROOT / "charts" / "generate.py"), run_name="made")["files"]()
    there = {
        str(path.relative_to(CHART)): path.read_text()
        for path in (CHART / "files").rglob("*")
        if path.is_file()
    }
    assert there == made, "run `make chart`"
