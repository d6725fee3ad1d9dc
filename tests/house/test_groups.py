"""Tests of one group run in one process, since two sets of clusters for one group are two too many."""

from __future__ import annotations

import pytest

from tests.conftest import turn


@pytest.mark.xdist_group("house")
def test_a_group_is_known_to_what_spreads_the_tests(request: pytest.FixtureRequest) -> None:
    spreads = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@house") == bool(spreads)


def test_the_longest_begin_and_the_quickest_end(request: pytest.FixtureRequest) -> None:
    turns = [turn(item) for item in request.session.items]
    assert turns == sorted(turns)
