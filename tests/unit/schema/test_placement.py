"""`placement:` of service.yaml: a label selector as Kubernetes has it, and what is wrong with one."""

from __future__ import annotations

import pytest

from reconciler.model.fleet import Cluster, ClusterState
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.schema.snapshot import Reading, read_all
from reconciler.shell.runner import VirtualClock
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import SERVICE, env_repo, pins

WEB = ServiceName("web")
DEV = EnvironmentName("dev")
SERVICE_YAML = "services/web/service.yaml"


def read(placement: str) -> Reading:
    git = MemoryGit(VirtualClock())
    text = f"{SERVICE}placement: {placement}\n"
    return read_all(git, git.merge({**env_repo(), **pins("1"), SERVICE_YAML: text}))


def cluster(**labels: str) -> Cluster:
    return Cluster(ClusterName("dev-1"), DEV, tuple(sorted(labels.items())), ClusterState.ACTIVE)


@pytest.mark.parametrize(
    ("placement", "labels", "is_met"),
    [
        ("{match_labels: {region: eu}}", {"region": "eu"}, True),
        ("{match_labels: {region: eu}}", {"region": "us"}, False),
        ("{match_labels: {region: eu}}", {}, False),
        ("{match_labels: {region: eu, tier: edge}}", {"region": "eu"}, False),
        ("{match_expressions: [{key: r, operator: In, values: [a, b]}]}", {"r": "b"}, True),
        ("{match_expressions: [{key: r, operator: In, values: [a, b]}]}", {"r": "c"}, False),
        ("{match_expressions: [{key: r, operator: NotIn, values: [a]}]}", {"r": "a"}, False),
        ("{match_expressions: [{key: r, operator: NotIn, values: [a]}]}", {"r": "b"}, True),
        ("{match_expressions: [{key: r, operator: NotIn, values: [a]}]}", {}, True),
        ("{match_expressions: [{key: r, operator: Exists}]}", {"r": ""}, True),
        ("{match_expressions: [{key: r, operator: Exists}]}", {}, False),
        ("{match_expressions: [{key: r, operator: DoesNotExist}]}", {}, True),
        ("{match_expressions: [{key: r, operator: DoesNotExist}]}", {"r": "a"}, False),
        (
            "{match_labels: {r: a}, match_expressions: [{key: s, operator: Exists}]}",
            {"r": "a"},
            False,
        ),
    ],
)
def test_a_cluster_must_meet_all_of_it(
    placement: str, labels: dict[str, str], *, is_met: bool
) -> None:
    snapshot = read(placement).snapshot
    assert snapshot is not None
    requirements = snapshot.services[WEB].placement
    assert all(r.is_met_by(cluster(**labels)) for r in requirements) is is_met


@pytest.mark.parametrize(
    ("placement", "code", "field"),
    [
        ("{}", "EmptyPlacement", "placement"),
        ("", "EmptyPlacement", "placement"),
        ("{match_labels: {}}", "EmptyPlacement", "placement"),
        ("eu", "Invalid", "placement"),
        ("{matchLabels: {region: eu}}", "UnknownField", "placement.matchLabels"),
        ("{match_labels: {region: true}}", "WrongType", "placement.match_labels.region"),
        (
            "{match_expressions: [{key: r, operator: In}]}",
            "MissingField",
            "placement.match_expressions[0].values",
        ),
        (
            "{match_expressions: [{key: r, operator: In, values: []}]}",
            "Invalid",
            "placement.match_expressions[0].values",
        ),
        (
            "{match_expressions: [{key: r, operator: Exists, values: [a]}]}",
            "UnknownField",
            "placement.match_expressions[0].values",
        ),
        (
            "{match_expressions: [{key: r, operator: Like, values: [a]}]}",
            "Invalid",
            "placement.match_expressions[0]",
        ),
    ],
)
def test_what_is_wrong_with_it_is_told_at_its_place(placement: str, code: str, field: str) -> None:
    faults = read(placement).faults
    assert (code, SERVICE_YAML, field) in {(f.code, f.path, f.field) for f in faults}
    assert all(f.line for f in faults if f.path == SERVICE_YAML)


def test_a_pin_where_no_cluster_has_the_labels_is_a_fault_of_the_pin() -> None:
    reading = read("{match_labels: {region: eu}}")
    assert {(f.code, f.path) for f in reading.faults} == {
        ("NotPlaced", f"environments/{e}/web.yaml") for e in ("dev", "staging", "prod")
    }
