"""Every order of events on a small fleet keeps every promise; how many states that is, is held.

Another number is no fault by itself: what is planned, or what is told apart, has changed. Run
`python -m tests.model.search` with the same fleet on both sides of the change, say in the commit which
states came or went, and write the new numbers here.
"""

from __future__ import annotations

import pytest

from reconciler.model.facts import LiveState
from tests.model.search import Found, Search
from tests.model.values import Fleet, fleet


@pytest.mark.parametrize(
    ("searched", "found"),
    [
        pytest.param(
            fleet("1", "1", "2", begun=True),
            Found(1_074_261, 3_936_145, 126, 64),
            id="a release after one that is proven everywhere, and two clusters at the end",
            # 45 s of a core that is its own.
            marks=(pytest.mark.slow, pytest.mark.timeout(900)),
        ),
        pytest.param(
            fleet("1", "1", "1", crashes=0),
            Found(90_844, 250_026, 224, 72),
            id="a release that overtakes the first of all, wherever that is",
        ),
        pytest.param(
            fleet("1", "1", live=LiveState.EQUAL),
            Found(98_889, 280_816, 294, 51),
            id="a release after one that is found live",
        ),
        pytest.param(
            fleet("1", "1", begun=True, lifts=True, crashes=0),
            Found(91_832, 293_140, 80, 59),
            id="a release that a person lifts and merges again",
        ),
    ],
)
def test_every_order_keeps_every_promise(searched: Fleet, found: Found) -> None:
    search = Search(searched)
    now = search.run()
    print(f"{now}; {search.sizes()}")
    assert not now.broken, now.broken
    assert now == found, "see above how these numbers are renewed"
