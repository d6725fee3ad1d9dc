"""Two daemons on one home: one acts, the other stands by and takes over, and the audit logs never show two."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.audit import received_at
from tests.cluster.fleet import Fleet, fleet, holds_for
from tests.conftest import CRASHES_IN_STAGING
from tests.controlplane.cluster import DAEMON, STANDBY, ControlPlane
from tests.system.daemon import DaemonProcess
from tests.system.envrepo import CLUSTERS, digest

GOOD, NEXT, BAD = "1.0.0", "1.1.0", "1.2.0"
QUIET_S = 3.0
LEASE = {"duration_s": 10, "renew_deadline_s": 8, "retry_s": 0.5}


@pytest.fixture
def proven(planes: dict[str, ControlPlane], tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose daemon keeps its lease on a machine that does much else, too."""
    with fleet(planes, tmp_path, settings={"lease": LEASE}) as made:
        made.start_with(GOOD)
        yield made


def test_a_standby_takes_over_from_a_daemon_that_is_killed_and_there_are_never_two(
    proven: Fleet, tmp_path: Path
) -> None:
    first, second = proven.daemon, proven.another_daemon(tmp_path / "second", STANDBY)
    with second:
        second.until(lambda: stands_by(second, first), "it stands by")
        proven.merge(proven.pins(NEXT), "release 1.1.0")
        first.until(lambda: proven.image("staging-1") == digest(NEXT), "it is on its way")
        assert moves(proven, STANDBY) == []
        first.kill()
        second.until(lambda: proven.is_proven("prod", NEXT), "the other has finished it")
        of_first, of_second = moves(proven, DAEMON), moves(proven, STANDBY)
        assert max(map(received_at, of_first)) < min(map(received_at, of_second))
        assert max(epochs(of_first)) < min(epochs(of_second))

        first.start()
        first.until(lambda: stands_by(first, second), "it stands by now")
        proven.merge(proven.pins(BAD, marker=CRASHES_IN_STAGING), "release 1.2.0")
        second.until(proven.reverts, "the revert is on the branch")
        second.until(lambda: proven.runs("staging-1", digest(NEXT)), "staging is back")
        holds_for(QUIET_S, lambda: len(proven.reverts()) == 1)
        assert moves(proven, DAEMON) == of_first


def moves(fleet: Fleet, user: str) -> list[dict[str, Any]]:
    """Returns what a daemon wrote; what was accepted of Git is everybody's to write down."""
    every = [entry for cluster in CLUSTERS for entry in fleet.writes(cluster, user)]
    return [entry for entry in every if entry["objectRef"].get("name") != "reconciler-head"]


def stands_by(one: DaemonProcess, other: DaemonProcess) -> bool:
    """Whether a daemon has looked at the fleet, and says that the other one leads."""
    status = one.status()
    told = rf"NotLeading: \S+-{other.pid}-\w+ leads"
    return bool(status["cells"]) and re.fullmatch(told, status["halted"] or "") is not None


def epochs(entries: Iterable[dict[str, Any]]) -> set[int]:
    """Returns the terms in which records were written."""
    return {
        entry["requestObject"]["spec"]["epoch"]
        for entry in entries
        if entry["objectRef"]["resource"] in ("promotionrecords", "servicerecords")
    }
