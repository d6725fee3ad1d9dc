"""Which clusters change together, for each way in which a policy may ask for it."""

from __future__ import annotations

import pytest

from reconciler.model.fleet import Cluster, ClusterState, Operator, Requirement
from reconciler.model.names import ClusterName, EnvironmentName
from reconciler.model.waves import Growing, Labelled, Named, OneByOne, Wave, worked_out

CANARY = Labelled((Requirement("canary", Operator.EXISTS),))


def clusters(count: int, *canaries: int) -> list[Cluster]:
    """Returns clusters c1, c2, …, of which some are canaries."""
    return [
        Cluster(
            ClusterName(f"c{number}"),
            EnvironmentName("prod"),
            (("canary", "yes"),) if number in canaries else (),
            ClusterState.ACTIVE,
        )
        for number in range(1, count + 1)
    ]


def share(percent: int) -> Growing:
    return Growing(percent, is_share=True)


def count(number: int) -> Growing:
    return Growing(number, is_share=False)


def names(*numbers: int) -> Named:
    return Named(tuple(ClusterName(f"c{number}") for number in numbers))


@pytest.mark.parametrize(
    ("waves", "expected"),
    [
        pytest.param([share(100)], ["c1 c2 c3 c4 c5"], id="all"),
        pytest.param([OneByOne()], ["c1", "c2", "c3", "c4", "c5"], id="each"),
        pytest.param([names(3), names(1, 2), names(5, 4)], ["c3", "c1 c2", "c5 c4"], id="names"),
        pytest.param([count(1), share(50), share(100)], ["c1", "c2 c3", "c4 c5"], id="growing"),
        pytest.param([share(1), share(10), share(100)], ["c1", "c2 c3 c4 c5"], id="rounded up"),
        pytest.param([count(9)], ["c1 c2 c3 c4 c5"], id="more than there are"),
        pytest.param([share(60), share(40), OneByOne()], ["c1 c2 c3", "c4", "c5"], id="shrinking"),
        pytest.param([CANARY, OneByOne()], ["c4 c5", "c1", "c2", "c3"], id="by labels first"),
        pytest.param(
            [CANARY, share(60), share(100)], ["c4 c5", "c1", "c2 c3"], id="canaries count"
        ),
        pytest.param([names(1), CANARY], ["c1", "c4 c5"], id="some in no wave"),
        pytest.param([names(7), share(100)], ["c1 c2 c3 c4 c5"], id="a name that is not there"),
    ],
)
def test_the_clusters_of_each_wave(waves: list[Wave], expected: list[str]) -> None:
    assert [" ".join(wave) for wave in worked_out(waves, clusters(5, 4, 5))] == expected


def test_ten_percent_of_two_hundred_are_twenty() -> None:
    waves = worked_out([count(1), share(10), share(50), share(100)], clusters(200))
    assert [len(wave) for wave in waves] == [1, 19, 80, 100]


def test_where_a_service_goes_nowhere_there_is_no_wave() -> None:
    assert worked_out([count(1), CANARY, OneByOne()], []) == ()
