"""StatefulSets, DaemonSets and Jobs: simulated controllers do as the real ones, and leave the same behind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.core.health import assess
from reconciler.model.health import Cause, HealthStatus, ObjectHealth
from reconciler.model.objects import KubeObject
from reconciler.shell.executor.unsticking import stuck_pods
from reconciler.simulated.behaviour import Fate, Pace, digest_for
from reconciler.simulated.kubelet import status_of
from tests.contract.kube_fronts import Front
from tests.contract.kube_objects import Object, delete, ref, until
from tests.contract.test_pod_fates import shape

GOOD, BETTER = (f"example.com/a@{digest_for(Fate.READY, salt)}" for salt in "12")
BAD = f"example.com/a@{digest_for(Fate.CRASH)}"

HASH = "controller-revision-hash"

CURRENT = (HealthStatus.CURRENT, "", Cause.NONE)
CRASHES = (HealthStatus.FAILED, "CrashLoopBackOff", Cause.RELEASE)
EXCEEDED = (HealthStatus.FAILED, "BackoffLimitExceeded", Cause.RELEASE)

OWN = {
    r"\d{4}-\d\d-\d\dT[0-9:]+Z": "<time>",
    r'(?<=Revision": )"a-[a-z0-9]+"': '"<revision>"',
}
"""What is another in each status, and how it is written here."""

THERE: dict[str, Object] = {
    "StatefulSet": {
        "replicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "currentReplicas": 2,
        "updatedReplicas": 2,
        "currentRevision": "<revision>",
        "updateRevision": "<revision>",
        "collisionCount": 0,
    },
    "DaemonSet": {
        "currentNumberScheduled": 1,
        "desiredNumberScheduled": 1,
        "updatedNumberScheduled": 1,
        "numberAvailable": 1,
        "numberReady": 1,
        "numberMisscheduled": 0,
    },
}
"""The status of a workload that is all there, beside its generation."""

BROKEN: dict[str, Object] = {
    "StatefulSet": {
        "replicas": 1,
        "availableReplicas": 0,
        "updatedReplicas": 1,
        "currentRevision": "<revision>",
        "updateRevision": "<revision>",
        "collisionCount": 0,
    },
    "DaemonSet": {
        "currentNumberScheduled": 1,
        "desiredNumberScheduled": 1,
        "updatedNumberScheduled": 1,
        "numberUnavailable": 1,
        "numberReady": 0,
        "numberMisscheduled": 0,
    },
}
"""The status of a workload whose one Pod was replaced by one that crashes."""

NEW: dict[str, Object] = {
    "Deployment": {},
    "StatefulSet": {"replicas": 0, "availableReplicas": 0},
    "DaemonSet": {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
        "numberMisscheduled": 0,
    },
    "Job": {},
}
"""The status that an API server writes into a new workload."""


def workload(space: str, kind: str, *, image: str = GOOD, **spec: Any) -> Object:
    pod: Object = {"containers": [{"name": "a", "image": image}]}
    policy = spec.pop("restartPolicy", None)
    if kind == "Job":
        pod["restartPolicy"] = policy or "Never"
    else:
        spec["selector"] = {"matchLabels": {"app": "a"}}
    if kind == "StatefulSet":
        spec = {"replicas": 2, "serviceName": "a", **spec}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": "a", "namespace": space},
        "spec": {**spec, "template": {"metadata": {"labels": {"app": "a"}}, "spec": pod}},
    }


def apply(front: Front, obj: Object) -> Object:
    return dict(front.api.apply(obj, force=False, dry_run=False))


def found(front: Front, obj: Object) -> KubeObject:
    there = front.api.get(ref(obj))
    assert there is not None
    return there


def pods(front: Front, space: str) -> list[KubeObject]:
    return list(front.api.list("v1", "Pod", namespace=space, label_selector="app=a").items)


def uids(front: Front, space: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods(front, space)}


def carried(front: Front, space: str) -> dict[str, str]:
    """Returns the hash of the template that each Pod carries, by its name."""
    return {p["metadata"]["name"]: p["metadata"]["labels"][HASH] for p in pods(front, space)}


def judged(front: Front, obj: Object) -> tuple[HealthStatus, str, Cause]:
    family = pods(front, obj["metadata"]["namespace"])
    return verdict(assess(found(front, obj), family))


def verdict(health: ObjectHealth) -> tuple[HealthStatus, str, Cause]:
    return health.status, health.reason, health.cause


def told(front: Front, obj: Object) -> Object:
    """Returns an object's status, but for what is another in each."""
    text = json.dumps(found(front, obj).get("status") or {})
    for pattern, name in OWN.items():
        text = re.sub(pattern, name, text)
    made: Object = json.loads(text)
    return made


