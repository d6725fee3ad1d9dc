"""What docs/events.md tells a person to ask kubectl for, asked of a real API server."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.cluster.fleet import Fleet
from tests.conftest import CRASHES_IN_STAGING
from tests.contract.kube_fronts import kubectl
from tests.system.installation import HOME

PAGE = Path(__file__).resolve().parents[2] / "docs/events.md"
BAD = "1.2.0"
TOLD = {"Rejected", "RolledBack", "RevertPushed"}


def test_kubectl_shows_why_a_release_came_back(proven: Fleet) -> None:
    proven.merge(proven.pins(BAD, marker=CRASHES_IN_STAGING), "release 1.2.0")
    proven.daemon.until(proven.reverts, "the revert is on the branch")
    path = f"/api/v1/namespaces/{proven.namespace}/events"

    def reasons() -> set[str]:
        return {event["reason"] for event in proven.planes[HOME].request("GET", path)["items"]}

    proven.daemon.until(lambda: reasons() >= TOLD, "the Events are there")
    describe, warnings = _commands(proven)
    told = _ask(proven, describe)
    assert set(re.findall(r"^ +(?:Normal|Warning) +(\w+)", told, re.MULTILINE)) >= TOLD, told
    assert re.search(rf"Warning +Rejected .* {BAD}: CrashLoopBackOff: .*exit code 1", told)
    assert "Rejected" in _ask(proven, warnings)
    assert "Admitted" not in _ask(proven, warnings)


def _commands(fleet: Fleet) -> list[list[str]]:
    """Returns the page's commands, for the names of this fleet."""
    (block,) = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    told = block.replace("reconciler-system", fleet.namespace)
    return [
        shlex.split(line)
        for line in told.replace("web.prod", f"{fleet.service}.staging").splitlines()
    ]


def _ask(fleet: Fleet, command: list[str]) -> str:
    assert command[0] == "kubectl"
    return kubectl(fleet.planes[HOME].admin_kubeconfig, *command[1:])
