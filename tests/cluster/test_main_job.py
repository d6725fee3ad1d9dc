"""The main job on real clusters: in order, proven, and out again when it is bad.

The clock and the order are the API servers' own: what is checked is their audit logs, not our word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cluster.audit import proven_at, put_back_at, rejected_at, written
from tests.cluster.fleet import Fleet, fleet, holds_for
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
    before = {c: made.writes(c) for c in CLUSTERS}
    made.merge(made.pins(NEXT), "release 1.1.0")
    made.wait_proven("prod", NEXT)
    assert all(made.runs(cluster, digest(NEXT)) for cluster in CLUSTERS)
    since = {c: made.writes(c)[len(before[c]) :] for c in CLUSTERS}
    for version, writes in ((GOOD, before), (NEXT, since)):
        dev, staging, prod_1, prod_2 = (written(made, writes[c]) for c in CLUSTERS)
        proofs = {e: proven_at(made, e, version) for e in ("dev", "staging", "prod")}
        in_order = [
            *(*dev, proofs["dev"], *staging, proofs["staging"]),
            *(*prod_1, *prod_2, proofs["prod"]),
        ]
        assert in_order == sorted(in_order), version
        for (_, began), soaked in (
            (dev, proofs["dev"]),
            (staging, proofs["staging"]),
            (prod_1, prod_2[0]),
            (prod_2, proofs["prod"]),
        ):
            assert soaked - began >= timedelta(seconds=SOAK_S), (version, began, soaked)


def test_a_bad_release_goes_back_and_out_of_git(proven: Fleet) -> None:
    bad, good = digest(BAD, marker=CRASHES_IN_STAGING), digest(GOOD)
    merged = proven.merge(proven.pins(BAD, marker=CRASHES_IN_STAGING), "release 1.2.0")
    proven.daemon.until(proven.reverts, "the revert is on the branch")
    proven.daemon.until(lambda: proven.runs("staging-1", good), "staging is back")
    assert proven.runs("dev-1", bad)
    holds_for(3, lambda: len(proven.reverts()) == 1)
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
