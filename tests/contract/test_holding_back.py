"""Workloads that keep Pods of an older template: nothing new is current before every Pod carries it."""

from __future__ import annotations

import pytest

from reconciler.core.health import assess
from reconciler.model.health import Cause, HealthStatus
from tests.contract.kube_fronts import Front
from tests.contract.kube_objects import Object, delete
from tests.contract.test_workloads import (
    BETTER,
    CURRENT,
    HASH,
    THERE,
    apply,
    carried,
    comes_to,
    comes_to_rest,
    found,
    judged,
    pods,
    told,
    uids,
    workload,
)

BY_HAND: Object = {"updateStrategy": {"type": "OnDelete"}}
UPDATED = {"StatefulSet": "updatedReplicas", "DaemonSet": "updatedNumberScheduled"}


def held(reason: str) -> tuple[HealthStatus, str, Cause]:
    return HealthStatus.IN_PROGRESS, reason, Cause.NONE


def partitioned(space: str, partition: int, **more: str) -> Object:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    return workload(space, "StatefulSet", updateStrategy=strategy, **more)


@pytest.mark.parametrize("kind", THERE)
def test_a_set_that_is_updated_by_hand_keeps_its_pods_and_is_not_current_before_they_are_deleted(
    kind: str, front: Front, space: str
) -> None:
    obj = apply(front, workload(space, kind, **BY_HAND))
    comes_to_rest(front, obj)
    before = uids(front, space)
    apply(front, workload(space, kind, image=BETTER, **BY_HAND))
    there = {"observedGeneration": 2, **THERE[kind]}
    none = {name: count for name, count in there.items() if name != UPDATED[kind]}
    comes_to(front, lambda: told(front, obj), none)
    for _ in range(5):
        front.step()
    assert uids(front, space) == before
    assert judged(front, obj) == held("OnDelete")
    for pod in pods(front, space):
        delete(front, pod)
    comes_to(front, lambda: told(front, obj), there)
    assert before.isdisjoint(uids(front, space))
    comes_to(front, lambda: judged(front, obj), CURRENT)


def test_a_partitioned_set_is_not_current_before_its_partition_is_taken_away(
    front: Front, space: str
) -> None:
    obj = apply(front, partitioned(space, 1))
    # No Pod carries another template yet.
    comes_to_rest(front, obj)
    first = carried(front, space)["a-0"]
    apply(front, partitioned(space, 1, image=BETTER))
    there = {"observedGeneration": 2, **THERE["StatefulSet"]}
    comes_to(front, lambda: told(front, obj), {**there, "currentReplicas": 1, "updatedReplicas": 1})
    for _ in range(5):
        front.step()
    second = found(front, obj)["status"]["updateRevision"]
    assert carried(front, space) == {"a-0": first, "a-1": second}
    assert judged(front, obj) == held("Partitioned")
    said = assess(found(front, obj), pods(front, space)).message
    assert said.startswith(
        "1 of 2 replicas are updated: spec.updateStrategy.rollingUpdate.partition is 1"
    )
    apply(front, partitioned(space, 0, image=BETTER))
    comes_to_rest(front, obj)
    assert {p["metadata"]["labels"][HASH] for p in pods(front, space)} == {second}


def test_a_paused_deployment_is_not_current_before_it_is_resumed(front: Front, space: str) -> None:
    obj = apply(front, workload(space, "Deployment"))
    comes_to_rest(front, obj)
    before = uids(front, space)
    apply(front, workload(space, "Deployment", image=BETTER, paused=True))
    comes_to(front, lambda: judged(front, obj), held("DeploymentPaused"))
    for _ in range(5):
        front.step()
    assert uids(front, space) == before
    assert judged(front, obj) == held("DeploymentPaused")
    apply(front, workload(space, "Deployment", image=BETTER))
    comes_to_rest(front, obj)
    assert before.isdisjoint(uids(front, space))
