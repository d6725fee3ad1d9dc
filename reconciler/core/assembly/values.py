"""The values that hold on one cluster, and what they set in plain objects: replicas, where no autoscaler does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.core.assembly.pods import Tree, group_kind, mapping
from reconciler.core.identity import CLUSTERS_KEY, ClusterLabel
from reconciler.errors import InvalidInput
from reconciler.model.fleet import Cluster
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.release import Revision, Values

_EXPRESSION = re.compile(r"\$\{cluster\.([^}]*)\}")
_LABELS = "labels."

_REPLICATED = {
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "ReplicaSet"),
    ("", "ReplicationController"),
    ("argoproj.io", "Rollout"),
}
_AUTOSCALERS = {("autoscaling", "HorizontalPodAutoscaler"), ("keda.sh", "ScaledObject")}

_Scalable = tuple[str, str, str]
"""Namespace, kind and name of a workload: an autoscaler targets its own namespace."""

_REPLICAS_MAX = 2**31 - 1
"""The API's own field is a signed 32-bit number."""


def effective_values(revision: Revision, cluster: Cluster) -> Values:
    """Returns the values that hold on one cluster: its overrides merged in, its name and labels put in.

    Two clusters with the same answer render to the same objects.

    Raises:
        InvalidInput: An expression names something that the cluster does not have.
    """
    tree = revision.values.tree()
    overrides = mapping(tree.pop(CLUSTERS_KEY, {})).get(cluster.name)
    merged = _merged(tree, mapping(overrides))
    return Values.of(mapping(_substituted(merged, _facts(cluster), cluster)))


def labels_in(values: Iterable[Values], clusters: Iterable[Cluster]) -> tuple[ClusterLabel, ...]:
    """Returns the labels that some values ask for, as clusters have them: another is another revision."""
    names = {name for one in values for name in _EXPRESSION.findall(one.text)}
    return tuple(
        (cluster.name, key, value)
        for cluster in clusters
        for key, value in cluster.labels
        if f"{_LABELS}{key}" in names
    )


def set_replicas(objects: Sequence[Tree], values: Values) -> Iterator[InvalidInput]:
    """Sets `spec.replicas` in place, of the one workload or of each one named; yields what is wrong."""
    workloads = [obj for obj in objects if has_replicas(obj)]
    scaled = set(_autoscaled(objects))
    for key, value in sorted(values.tree().items()):
        if key == "replicas":
            chosen, path, wanted = workloads, "values.replicas", value
        elif isinstance(value, dict) and set(value) == {"replicas"}:
            chosen = [obj for obj in workloads if obj["metadata"]["name"] == key]
            path, wanted = f"values.{key}.replicas", value["replicas"]
        else:
            yield InvalidInput(
                f"values.{key}",
                "this value sets nothing",
                "only replicas can be set where there is no chart",
                "write it into the manifests or an overlay",
            )
            continue
        fault = _set(chosen, path, wanted, workloads, scaled)
        if fault:
            yield fault


def leave_to_autoscalers(objects: Sequence[Tree]) -> None:
    """Takes `spec.replicas` out, in place, of each workload that an autoscaler among the objects scales."""
    scaled = set(_autoscaled(objects))
    for obj in objects:
        if has_replicas(obj) and _scalable(obj) in scaled:
            mapping(obj.get("spec")).pop("replicas", None)


def has_replicas(obj: KubeObject) -> bool:
    """Whether an object is a workload whose `spec.replicas` counts its Pods, and may be left out."""
    return group_kind(obj) in _REPLICATED


def _set(
    chosen: Sequence[Tree],
    path: str,
    wanted: Any,
    workloads: Sequence[Tree],
    scaled: set[_Scalable],
) -> InvalidInput | None:
    # A cluster's label is always text, so a number that came out of one is text as well.
    number = int(wanted) if isinstance(wanted, str) and _is_number(wanted) else wanted
    if type(number) is not int or not 0 <= number <= _REPLICAS_MAX:
        return InvalidInput(path, "it cannot be set", "it is no whole number of replicas")
    if len(chosen) != 1:
        names = ", ".join(str(ObjectRef.of(obj)) for obj in workloads) or "none"
        return InvalidInput(
            path,
            "it does not name one workload",
            f"it fits {len(chosen)}, and the workloads with replicas are: {names}",
            "write values.<workload>.replicas with one workload's name",
        )
    workload = chosen[0]
    if _scalable(workload) in scaled:
        return InvalidInput(
            path,
            "it cannot be set",
            f"an autoscaler of the service sets the replicas of {ObjectRef.of(workload)}",
            "take the value out, or the autoscaler",
        )
    if not isinstance(workload.get("spec"), dict):
        return InvalidInput(str(ObjectRef.of(workload)), "it has no spec", "it is no mapping")
    workload["spec"]["replicas"] = number
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(_REPLICAS_MAX))


def _scalable(workload: Tree) -> _Scalable:
    meta = workload["metadata"]
    return str(meta.get("namespace")), str(workload["kind"]), str(meta["name"])


def _autoscaled(objects: Sequence[Tree]) -> Iterator[_Scalable]:
    for obj in objects:
        if group_kind(obj) in _AUTOSCALERS:
            target = mapping(mapping(obj.get("spec")).get("scaleTargetRef"))
            kind = str(target.get("kind") or "Deployment")  # KEDA's own default
            yield str(obj["metadata"].get("namespace")), kind, str(target.get("name"))


def _merged(under: Tree, over: Tree) -> Tree:
    """Merges mappings key by key; anything else is replaced whole."""
    return under | {
        key: _merged(under[key], value)
        if isinstance(value, dict) and isinstance(under.get(key), dict)
        else value
        for key, value in over.items()
    }


def _facts(cluster: Cluster) -> Mapping[str, str]:
    return {"name": cluster.name} | {f"{_LABELS}{key}": value for key, value in cluster.labels}


def _substituted(value: Any, facts: Mapping[str, str], cluster: Cluster) -> Any:
    if isinstance(value, dict):
        return {key: _substituted(item, facts, cluster) for key, item in value.items()}
    if isinstance(value, list):
        return [_substituted(item, facts, cluster) for item in value]
    if not isinstance(value, str):
        return value

    def fact(match: re.Match[str]) -> str:
        if match[1] not in facts:
            raise InvalidInput(
                f"values: {match[0]}",
                "there is nothing to put in",
                f"cluster {cluster.name} has no {match[1] or 'such thing'}",
                "use cluster.name, or a label that fleet.yaml gives the cluster",
            )
        return facts[match[1]]

    return _EXPRESSION.sub(fact, value)
