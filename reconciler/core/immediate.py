"""The values that do not wait for a pending release: some keys of the pin's, the rest as it is admitted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reconciler.core.identity import CLUSTERS_KEY
from reconciler.model.env_repo import Pin
from reconciler.model.release import Values

Tree = dict[str, Any]


def immediate_values(admitted: Values, pin: Pin, keys: Iterable[str]) -> tuple[Values, Values]:
    """Returns the admitted values with the pin's own at some keys, and the same for each cluster.

    Args:
        admitted: Of the admitted revision, what differs by cluster under `clusters`.
        pin: What HEAD says now.
        keys: Dotted, as `immediate` of service.yaml names them; one that the pin lacks is taken out.
    """
    values = admitted.tree()
    by_cluster: Tree = values.pop(CLUSTERS_KEY, {})
    asked, asked_by_cluster = pin.values.tree(), pin.cluster_values.tree()
    for key in keys:
        path = key.split(".")
        _take_over(values, asked, path)
        for cluster in sorted({*by_cluster, *asked_by_cluster}):
            own = by_cluster.setdefault(cluster, {})
            _take_over(own, asked_by_cluster.get(cluster, {}), path)
            if not own:
                del by_cluster[cluster]
    return Values.of(values), Values.of(by_cluster)


def _take_over(into: Tree, asked: Tree, path: list[str]) -> None:
    """Makes one key of a tree what another tree says, or takes it out where that says nothing."""
    *parents, last = path
    for name in parents:
        found = asked.get(name)
        asked = found if isinstance(found, dict) else {}
    if last not in asked:
        _take_out(into, path)
        return
    for name in parents:
        if not isinstance(into.get(name), dict):
            into[name] = {}
        into = into[name]
    into[last] = asked[last]


def _take_out(tree: Tree, path: list[str]) -> None:
    name, *rest = path
    if not rest:
        tree.pop(name, None)
        return
    inner = tree.get(name)
    if isinstance(inner, dict):
        _take_out(inner, rest)
        if not inner:
            del tree[name]
