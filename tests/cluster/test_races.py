"""The races of a push on real clusters, ten rounds each over http and over ssh."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fleet import Fleet, fleet
from tests.controlplane.cluster import ControlPlane
from tests.gitservers.served import Way
from tests.system.envrepo import policy
from tests.system.races import Other, Point, Races

pytestmark = [
    pytest.mark.git_server,
    pytest.mark.slow,
    # Each test is some ten releases that fail, and as many that take their place.
    pytest.mark.timeout(900),
]

GOOD = "1.0.0"
ROUNDS = int(os.environ.get("RECONCILER_TEST_ROUNDS", "1"))
"""Of each kind of other push; `make races` plays five, so that every race is run ten times over each way."""

QUICK = policy(soak_s=0.3)


@pytest.fixture(params=[Way.HTTP, Way.SSH])
def on(
    planes: dict[str, ControlPlane], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Fleet]:
    """An installation whose first release is proven everywhere."""
    with fleet(planes, tmp_path, way=request.param) as made:
        made.start_with(GOOD, QUICK, replicas=1)
        yield made


@pytest.mark.parametrize("point", Point)
def test_a_daemon_that_is_killed_commits_once(point: Point, on: Fleet) -> None:
    races = Races(on, GOOD)
    for _ in range(ROUNDS):
        races.killed(point, Other.LEAVES)
        races.killed(point, Other.REPLACES)
    races.check_all()


def test_a_push_that_is_overtaken_is_made_on_the_new_head(on: Fleet) -> None:
    races = Races(on, GOOD)
    for _ in range(ROUNDS):
        races.overtaken(Other.LEAVES)
        races.overtaken(Other.REPLACES)
    races.check_all()


def test_a_branch_that_takes_no_push_leads_to_one_branch_for_a_person(on: Fleet) -> None:
    races = Races(on, GOOD)
    for _ in range(ROUNDS):
        races.protected(restarts=1)
        races.protected(restarts=0, point=Point.DURING_REFUSED)
    races.check_all()
