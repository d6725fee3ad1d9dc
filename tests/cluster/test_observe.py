"""`mode: observe` does everything but write, and an idle daemon writes nothing but its lease."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fleet import Fleet, edit, fleet, holds_for
from tests.controlplane.cluster import DAEMON, ControlPlane
from tests.system import envrepo
from tests.system.envrepo import CLUSTERS, digest

GOOD, NEXT = "1.0.0", "1.1.0"
QUIET_S = 8.0
MINUTE_S = 60.0


LOOKS = (
    ("status",),
    ("explain", "{service}"),
    ("history",),
    ("diff", "{service}", "prod"),
    ("render", "{service}", "dev"),
    ("validate", "HEAD"),
)


def said(made: Fleet, *words: str) -> str:
    """Returns what a command says of the daemon's fleet."""
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", *words, "--config", made.daemon.settings_file],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.fixture
def made(planes: dict[str, ControlPlane], tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose daemon is not started."""
    with fleet(planes, tmp_path) as it:
        yield it


def test_observe_writes_nothing_from_the_first_turn_on(made: Fleet) -> None:
    made.daemon.settings["mode"] = "observe"
    before = {c: len(made.planes[c].writes(DAEMON)) for c in CLUSTERS}
    made.merge({**envrepo.env_repo([made.service], made.name), **made.pins(GOOD)})
    made.daemon.start()
    made.daemon.until(lambda: made.daemon.cell(made.service, "dev"), "it has looked")
    holds_for(QUIET_S, lambda: all(made.image(c) is None for c in CLUSTERS))
    assert {c: len(made.planes[c].writes(DAEMON)) for c in CLUSTERS} == before


def test_observe_over_what_runs_sees_drift_and_new_pins_and_writes_nothing(made: Fleet) -> None:
    made.start_with(GOOD, envrepo.policy(drift="correct"))
    assert made.daemon.stop() == 0
    made.daemon.settings["mode"] = "observe"
    before = {c: len(made.planes[c].writes(DAEMON)) for c in CLUSTERS}
    made.daemon.start()
    made.daemon.until(
        lambda: (cell := made.daemon.cell(made.service, "prod")) and cell["phase"] == "Proven",
        "it knows what is proven",
    )
    edit(made, "prod-1", {"spec": {"replicas": 5}})
    made.merge(made.pins(NEXT), "release 1.1.0")
    made.daemon.until(
        lambda: (made.daemon.metric("reconciler_drift_objects", cluster="prod-1") or 0) >= 1,
        "it sees the drift",
    )
    plan = said(made, "plan")
    assert "Admit" in plan and NEXT in plan, plan
    # What only looks writes nothing anywhere, either.
    for words in LOOKS:
        assert said(made, *(word.format(service=made.service) for word in words))
    holds_for(QUIET_S, lambda: made.image("dev-1") == digest(GOOD))
    assert {c: len(made.planes[c].writes(DAEMON)) for c in CLUSTERS} == before


def test_with_nothing_to_do_for_a_minute_only_the_lease_is_written(made: Fleet) -> None:
    made.start_with(GOOD)
    made.daemon.until(
        lambda: (c := made.daemon.cell(made.service, "prod")) and c["phase"] == "Proven", "settled"
    )
    # What happened last is still to be told as an Event.
    holds_for(QUIET_S, lambda: made.daemon.is_running)
    # All of them: of every namespace and of none, and what is only tried, too.
    before = {c: len(made.planes[c].writes(DAEMON)) for c in CLUSTERS}
    holds_for(MINUTE_S, lambda: made.daemon.is_running)
    since = {c: made.planes[c].writes(DAEMON)[before[c] :] for c in CLUSTERS}
    for cluster, entries in since.items():
        others = [e["objectRef"] for e in entries if e["objectRef"]["resource"] != "leases"]
        assert others == [], cluster
    assert any(e["objectRef"]["resource"] == "leases" for e in since["dev-1"])
