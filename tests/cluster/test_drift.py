"""A hand's edit of a live object: put right, only told, or left alone, as policy and people say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.times import rfc3339
from tests.cluster.fleet import Fleet, edit, fleet, holds_for
from tests.controlplane.cluster import ControlPlane
from tests.system.envrepo import policy

GOOD = "1.0.0"
QUIET_S = 4.0
"""Twice what a correction may take; long enough to see that none is made."""


@pytest.fixture
def correcting(planes: dict[str, ControlPlane], tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose policy corrects drift."""
    with fleet(planes, tmp_path) as made:
        made.start_with(GOOD, policy(drift="correct"))
        yield made


@pytest.fixture
def reporting(planes: dict[str, ControlPlane], tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose policy only reports it."""
    with fleet(planes, tmp_path) as made:
        made.start_with(GOOD, policy(drift="report"))
        yield made


def workload_writes(fleet: Fleet) -> list[dict[str, Any]]:
    """Returns the daemon's writes to the service's own objects on prod-1."""
    return [e for e in fleet.writes("prod-1") if e["objectRef"].get("namespace") == fleet.name]


def replicas(fleet: Fleet, cluster: str) -> int | None:
    found = fleet.deployment(cluster)
    return int(found["spec"]["replicas"]) if found else None


def test_an_edit_is_put_right_and_counted_with_its_field_and_manager(correcting: Fleet) -> None:
    daemon = correcting.daemon
    edit(correcting, "prod-1", {"spec": {"replicas": 5}})
    daemon.until(lambda: replicas(correcting, "prod-1") == 2, "the edit is put right")
    counted = {"cluster": "prod-1", "field": "spec.replicas", "manager": "kubectl-edit"}
    daemon.until(
        lambda: daemon.metric("reconciler_drift_corrected_total", **counted) == 1,
        "the correction is counted",
    )
    (told,) = daemon.logged("DriftCorrected", **counted)
    assert told["service"] == correcting.service and told["environment"] == "prod"
    assert correcting.reverts() == []


def test_an_object_deleted_by_hand_comes_back(correcting: Fleet) -> None:
    path = f"/api/v1/namespaces/{correcting.name}/services/{correcting.service}"
    plane = correcting.planes["staging-1"]
    plane.request("DELETE", path)
    correcting.daemon.until(lambda: plane.find(path), "the Service is there again")


def test_with_report_an_edit_is_told_and_left(reporting: Fleet) -> None:
    daemon = reporting.daemon
    before = len(workload_writes(reporting))
    edit(reporting, "prod-1", {"spec": {"replicas": 5}})
    daemon.until(
        lambda: (daemon.metric("reconciler_drift_objects", cluster="prod-1") or 0) >= 1,
        "the drift is counted",
    )
    daemon.until(lambda: daemon.logged("DriftSeen", cluster="prod-1"), "it is told")
    holds_for(QUIET_S, lambda: replicas(reporting, "prod-1") == 5)
    assert len(workload_writes(reporting)) == before


def test_a_suspended_object_is_left_alone_until_the_suspension_ends(correcting: Fleet) -> None:
    until = rfc3339((datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0))
    stopped = {
        "reconciler.dev/suspend-until": until,
        "reconciler.dev/suspend-reason": "looking at it",
    }
    edit(correcting, "prod-2", {"metadata": {"annotations": stopped}})
    edit(correcting, "prod-2", {"spec": {"replicas": 5}})
    holds_for(QUIET_S, lambda: replicas(correcting, "prod-2") == 5)
    edit(correcting, "prod-2", {"metadata": {"annotations": dict.fromkeys(stopped)}})
    correcting.daemon.until(lambda: replicas(correcting, "prod-2") == 2, "it is put right again")
