"""What does not answer delays only what waits for it, and nobody mistakes it for a bad release."""

from __future__ import annotations

import shutil

import pytest

from reconciler.core.health.pods import RESTARTS_MIN
from tests.cluster.fleet import Fleet, holds_for
from tests.conftest import CRASHES_IN_STAGING
from tests.gitservers.hooks import HangUp
from tests.gitservers.served import Way
from tests.system.envrepo import digest

GOOD, NEXT, BAD = "1.0.0", "1.1.0", "1.2.0"
QUIET_S = 5.0


def test_a_cluster_that_refuses_connections_holds_only_its_own_wave(proven: Fleet) -> None:
    daemon, plane = proven.daemon, proven.planes["prod-2"]
    plane.stop_server()
    try:
        daemon.until(
            lambda: daemon.metric("reconciler_cluster_reachable", cluster="prod-2") == 0,
            "the metric says that it does not answer",
        )
        proven.merge(proven.pins(NEXT), "release 1.1.0")
        for cluster in ("dev-1", "staging-1", "prod-1"):
            daemon.until(lambda c=cluster: proven.runs(c, digest(NEXT)), f"{cluster} has it")  # type: ignore[misc]
        daemon.until(
            lambda: daemon.reason(proven.service, "prod") == "ClusterUnreachable",
            "status says why prod waits",
        )
        cell = daemon.cell(proven.service, "prod")
        assert cell is not None
        reachable = {c["name"]: c["reachable"] for c in cell["clusters"]}
        assert reachable == {"prod-1": True, "prod-2": False}
        holds_for(QUIET_S, lambda: proven.reverts() == [])
        assert all((r := proven.record(e)) and not r.rejections for e in ("dev", "staging", "prod"))
    finally:
        plane.start_server()
    daemon.until(lambda: proven.runs("prod-2", digest(NEXT)), "it has caught up")
    proven.wait_proven("prod", NEXT)


def test_a_cluster_that_hangs_holds_only_its_own_wave(proven: Fleet) -> None:
    plane = proven.planes["prod-2"]
    plane.freeze_server()
    try:
        proven.merge(proven.pins(NEXT), "release 1.1.0")
        for cluster in ("dev-1", "staging-1", "prod-1"):
            proven.daemon.until(
                lambda c=cluster: proven.runs(c, digest(NEXT)),  # type: ignore[misc]
                f"{cluster} has it",
            )
        assert proven.reverts() == []
    finally:
        plane.thaw_server()
    proven.wait_proven("prod", NEXT)


@pytest.mark.git_server
@pytest.mark.parametrize("proven", [Way.HTTP, Way.SSH], indirect=True)
def test_without_forge_and_disk_the_clusters_go_back_and_the_revert_follows(proven: Fleet) -> None:
    daemon, staging = proven.daemon, proven.planes["staging-1"]
    bad, good = digest(BAD, marker=CRASHES_IN_STAGING), digest(GOOD)
    asked: list[str] = []

    def is_out(service: str) -> None:
        asked.append(service)
        raise HangUp

    # Its Pods are held back, so that they fail when nobody is there to see it.
    staging.freeze_pods()
    try:
        head = proven.merge(proven.pins(BAD, marker=CRASHES_IN_STAGING), "release 1.2.0")
        daemon.until(lambda: proven.image("staging-1") == bad, "the bad release is in staging")
        proven.served.before_refs(is_out)
        daemon.kill()
        shutil.rmtree(daemon.settings["state_dir"])
    finally:
        staging.thaw_pods()
    daemon.until(lambda: _restarts(proven, bad) >= RESTARTS_MIN, "the release fails")
    assert proven.image("staging-1") == bad
    assert proven.rejection("staging", BAD) is None
    assert (proven.head(), proven.reverts()) == (head, [])
    asked.clear()
    daemon.start()
    daemon.until(lambda: proven.runs("staging-1", good), "staging is back from stored objects")
    daemon.until(lambda: _is_back(proven), "the roll-back is recorded")
    daemon.until(lambda: asked, "the forge is asked, and does not answer")
    assert proven.head() == head
    assert proven.runs("dev-1", bad)
    proven.served.before_refs(None)
    daemon.until(proven.reverts, "the revert is on the branch")
    assert len(proven.reverts()) == 1
    assert bad not in str(proven.writes("prod-1")) + str(proven.writes("prod-2"))


def _restarts(fleet: Fleet, image_digest: str) -> int:
    """Returns how often the containers of an image's Pods were restarted in staging."""
    pods = fleet.planes["staging-1"].request("GET", f"/api/v1/namespaces/{fleet.name}/pods")
    statuses = [
        status
        for pod in pods["items"]
        if image_digest in str(pod["spec"]["containers"])
        for status in pod["status"].get("containerStatuses") or ()
    ]
    return max((int(status["restartCount"]) for status in statuses), default=0)


def _is_back(fleet: Fleet) -> bool:
    record = fleet.record("staging")
    return bool(record and record.rejections and record.rejections[0].rolled_back_at)
