"""Where a machine keeps no renderer off the network, its operator is told so once, and nothing else changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler.schema.shipped import shipped
from tests.install.fleet import settings_for
from tests.kernel import require_network_namespaces
from tests.system.daemon import DaemonProcess
from tests.system.served import ServedFleet, process

pytestmark = pytest.mark.xdist_group("isolation")

EVENT = "renderers-share-network"
KUSTOMIZED = "api"


@pytest.fixture
def sharing(tmp_path: Path) -> str:
    """A PATH whose `unshare` does what it does in most containers."""
    refusing = tmp_path / "refusing"
    refusing.mkdir()
    program = refusing / "unshare"
    program.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    program.chmod(0o755)
    return f"{refusing}:{os.environ['PATH']}"


def test_a_command_tells_it_on_stderr_and_keeps_its_one_document(sharing: str) -> None:
    example = str(shipped("example-repo"))
    told = process("validate", example, "-o", "json", variables={"PATH": sharing})
    assert told.code == 0 and told.document["ok"]
    (line,) = map(json.loads, told.err.splitlines())
    assert (line["event"], line["level"]) == (EVENT, "warning")
    assert "Operation not permitted" in line["error"]
    require_network_namespaces()
    assert process("validate", example, "-o", "json").err == ""


def test_a_daemon_tells_it_once_and_goes_on(sharing: str, tmp_path: Path) -> None:
    class Sharing(DaemonProcess):
        def _environment(self) -> dict[str, str]:
            return {**super()._environment(), "PATH": sharing}

    with ServedFleet() as fleet, Sharing(tmp_path / "daemon", settings_for(fleet)) as daemon:
        daemon.wait_ready()
        daemon.until(
            lambda: (daemon.cell(KUSTOMIZED, "prod") or {}).get("phase") == "Proven",
            "a kustomization is proven everywhere",
        )
        (line,) = daemon.logged(EVENT)
        assert line["level"] == "warning" and line["fix"]