def comes_to(front: Front, look: Callable[[], object], wanted: object) -> None:
    """Waits until something is as it is wanted, and tells what it is instead."""
    with suppress(AssertionError):
        until(front, lambda: look() == wanted)
    assert look() == wanted


def comes_to_rest(front: Front, obj: Object) -> None:
    comes_to(front, lambda: judged(front, obj), CURRENT)


# Sets.


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Deployment", {"replicas": 2}),
        ("Deployment", {"replicas": 0}),
        ("StatefulSet", {"replicas": 2}),
        ("StatefulSet", {"replicas": 0}),
        ("DaemonSet", {}),
        ("Job", {}),
    ],
    ids=str,
)
def test_a_new_workload_is_in_progress_before_any_controller_has_seen_it(
    kind: str, spec: Object, front: Front, space: str
) -> None:
    made = front.api.create(workload(space, kind, **spec))
    assert (made.get("status") or {}) == NEW[kind]
    assert assess(made, ()).status is HealthStatus.IN_PROGRESS


@pytest.mark.parametrize("kind", THERE)
def test_a_set_comes_to_rest(kind: str, front: Front, space: str) -> None:
    obj = apply(front, workload(space, kind))
    comes_to_rest(front, obj)
    assert told(front, obj) == {"observedGeneration": 1, **THERE[kind]}


@pytest.mark.parametrize("kind", THERE)
def test_a_new_template_replaces_every_pod(kind: str, front: Front, space: str) -> None:
    obj = apply(front, workload(space, kind))
    comes_to_rest(front, obj)
    before, first = uids(front, space), set(carried(front, space).values())
    apply(front, workload(space, kind, image=BETTER))
    comes_to_rest(front, obj)
    assert told(front, obj) == {"observedGeneration": 2, **THERE[kind]}
    assert before.isdisjoint(uids(front, space))
    assert {p["spec"]["containers"][0]["image"] for p in pods(front, space)} == {BETTER}
    (second,) = set(carried(front, space).values())
    assert {second} != first
    # What comes back has its former name.
    apply(front, workload(space, kind))
    comes_to_rest(front, obj)
    assert set(carried(front, space).values()) == first


@pytest.mark.parametrize("kind", THERE)
def test_a_set_whose_new_pod_crashes_is_failed_and_its_former_revision_is_current(
    kind: str, front: Front, space: str
) -> None:
    alone: Object = {"replicas": 1} if kind == "StatefulSet" else {}
    obj = apply(front, workload(space, kind, **alone))
    comes_to_rest(front, obj)
    first = found(front, obj)["status"].get("currentRevision")
    apply(front, workload(space, kind, image=BAD, **alone))
    comes_to(front, lambda: judged(front, obj), CRASHES)
    comes_to(front, lambda: told(front, obj), {"observedGeneration": 2, **BROKEN[kind]})
    status = found(front, obj)["status"]
    assert status.get("currentRevision") == first
    if kind == "StatefulSet":
        assert status["updateRevision"] != first
        assert carried(front, space) == {"a-0": status["updateRevision"]}


def test_a_daemon_set_whose_pod_crashes_is_replaced_by_the_next_template(
    front: Front, space: str
) -> None:
    obj = apply(front, workload(space, "DaemonSet", image=BAD))
    comes_to(front, lambda: judged(front, obj), CRASHES)
    apply(front, workload(space, "DaemonSet"))
    comes_to_rest(front, obj)


def test_a_stateful_set_waits_for_a_broken_pod_until_that_is_deleted(
    front: Front, space: str
) -> None:
    obj = apply(front, workload(space, "StatefulSet"))
    comes_to_rest(front, obj)
    apply(front, workload(space, "StatefulSet", image=BAD))
    comes_to(front, lambda: judged(front, obj), CRASHES)
    before, revisions = uids(front, space), carried(front, space)
    apply(front, workload(space, "StatefulSet", image=BETTER))
    # A controller writes that it has seen a template after it has done what it does about it.
    there = {"observedGeneration": 3, **THERE["StatefulSet"]}
    one = dict.fromkeys(("readyReplicas", "availableReplicas", "currentReplicas"), 1)
    waits = {**{k: v for k, v in there.items() if k != "updatedReplicas"}, **one}
    comes_to(front, lambda: told(front, obj), waits)
    for _ in range(5):
        front.step()
    assert (uids(front, space), carried(front, space)) == (before, revisions)
    assert judged(front, obj) == (HealthStatus.IN_PROGRESS, "RollingOut", Cause.NONE)
    (stuck,) = stuck_pods(found(front, obj), pods(front, space))
    assert stuck["metadata"]["name"] == "a-1"
    delete(front, stuck)
    comes_to_rest(front, obj)
    assert before.isdisjoint(uids(front, space))
    assert told(front, obj) == there


