"""Waves of any shape, over fleets of any size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.fleet import Cluster, ClusterState, Operator, Requirement
from reconciler.model.names import ClusterName, EnvironmentName
from reconciler.model.waves import Growing, Labelled, Named, OneByOne, worked_out

NAMES = [ClusterName(f"c{number}") for number in range(12)]

clusters = st.lists(st.sampled_from(NAMES), unique=True).flatmap(
    lambda names: st.tuples(
        *(
            st.builds(
                Cluster,
                st.just(name),
                st.just(EnvironmentName("prod")),
                st.sampled_from([(), (("tier", "one"),)]),
                st.just(ClusterState.ACTIVE),
            )
            for name in names
        )
    )
)
waves = st.lists(
    st.builds(Named, st.lists(st.sampled_from(NAMES), unique=True).map(tuple))
    | st.just(Labelled((Requirement("tier", Operator.EXISTS),)))
    | st.builds(Growing, st.integers(1, 100), st.booleans())
    | st.just(OneByOne())
)


@given(waves, clusters)
def test_no_cluster_is_in_two_waves_and_none_is_made_up(
    waves: list[Named | Labelled | Growing | OneByOne], clusters: tuple[Cluster, ...]
) -> None:
    found = [name for wave in worked_out(waves, clusters) for name in wave]
    assert len(found) == len(set(found))
    assert set(found) <= {cluster.name for cluster in clusters}
    assert all(worked_out(waves, clusters))


@given(waves, clusters)
def test_whatever_came_before_a_hundred_percent_leave_nobody_out(
    waves: list[Named | Labelled | Growing | OneByOne], clusters: tuple[Cluster, ...]
) -> None:
    whole = [*waves, Growing(100, is_share=True)]
    found = {name for wave in worked_out(whole, clusters) for name in wave}
    assert found == {cluster.name for cluster in clusters}
