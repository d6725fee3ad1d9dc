"""Installing a package for a test starts none of its services."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.system import apt


def test_services_are_forbidden_while_a_package_is_installed_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "POLICY", tmp_path / "policy-rc.d")
    with apt.no_services():
        assert os.access(apt.POLICY, os.X_OK)
        assert subprocess.run([apt.POLICY, "prometheus", "start"], check=False).returncode == 101
    assert not apt.POLICY.exists()


def test_a_rule_that_the_machine_has_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "POLICY", tmp_path / "policy-rc.d")
    apt.POLICY.write_text("its own")
    with apt.no_services():
        pass
    assert apt.POLICY.read_text() == "its own"
