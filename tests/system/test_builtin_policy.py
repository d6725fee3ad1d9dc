"""A service of a fleet without policies of its own goes by the one that is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.documents import check
from tests.system.envrepo import digest, env_repo
from tests.system.served import cli
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("builtin-policy")]

GOOD = "1.0.0"
SOAK_S = 60
"""What policies/line.yaml says of dev."""


def files(made: Simulated) -> dict[str, bytes]:
    """Returns an env repo whose one service names the shipped policy, and that has no other."""
    every = {**env_repo([SERVICE], SERVICE), **made.pins(GOOD)}
    every.pop("policies/line.yaml")
    path = f"services/{SERVICE}/service.yaml"
    text = (every[path] or b"").replace(b"policy: line", b"policy: builtin:line")
    return {**{name: octets for name, octets in every.items() if octets}, path: text}


def test_a_shipped_policy_is_valid_by_its_name_and_goes_by_its_rules(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        for name, octets in files(made).items():
            file = tmp_path / "clone" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(octets)
        told = cli("validate", str(tmp_path / "clone"), "-o", "json")
        check("validate", told.document)
        assert (told.code, told.document["ok"]) == (0, True), told.document

        made.merge(files(made))
        made.daemon.start()
        made.daemon.until(lambda: made.image("dev-1") == digest(GOOD), "dev has it")
        made.daemon.until(
            lambda: SOAK_S - 30 < _soak_left_s(made) <= SOAK_S, "dev soaks as it says"
        )
        # Each cluster is read in its own time.
        made.daemon.until(
            lambda: (made.daemon.cell(SERVICE, "staging") or {}).get("reason") == "WaitingForProof",
            "staging waits for the proof",
        )
        assert made.image("staging-1") is None


def _soak_left_s(made: Simulated) -> float:
    cell = made.daemon.cell(SERVICE, "dev")
    return float(cell["soak_left_s"] or 0) if cell else 0
