"""Environments side by side, clusters one at a time, and a proof by a quorum, on real clusters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fleet import Fleet, fleet, holds_for
from tests.conftest import CRASHES_IN_STAGING
from tests.controlplane.cluster import ControlPlane
from tests.system.envrepo import digest

GOOD, NEXT, BAD = "1.0.0", "1.1.0", "1.2.0"
QUIET_S = 3.0

ONE_AT_A_TIME = "waves: all, max_concurrent: 1"
BY_QUORUM = "waves: [[prod-1], [prod-2]], quorum: 50%, unreachable: {skip_after_s: 2}"


def policy(prod: str) -> str:
    """Returns policies/line.yaml: staging and prod each come after dev."""
    rules = "soak_s: 1, watch_for_s: 600, progress_deadline_s: 600, drift: report"
    lines = ["path: [dev, staging, prod]", "environments:"]
    lines += [f"  {name}: {{{rules}, waves: all}}" for name in ("dev", "staging")]
    lines += [f"  prod: {{{rules}, after: [dev], {prod}}}"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def forked(planes: dict[str, ControlPlane], tmp_path: Path) -> Iterator[Fleet]:
    """A fleet on which a first release is proven everywhere."""
    with fleet(planes, tmp_path) as made:
        made.start_with(GOOD, policy(ONE_AT_A_TIME))
        made.wait_proven("staging", GOOD)
        yield made


def test_environments_go_side_by_side_one_cluster_at_a_time_and_by_quorum(forked: Fleet) -> None:
    daemon, planes = forked.daemon, forked.planes
    frozen = [planes["staging-1"], planes["prod-1"]]
    for plane in frozen:
        plane.freeze_pods()
    try:
        forked.merge(forked.pins(NEXT), "release 1.1.0")
        for cluster in ("staging-1", "prod-1"):
            daemon.until(lambda c=cluster: forked.image(c) == digest(NEXT), f"{cluster} has it")  # type: ignore[misc]
        holds_for(QUIET_S, lambda: forked.image("prod-2") == digest(GOOD))
        frozen.pop().thaw_pods()
        forked.wait_proven("prod", NEXT)
        assert not forked.is_proven("staging", NEXT)
    finally:
        for plane in frozen:
            plane.thaw_pods()
    forked.wait_proven("staging", NEXT)

    bad = digest(BAD, marker=CRASHES_IN_STAGING)
    planes["prod-2"].stop_server()
    try:
        pins = forked.pins(BAD, marker=CRASHES_IN_STAGING)
        forked.merge({**pins, "policies/line.yaml": policy(BY_QUORUM).encode()}, "release 1.2.0")
        forked.wait_proven("prod", BAD)
        daemon.until(forked.reverts, "the revert is on the branch")
    finally:
        planes["prod-2"].start_server()
    (revert,) = forked.reverts()
    assert revert.trailers["Environments"] == "staging"
    daemon.until(lambda: forked.runs("prod-2", bad), "prod-2 has caught up")
    assert forked.runs("prod-1", bad) and forked.runs("staging-1", digest(NEXT))
