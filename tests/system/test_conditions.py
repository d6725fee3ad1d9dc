"""Conditions of a real daemon: one that never ends is ended, told, and holds nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.documents import check
from tests.system.envrepo import env_repo, pins, policy
from tests.system.served import cli
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("http-gates")]

GOOD = "1.0.0"
NUMBERS = f"[{','.join(map(str, range(21)))}]"
SUM = "+".join(["revision"] * 25)
HEAVY = f"L.map(a, L.map(b, L.map(c, ({SUM})+({SUM})+({SUM})))).size() > 0".replace("L", NUMBERS)
"""Nine thousand sums in under a thousand characters, which keep more than 256 MiB."""


def rules(expression: str) -> str:
    """Returns a policy whose prod has one condition."""
    one = f"conditions: [{{name: small, message: it is small, expression: '{expression}'}}], "
    return policy(soak_s=0.3).replace("  prod: {", f"  prod: {{{one}")


def until_held(made: Simulated, reason: str, words: str) -> None:
    def is_held() -> bool:
        cell = made.daemon.cell(SERVICE, "prod")
        return bool(cell and cell["reason"] == reason and words in cell["message"])

    made.daemon.until(is_held, f"prod is held as {reason}: {words}")


def test_a_condition_without_an_end_holds_its_own_environment_alone(tmp_path: Path) -> None:
    with simulated(tmp_path / "daemon") as made:
        repository = made.served.repository
        given = env_repo([SERVICE], SERVICE, policy_text=rules(HEAVY))
        repository.commit({**given, **pins(SERVICE, GOOD)})
        made.daemon.start()
        made.wait_proven("staging", GOOD)
        until_held(made, "ConditionUnknown", "it is small: it could not be evaluated: it takes")
        assert made.image("prod-1") is None
        config = str(made.daemon.settings_file)
        told = cli("explain", SERVICE, "prod", "--config", config, "-o", "json")
        check("explain", told.document)
        (row,) = told.document["environments"]
        (gate,) = (gate for gate in row["gates"] if gate["name"] == "Condition/small")
        assert (gate["state"], gate["reason"]) == ("unknown", "ConditionUnknown")

        repository.commit({"policies/line.yaml": rules("false").encode()})
        until_held(made, "ConditionNotMet", "it is small")
        repository.commit({"policies/line.yaml": rules("!has(values.replicas)").encode()})
        made.wait_proven("prod", GOOD)


def test_validate_names_the_line_of_a_condition_that_is_none(tmp_path: Path) -> None:
    files = {
        **env_repo([SERVICE], SERVICE, policy_text=rules("version == 1")),
        **pins(SERVICE, GOOD),
    }
    for path, octets in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(octets or b"")
    told = cli("validate", str(tmp_path), "-o", "json")
    check("validate", told.document)
    assert told.code == 1
    (fault,) = told.document["faults"]
    assert (fault["path"], fault["line"]) == ("policies/line.yaml", 5)
    assert fault["field"] == "environments.prod.conditions[0].expression"
    assert "found no matching overload for '_==_'" in fault["why"]
