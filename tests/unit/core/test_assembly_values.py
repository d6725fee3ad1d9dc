"""Which values hold on a cluster, and what they set."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.assembly.values import labels_in
from reconciler.core.identity import ClusterLabel
from reconciler.errors import InvalidInput
from reconciler.model.fleet import Cluster, ClusterState
from reconciler.model.names import ClusterName, EnvironmentName
from reconciler.model.release import Values
from tests.unit.core.test_assembly import faults, obj, render, workload

WEB, WORKER = workload(), workload(name="worker")
AUTOSCALER = obj(
    "HorizontalPodAutoscaler",
    api_version="autoscaling/v2",
    spec={"scaleTargetRef": {"kind": "Deployment", "name": "web"}},
)
SCALED_OBJECT = obj(
    "ScaledObject", api_version="keda.sh/v1alpha1", spec={"scaleTargetRef": {"name": "web"}}
)


def replicas(*raw: dict[str, Any], **how: Any) -> dict[str, Any]:
    """Returns the replicas of each workload by name."""
    return {
        o["metadata"]["name"]: o["spec"].get("replicas")
        for o in render(*raw, **how).objects
        if "template" in o.get("spec", {})
    }


@pytest.mark.parametrize(
    ("raw", "values", "cluster_values", "expected"),
    [
        pytest.param((WEB,), {}, {}, {"web": 1}, id="no value leaves the manifest's"),
        pytest.param((WEB,), {"replicas": 3}, {}, {"web": 3}, id="the one workload"),
        pytest.param((WEB,), {"replicas": 0}, {}, {"web": 0}, id="none at all"),
        pytest.param(
            (WEB, workload("DaemonSet", "agent"), workload("Job", "once", "batch/v1")),
            {"replicas": 3},
            {},
            {"web": 3, "agent": 1, "once": 1},
            id="only what has replicas is counted",
        ),
        pytest.param(
            (WEB, WORKER),
            {"web": {"replicas": 2}, "worker": {"replicas": 5}},
            {},
            {"web": 2, "worker": 5},
            id="each workload by its name",
        ),
        pytest.param(
            (WEB,), {"replicas": 2}, {"prod-1": {"replicas": 9}}, {"web": 9}, id="this cluster's"
        ),
        pytest.param(
            (WEB,), {"replicas": 2}, {"prod-2": {"replicas": 9}}, {"web": 2}, id="another cluster's"
        ),
        pytest.param(
            (WEB, WORKER),
            {"web": {"replicas": 2}, "worker": {"replicas": 2}},
            {"prod-1": {"web": {"replicas": 4}}},
            {"web": 4, "worker": 2},
            id="overrides are merged key by key",
        ),
        pytest.param(
            (WEB,), {"replicas": "${cluster.labels.size}"}, {}, {"web": 7}, id="a cluster's label"
        ),
        pytest.param(
            (WEB, WORKER, AUTOSCALER), {}, {}, {"web": None, "worker": 1}, id="an autoscaler's"
        ),
        pytest.param((WEB, SCALED_OBJECT), {}, {}, {"web": None}, id="KEDA's, which names no kind"),
        pytest.param(
            (WEB, {**AUTOSCALER, "metadata": {"name": "web", "namespace": "elsewhere"}}),
            {},
            {},
            {"web": 1},
            id="an autoscaler of another namespace",
        ),
    ],
)
def test_replicas(
    raw: tuple[dict[str, Any], ...],
    values: dict[str, Any],
    cluster_values: dict[str, Any],
    expected: dict[str, int],
) -> None:
    assert replicas(*raw, values=values, cluster_values=cluster_values) == expected


@pytest.mark.parametrize(
    ("raw", "values", "fault"),
    [
        pytest.param(
            (WEB, WORKER),
            {"replicas": 3},
            "it fits 2, and the workloads with replicas are: "
            "Deployment/web-prod/web, Deployment/web-prod/worker",
            id="one number for several workloads",
        ),
        pytest.param((obj("Secret"),), {"replicas": 3}, "replicas are: none", id="no workload"),
        pytest.param(
            (WEB,), {"api": {"replicas": 3}}, "values.api.replicas", id="no such workload"
        ),
        pytest.param(
            (WEB, workload("StatefulSet")),
            {"web": {"replicas": 3}},
            "it fits 2",
            id="two workloads of one name",
        ),
        pytest.param((WEB,), {"replicas": "three"}, "no whole number", id="a word"),
        pytest.param((WEB,), {"replicas": -1}, "no whole number", id="less than none"),
        pytest.param((WEB,), {"replicas": 1.5}, "no whole number", id="a fraction"),
        pytest.param((WEB,), {"replicas": True}, "no whole number", id="a boolean"),
        pytest.param((WEB,), {"replicas": 2**31}, "no whole number", id="more than fits"),
        pytest.param((WEB,), {"replicas": "٣"}, "no whole number", id="digits of another script"),
        pytest.param((WEB,), {"colour": "red"}, "values.colour: it", id="a value for charts"),
        pytest.param(
            (WEB,), {"web": {"replicas": 1, "x": 1}}, "values.web", id="more than replicas"
        ),
        pytest.param(
            (WEB, AUTOSCALER), {"replicas": 3}, "an autoscaler", id="what an autoscaler sets"
        ),
        pytest.param(
            (workload() | {"spec": []},), {"replicas": 3}, "it has no spec", id="no spec to set"
        ),
    ],
)
def test_a_value_that_cannot_be_set(
    raw: tuple[dict[str, Any], ...], values: dict[str, Any], fault: str
) -> None:
    found = faults(*raw, values=values)
    assert len(found) == 1
    assert fault.removesuffix(": it") in found[0]


@pytest.mark.parametrize(
    "expression", ["${cluster.labels.zone}", "${cluster.uid}", "${cluster.}", "${cluster.labels.}"]
)
def test_an_expression_that_names_nothing_is_refused(expression: str) -> None:
    with pytest.raises(InvalidInput, match=r"cluster prod-1 has no"):
        render(WEB, values={"a": [{"b": f"x-{expression}"}]})


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ({"replicas": 3}, ()),
        ({"replicas": "${cluster.name}"}, ()),
        ({"replicas": "${cluster.labels.none}"}, ()),
        (
            {"replicas": "${cluster.labels.size}"},
            (("prod-1", "size", "3"), ("prod-2", "size", "5")),
        ),
        ({"a": {"b": ["x-${cluster.labels.zone}-y"]}}, (("prod-1", "zone", "a"),)),
    ],
)
def test_a_label_counts_where_a_value_asks_for_it(
    values: dict[str, Any], labels: tuple[ClusterLabel, ...]
) -> None:
    clusters = [
        cluster("prod-1", size="3", zone="a"),
        cluster("prod-2", size="5"),
        cluster("prod-3"),
    ]
    assert labels_in([Values(), Values.of(values)], clusters) == labels


def cluster(name: str, **labels: str) -> Cluster:
    """Returns a cluster of prod."""
    return Cluster(
        ClusterName(name), EnvironmentName("prod"), tuple(labels.items()), ClusterState.ACTIVE
    )
