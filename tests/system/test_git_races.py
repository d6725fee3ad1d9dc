"""A push that is raced, refused, or the daemon's last: a process killed at any point of it, on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gitservers.served import Way
from tests.system.envrepo import policy
from tests.system.races import Other, Point, Races
from tests.system.simulated import Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.slow]

GOOD = "1.0.0"
ROUNDS = 1
"""On the real control plane each is played ten times; here it is the scenarios that are tried out."""

QUICK = policy(soak_s=0.3)


@pytest.fixture(params=[Way.HTTP, Way.SSH])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Simulated]:
    """An installation whose first release is proven everywhere."""
    with simulated(tmp_path, way=request.param) as made:
        made.start_with(GOOD, QUICK)
        yield made


@pytest.mark.parametrize("point", Point)
def test_a_daemon_that_is_killed_commits_once(point: Point, on: Simulated) -> None:
    races = Races(on, GOOD)
    for _ in range(ROUNDS):
        races.killed(point, Other.LEAVES)
        races.killed(point, Other.REPLACES)
    races.check_all()


def test_a_push_that_is_overtaken_is_made_on_the_new_head(on: Simulated) -> None:
    races = Races(on, GOOD)
    for _ in range(ROUNDS):
        races.overtaken(Other.LEAVES)
        races.overtaken(Other.REPLACES)
    races.check_all()


def test_a_branch_that_takes_no_push_leads_to_one_branch_for_a_person(on: Simulated) -> None:
    races = Races(on, GOOD)
    races.protected(restarts=2)
    races.protected(restarts=1, point=Point.DURING_REFUSED)
    races.check_all()


def test_a_push_that_was_dropped_is_found_and_made_again(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        made.start_with(GOOD, QUICK)
        races = Races(made, GOOD)
        races.dropped()
        races.check_all()
