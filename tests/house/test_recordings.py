"""The kubelet's recordings are of the Pods, and of the answers, that they would be made anew from; no Go is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.recording import RECORDINGS, SOURCE, rows

BY_A_SCHEDULER = "unschedulable"


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["Name"])
def test_a_recording_is_of_what_would_be_recorded(row: dict[str, Any]) -> None:
    kept = json.loads((RECORDINGS / f"{row['Name']}.json").read_text())
    assert (kept["source"], kept["pod"]) == (SOURCE, row["Pod"])
    assert len(kept["statuses"]) == len(row["Steps"]) + row["IsEnded"]


def test_every_recording_can_be_made_anew() -> None:
    names = {Path(file).stem for file in RECORDINGS.glob("*.json")}
    assert names == {row["Name"] for row in rows()} | {BY_A_SCHEDULER}
