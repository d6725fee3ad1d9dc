"""A push that is raced, refused, or the daemon's last: a process killed at any point of it, on real Git servers.

Each over one way here, and over the other on the real control plane: `tests/cluster/test_races.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.envrepo import policy
from tests.system.races import Races, one_way
from tests.system.simulated import Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.slow]

GOOD = "1.0.0"

QUICK = policy(soak_s=0.3)


@pytest.fixture
def on(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Simulated]:
    """An installation whose first release is proven everywhere."""
    with simulated(tmp_path, way=request.param) as made:
        made.start_with(GOOD, QUICK)
        yield made


@pytest.mark.parametrize(("on", "race"), one_way(real=False), indirect=["on"])
def test_a_push_that_is_raced_ends_as_it_should(
    on: Simulated, race: Callable[[Races], None]
) -> None:
    races = Races(on, GOOD)
    race(races)
    races.check_all()


def test_a_push_that_was_dropped_is_found_and_made_again(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        made.start_with(GOOD, QUICK)
        races = Races(made, GOOD)
        races.dropped()
        races.check_all()