def test_pods_of_a_stateful_set_are_named_and_numbered(front: Front, space: str) -> None:
    obj = apply(front, workload(space, "StatefulSet", replicas=3))
    comes_to_rest(front, obj)
    revision = found(front, obj)["status"]["updateRevision"]
    assert [pod["metadata"]["labels"] for pod in pods(front, space)] == [
        {
            "app": "a",
            HASH: revision,
            "apps.kubernetes.io/pod-index": str(index),
            "statefulset.kubernetes.io/pod-name": f"a-{index}",
        }
        for index in range(3)
    ]
    apply(front, workload(space, "StatefulSet", replicas=1))
    comes_to(front, lambda: list(carried(front, space)), ["a-0"])
    comes_to_rest(front, obj)


def test_pods_of_a_daemon_set_carry_the_number_of_its_template(front: Front, space: str) -> None:
    obj = apply(front, workload(space, "DaemonSet"))
    for number, image in ((1, GOOD), (2, BETTER), (3, GOOD)):
        apply(front, workload(space, "DaemonSet", image=image))
        comes_to_rest(front, obj)
        notes = found(front, obj)["metadata"]["annotations"]
        assert notes["deprecated.daemonset.template.generation"] == str(number)
        (pod,) = pods(front, space)
        assert pod["metadata"]["labels"]["pod-template-generation"] == str(number)


# Jobs.


def ended(type_: str, interim: str, reason: str, message: str, **counts: Any) -> Object:
    """Returns the status of a Job that has ended."""
    of_each = {
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": "<time>",
        "lastTransitionTime": "<time>",
    }
    return {
        "startTime": "<time>",
        "conditions": [{"type": interim, **of_each}, {"type": type_, **of_each}],
        "ready": 0,
        "terminating": 0,
        "uncountedTerminatedPods": {},
        **counts,
    }


COMPLETE = ended(
    "Complete",
    "SuccessCriteriaMet",
    "CompletionsReached",
    "Reached expected number of succeeded pods",
    succeeded=1,
    completionTime="<time>",
)

FAILED = ended(
    "Failed",
    "FailureTarget",
    "BackoffLimitExceeded",
    "Job has reached the specified backoff limit",
    failed=1,
)


@pytest.mark.parametrize("policy", ["Never", "OnFailure"])
def test_a_job_whose_pod_ends_well_is_complete(policy: str, front: Front, space: str) -> None:
    obj = apply(front, workload(space, "Job", restartPolicy=policy))
    comes_to_rest(front, obj)
    assert told(front, obj) == COMPLETE
    (pod,) = pods(front, space)
    assert pod["status"]["phase"] == "Succeeded"
    (container,) = pod["status"]["containerStatuses"]
    assert container["state"]["terminated"]["exitCode"] == 0
    assert verdict(assess(pod, ())) == CURRENT


def test_a_job_that_is_to_end_well_twice_is_complete_after_two_pods(
    front: Front, space: str
) -> None:
    obj = apply(front, workload(space, "Job", completions=2, parallelism=1))
    comes_to_rest(front, obj)
    assert told(front, obj) == {**COMPLETE, "succeeded": 2}
    assert len(pods(front, space)) == 2


def test_a_job_whose_pod_fails_is_failed_and_leaves_it(front: Front, space: str) -> None:
    obj = apply(front, workload(space, "Job", image=BAD, backoffLimit=0))
    comes_to(front, lambda: told(front, obj), FAILED)
    assert judged(front, obj) == EXCEEDED
    (pod,) = pods(front, space)
    simulated = status_of(dict(pod), 60.0, datetime.now(UTC), Pace())
    assert shape(dict(pod), pod["status"]) == shape(dict(pod), simulated)


def test_a_job_whose_container_is_restarted_too_often_is_failed_and_its_pod_goes(
    front: Front, space: str
) -> None:
    obj = apply(front, workload(space, "Job", image=BAD, backoffLimit=2, restartPolicy="OnFailure"))
    comes_to(front, lambda: told(front, obj), FAILED)
    assert judged(front, obj) == EXCEEDED
    assert not pods(front, space)


def test_a_suspended_job_has_no_pods_until_it_is_resumed(front: Front, space: str) -> None:
    obj = apply(front, workload(space, "Job", suspend=True))
    comes_to_rest(front, obj)
    (why,) = found(front, obj)["status"]["conditions"]
    assert (why["type"], why["status"], why["reason"]) == ("Suspended", "True", "JobSuspended")
    assert not pods(front, space)
    apply(front, workload(space, "Job", suspend=False))
    comes_to(
        front,
        lambda: [(c["type"], c["status"]) for c in told(front, obj).get("conditions", ())],
        [("Suspended", "False"), ("SuccessCriteriaMet", "True"), ("Complete", "True")],
    )
    assert judged(front, obj) == CURRENT
