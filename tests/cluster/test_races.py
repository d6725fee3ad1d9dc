"""The races of a push on real clusters, ten rounds each over http and over ssh."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.fleet import Fleet, fleet
from tests.controlplane.cluster import ControlPlane
from tests.system.envrepo import policy
from tests.system.races import Races, both_ways, one_way

pytestmark = [
    pytest.mark.git_server,
    pytest.mark.slow,
    # Each test is some ten releases that fail, and as many that take their place.
    pytest.mark.timeout(900),
]

GOOD = "1.0.0"
ROUNDS = int(os.environ.get("RECONCILER_TEST_ROUNDS", "0"))
"""`make races` plays five, so that every race is run ten times over each way, with each kind of other push; else each
race is played over one way, and over the other on simulated clusters."""

QUICK = policy(soak_s=0.3)


@pytest.fixture
def on(
    planes: dict[str, ControlPlane], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Fleet]:
    """An installation whose first release is proven everywhere."""
    with fleet(planes, tmp_path, way=request.param) as made:
        made.start_with(GOOD, QUICK, replicas=1)
        yield made


@pytest.mark.parametrize(
    ("on", "race"), both_ways() if ROUNDS else one_way(real=True), indirect=["on"]
)
def test_a_push_that_is_raced_ends_as_it_should(on: Fleet, race: Callable[[Races], None]) -> None:
    races = Races(on, GOOD)
    for _ in range(ROUNDS or 1):
        race(races)
    races.check_all()
