"""Whose turn it is: the waves that a policy asks for, and which clusters they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from reconciler.model.fleet import Cluster, Requirement
from reconciler.model.names import ClusterName


@dataclass(frozen=True, slots=True)
class Named:
    """A wave of clusters by name."""

    clusters: tuple[ClusterName, ...]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A wave of the clusters that meet a label selector and are in no wave before."""

    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class Growing:
    """A wave of as many clusters as are needed for so many of the environment to have the release.

    Attributes:
        upto: A number of clusters, or a percentage of all.
        is_share: Whether it is a percentage; one that is no whole number of clusters is rounded up.
    """

    upto: int
    is_share: bool


@dataclass(frozen=True, slots=True)
class OneByOne:
    """Waves of one cluster each, of all that are in no wave before."""


Wave = Named | Labelled | Growing | OneByOne
"""As a policy asks for it; `worked_out` says whose turn that is."""


def worked_out(
    waves: Iterable[Wave], clusters: Sequence[Cluster]
) -> tuple[tuple[ClusterName, ...], ...]:
    """Returns the clusters of each wave; one without any is no wave.

    Args:
        waves: In order.
        clusters: That there are, in the order of fleet.yaml, which decides among equals.
    """
    left = list(clusters)
    found: list[tuple[ClusterName, ...]] = []
    for wave in waves:
        for turn in _turns(wave, left, len(clusters)):
            taken = tuple(cluster.name for cluster in turn)
            left = [cluster for cluster in left if cluster.name not in taken]
            found.append(taken)
    return tuple(wave for wave in found if wave)


def _turns(wave: Wave, left: list[Cluster], total: int) -> Iterator[list[Cluster]]:
    match wave:
        case Named(names):
            by_name = {cluster.name: cluster for cluster in left}
            yield [by_name[name] for name in names if name in by_name]
        case Labelled(requirements):
            yield [c for c in left if all(one.is_met_by(c) for one in requirements)]
        case Growing(upto, is_share):
            wanted = ceil(upto * total / 100) if is_share else upto
            yield left[: max(0, wanted - (total - len(left)))]
        case OneByOne():
            yield from ([cluster] for cluster in left)
