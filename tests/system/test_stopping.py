"""A daemon that is asked to stop: it ends in time, and leaves the next one nothing to wait for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.schema.records import read_service_record
from reconciler.simulated.faults import Hang
from tests.cluster.fleet import holds_for
from tests.system.documents import check
from tests.system.envrepo import env_repo, policy
from tests.system.installation import HOME
from tests.system.races import Other, Point, Races
from tests.system.served import ServedFleet
from tests.system.simulated import NAMESPACE, SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("stopping")]

GOOD = "1.0.0"
SOAK_S = 3_600.0
SEEN_S = 2.0
STOP_S = 20.0
"""`stop_timeout_s` as it is shipped."""

LONG_LEASE = {"duration_s": 3_600, "renew_deadline_s": 3_000, "retry_s": 0.5}
"""No test waits until one of these has run out: whoever leads next was given it."""


def start(made: Simulated) -> None:
    """Starts the daemon on a first release that soaks in dev for as long as any test runs."""
    files = env_repo([SERVICE], SERVICE, policy_text=policy(soak_s=SOAK_S))
    made.merge({**files, **made.pins(GOOD)})
    made.daemon.start()
    made.daemon.until(lambda: soaks(made), "dev soaks")


def soaks(made: Simulated) -> bool:
    cell = made.daemon.cell(SERVICE, "dev")
    return cell is not None and cell["phase"] == "Soaking"


def holder(made: Simulated) -> str:
    """Returns who leads by the Lease in the home; nobody where it is free."""
    lease = _in_the_home(made, "coordination.k8s.io/v1", "Lease", "reconciler")
    return str(lease["spec"]["holderIdentity"])


def record(made: Simulated) -> ServiceRecord:
    """Returns dev's ServiceRecord."""
    found = _in_the_home(made, "reconciler.dev/v1alpha1", "ServiceRecord", f"{SERVICE}.dev")
    return read_service_record(found)


def _in_the_home(made: Simulated, api_version: str, kind: str, name: str) -> KubeObject:
    found = made.clusters[HOME].client().get(ObjectRef(api_version, kind, NAMESPACE, name))
    assert found is not None
    return found


def stop(made: Simulated, by: signal.Signals = signal.SIGTERM) -> float:
    """Asks the daemon to end; returns the seconds that it took."""
    began_s = time.monotonic()
    assert made.daemon.stop(by) == 0
    return time.monotonic() - began_s


def test_a_stop_saves_the_soak_and_frees_the_lease_and_the_next_daemon_goes_on(
    tmp_path: Path,
) -> None:
    with simulated(tmp_path, settings={"lease": LONG_LEASE}) as made:
        start(made)
        holds_for(SEEN_S, lambda: soaks(made))
        first = holder(made)
        assert first and record(made).healthy_s == 0, "it is written at transitions alone"
        assert stop(made) < STOP_S
        assert holder(made) == ""
        assert record(made).healthy_s >= SEEN_S

        made.daemon.start()
        made.daemon.until(lambda: holder(made) not in ("", first), "another daemon leads")
        made.daemon.until(
            lambda: soaks(made) and _soak_left_s(made) <= SOAK_S - SEEN_S, "it soaks on"
        )
        # A person's Ctrl-C is as good.
        saved_s = record(made).healthy_s
        assert stop(made, signal.SIGINT) < STOP_S
        assert holder(made) == ""
        assert record(made).healthy_s > saved_s


def test_who_asks_for_a_document_gets_one_when_the_daemon_is_stopped() -> None:
    command = [sys.executable, "-m", "reconciler", "run", "--mode", "enforce", "-o", "json"]
    listen = ["--listen", "127.0.0.1:0", "--probes-listen", "127.0.0.1:0"]
    with (
        ServedFleet() as fleet,
        subprocess.Popen(
            [*command, *listen],
            env={**os.environ, **fleet.variables()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as running,
    ):
        assert running.stderr is not None
        told = next(line for line in running.stderr if '"Leading"' in line or "error" in line)
        running.send_signal(signal.SIGTERM)
        out, _ = running.communicate(timeout=60)
    assert '"Leading"' in told
    assert running.returncode == 0
    document = json.loads(out)
    check("run", document)
    assert (document["schema"], document["mode"]) == ("reconciler.status/v1", "enforce")


def test_a_stop_does_not_wait_for_an_answer_that_never_comes(tmp_path: Path) -> None:
    asked, settings = threading.Event(), {"stop_timeout_s": 1, "request_timeout_s": STOP_S + 10}

    def hang(verb: str, steps: list[str]) -> None:
        if verb == "get" and steps[-2:] == ["namespaces", NAMESPACE]:
            asked.set()
            raise Hang

    with simulated(tmp_path, settings=settings) as made:
        start(made)
        made.faults["staging-1"].rules.append(hang)
        made.daemon.until(asked.is_set, "a question hangs")
        assert stop(made) < STOP_S
        (told,) = made.daemon.logged("stop-incomplete")
        assert told["tasks"] == ["pulse staging-1"]
        assert holder(made) == ""
        assert record(made).healthy_s > 0


def test_a_stop_does_not_wait_for_a_push_that_is_held_and_the_next_start_puts_it_right(
    tmp_path: Path,
) -> None:
    with simulated(tmp_path, settings={"stop_timeout_s": 1}) as made:
        made.daemon.settings["repo"]["timeout_s"] = SOAK_S
        made.start_with(GOOD, policy(soak_s=0.3))
        races = Races(made, GOOD)
        for point in (Point.DURING_ACCEPTED, Point.DURING_REFUSED):
            races.killed(point, Other.LEAVES, by=signal.SIGTERM)
        # On a busy machine a fetch may be under way as well.
        stops = made.daemon.logged("stop-incomplete")
        assert ["revert" in told["tasks"] for told in stops] == [True] * 2
        races.check_all()


def _soak_left_s(made: Simulated) -> float:
    cell: dict[str, Any] | None = made.daemon.cell(SERVICE, "dev")
    assert cell is not None
    # Not known before it leads.
    return SOAK_S if cell["soak_left_s"] is None else float(cell["soak_left_s"])
