"""The main job on real clusters: in order, proven, and out again when it is bad.

The clock and the order are the API servers' own: what is checked is their audit logs, not our word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fleet import Fleet, fleet
from tests.conftest import CRASHES_IN_STAGING
from tests.controlplane.cluster import ControlPlane
from tests.gitservers.served import Way
from tests.system import envrepo
from tests.system.envrepo import CLUSTERS, digest

GOOD, NEXT, BAD = "1.0.0", "1.1.0", "1.2.0"

SOAK_S = 2.0
"""A wave that waits for nothing comes a third of a second after the one before: it would be seen."""


@pytest.fixture(params=[Way.HTTP, Way.SSH])
def made(
    planes: dict[str, ControlPlane], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Fleet]:
    """A fleet whose daemon is not started, its env repo served over http and ssh."""
    with fleet(planes, tmp_path, way=request.param) as it:
        yield it


@pytest.fixture
def proven(made: Fleet) -> Fleet:
    """A fleet on which a first release is proven everywhere."""
    made.start_with(GOOD)
    return made


def test_a_pin_reaches_every_cluster_in_order_with_a_soak_between(made: Fleet) -> None:
    made.start_with(GOOD, envrepo.policy(soak_s=SOAK_S))
    made.merge(made.pins(NEXT), "release 1.1.0")
    made.wait_proven("prod", NEXT)
    assert all(made.runs(cluster, digest(NEXT)) for cluster in CLUSTERS)
    for version in (GOOD, NEXT):
        dev, staging, prod_1, prod_2 = (first_write(made, c, version) for c in CLUSTERS)
        proofs = {e: proven_at(made, e, version) for e in ("dev", "staging", "prod")}
        assert dev < proofs["dev"] < staging < proofs["staging"] < prod_1 < prod_2 < proofs["prod"]
        for began, soaked in (
            (dev, proofs["dev"]),
            (staging, proofs["staging"]),
            (prod_1, prod_2),
            (prod_2, proofs["prod"]),
        ):
            assert soaked - began >= timedelta(seconds=SOAK_S), (version, began, soaked)


def test_a_bad_release_goes_back_and_out_of_git(proven: Fleet) -> None:
    bad, good = digest(BAD, marker=CRASHES_IN_STAGING), digest(GOOD)
    merged = proven.merge(proven.pins(BAD, marker=CRASHES_IN_STAGING), "release 1.2.0")
    proven.daemon.until(proven.reverts, "the revert is on the branch")
    proven.daemon.until(lambda: proven.runs("staging-1", good), "staging is back")
    assert proven.runs("dev-1", bad)
    (revert,) = proven.reverts()
    trailers = revert.trailers
    assert trailers["Action"] == "revert"
    assert trailers["Environments"] == "staging, prod"
    assert trailers["Commit"] == merged
    assert trailers["Reason"] == "CrashLoopBackOff"
    assert "exit code 1" in trailers["Evidence"]
    repository = proven.served.repository
    assert bad in repository.read(f"environments/dev/{proven.service}.yaml")
    for environment in ("staging", "prod"):
        pin = repository.read(f"environments/{environment}/{proven.service}.yaml")
        assert good in pin and pin.startswith("# who:") and "# the tag" in pin
    assert "CrashLoopBackOff" in repository.read(f"quarantine/{proven.service}.yaml")
    for cluster in ("prod-1", "prod-2"):
        assert bad not in json.dumps(proven.writes(cluster))
    assert rejected_at(proven, "staging", BAD) < put_back_at(proven, "staging-1", bad, good)


def first_write(fleet: Fleet, cluster: str, version: str) -> datetime:
    """Returns when a version's Deployment was first written to a cluster."""
    for entry in fleet.writes(cluster):
        is_deployment = entry["objectRef"]["resource"] == "deployments"
        if is_deployment and digest(version) in json.dumps(entry.get("requestObject")):
            return received_at(entry)
    raise AssertionError(f"{version} was never written to {cluster}")


def proven_at(fleet: Fleet, environment: str, version: str) -> datetime:
    """Returns when the proof of a version in an environment was first written to the home."""
    for entry in fleet.writes("dev-1"):
        if entry["objectRef"]["resource"] != "promotionrecords":
            continue
        written: dict[str, Any] = entry.get("requestObject") or {}
        spec = written.get("spec") or {}
        proofs = spec.get("proofs") or []
        if spec.get("environment") == environment and any(
            p["revision"]["release"]["version"] == version and p["opensGates"] for p in proofs
        ):
            return received_at(entry)
    raise AssertionError(f"{version} was never proven in {environment}")


def received_at(entry: dict[str, Any]) -> datetime:
    """Returns when an API server got a request, to the microsecond, by the clock that all of them share."""
    return datetime.fromisoformat(entry["requestReceivedTimestamp"])


def rejected_at(fleet: Fleet, environment: str, version: str) -> datetime:
    """Returns when the home had first taken a rejection of a version in an environment."""
    for entry in fleet.writes("dev-1"):
        spec = (entry.get("requestObject") or {}).get("spec") or {}
        versions = [r["revision"]["release"]["version"] for r in spec.get("rejections") or ()]
        is_taken = entry["responseStatus"]["code"] < 300
        if spec.get("environment") == environment and version in versions and is_taken:
            return datetime.fromisoformat(entry["stageTimestamp"])
    raise AssertionError(f"{version} was never rejected in {environment}")


def put_back_at(fleet: Fleet, cluster: str, bad: str, good: str) -> datetime:
    """Returns when a cluster was first asked for the good digest after the bad one."""
    had_bad = False
    for entry in fleet.writes(cluster):
        if entry["objectRef"]["resource"] != "deployments":
            continue
        asked = json.dumps(entry.get("requestObject"))
        had_bad = had_bad or bad in asked
        if had_bad and good in asked:
            return received_at(entry)
    raise AssertionError(f"{cluster} was never put back")
