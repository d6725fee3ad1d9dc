"""Tests of one group run in one process, since two sets of clusters for one group are two too many."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("house")
def test_a_group_is_known_to_what_spreads_the_tests(request: pytest.FixtureRequest) -> None:
    spreads = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@house") == bool(spreads)
