"""What keeps Pods on an older template: the object says so, and is in progress until they are gone."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.health import assess, holds_back
from reconciler.model.health import HealthStatus
from tests.fakes.objects import obj

ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}
PAUSED = {"paused": True}
ONE_OF_TWO: dict[str, dict[str, Any]] = {
    "Deployment": {"updatedReplicas": 1, "availableReplicas": 2, "readyReplicas": 2},
    "StatefulSet": {
        "updatedReplicas": 1,
        "readyReplicas": 2,
        "updateRevision": "b",
        "currentRevision": "a",
    },
    "DaemonSet": {
        "desiredNumberScheduled": 2,
        "updatedNumberScheduled": 1,
        "numberAvailable": 2,
        "numberReady": 2,
    },
}


def partition(value: Any) -> dict[str, Any]:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": value}}}


def given(kind: str, spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    seen = {"observedGeneration": 1, **ONE_OF_TWO[kind]}
    return obj(kind, spec={"replicas": 2, **spec}, status={**seen, **status})


@pytest.mark.parametrize(
    ("kind", "spec", "reason", "field"),
    [
        ("StatefulSet", ON_DELETE, "OnDelete", "spec.updateStrategy.type is OnDelete"),
        ("DaemonSet", ON_DELETE, "OnDelete", "spec.updateStrategy.type is OnDelete"),
        (
            "StatefulSet",
            partition(1),
            "Partitioned",
            "spec.updateStrategy.rollingUpdate.partition is 1",
        ),
        ("Deployment", PAUSED, "DeploymentPaused", "spec.paused is true"),
    ],
)
def test_it_is_in_progress_and_says_which_field_keeps_it_so_and_what_to_do(
    kind: str, spec: dict[str, Any], reason: str, field: str
) -> None:
    found = assess(given(kind, spec), ())
    assert (found.status, found.reason) == (HealthStatus.IN_PROGRESS, reason)
    noun = "Pods" if kind == "DaemonSet" else "replicas"
    assert found.message.startswith(f"1 of 2 {noun} are updated: {field}")
    assert "; " in found.message
    assert holds_back(given(kind, spec)) is not None


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("StatefulSet", {}),
        ("StatefulSet", partition(0)),
        ("StatefulSet", partition(None)),
        ("StatefulSet", partition("1")),
        ("StatefulSet", {"updateStrategy": "OnDelete"}),
        ("DaemonSet", partition(1)),
        ("Deployment", {"paused": False, **ON_DELETE}),
        ("ReplicaSet", {**PAUSED, **ON_DELETE}),
    ],
)
def test_nothing_else_holds_pods_back(kind: str, spec: dict[str, Any]) -> None:
    assert holds_back(obj(kind, spec=spec)) is None


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_one_whose_pods_all_carry_the_new_template_is_current_or_on_its_way_as_any_other(
    kind: str,
) -> None:
    every = {"StatefulSet": {"updatedReplicas": 2}, "DaemonSet": {"updatedNumberScheduled": 2}}[
        kind
    ]
    unready = {"StatefulSet": {"readyReplicas": 1}, "DaemonSet": {"numberAvailable": 1}}[kind]
    assert assess(given(kind, ON_DELETE, **every), ()).status is HealthStatus.CURRENT
    assert assess(given(kind, ON_DELETE, **every, **unready), ()).reason == "RollingOut"


def test_a_revision_that_is_current_and_wanted_may_be_counted_as_current_alone() -> None:
    """As an API server of 2018 did, in gitops-engine's testdata."""
    same = {"currentRevision": "b", "currentReplicas": 2, "updatedReplicas": None}
    assert assess(given("StatefulSet", ON_DELETE, **same), ()).status is HealthStatus.CURRENT
    other = {**same, "currentRevision": "a"}
    assert assess(given("StatefulSet", ON_DELETE, **other), ()).reason == "OnDelete"
