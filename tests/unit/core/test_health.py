"""Health of real-looking objects; the case's name is the sentence."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.health import assess
from reconciler.model.health import Cause, HealthStatus
from tests.fakes.objects import obj

CURRENT, PROGRESS, FAILED, UNKNOWN, TERMINATING = (
    HealthStatus.CURRENT,
    HealthStatus.IN_PROGRESS,
    HealthStatus.FAILED,
    HealthStatus.UNKNOWN,
    HealthStatus.TERMINATING,
)


def deployment(**status: Any) -> dict[str, Any]:
    return obj("Deployment", metadata={"generation": 2}, spec={"replicas": 2}, status=status)


def none(kind: str, **status: Any) -> dict[str, Any]:
    """Returns a workload that is to have no replicas."""
    return obj(kind, metadata={"generation": 1}, spec={"replicas": 0}, status=status)


WELL = {
    "observedGeneration": 2,
    "replicas": 2,
    "updatedReplicas": 2,
    "readyReplicas": 2,
    "availableReplicas": 2,
    "conditions": [{"type": "Available", "status": "True"}],
}


SEEN = {"observedGeneration": 1, "desiredNumberScheduled": 1}
DAEMONS = ("updatedNumberScheduled", "numberAvailable", "numberReady")


def replica_set(revision: int, uid: str) -> dict[str, Any]:
    return obj(
        "ReplicaSet",
        metadata={
            "name": uid,
            "uid": uid,
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"uid": "u", "controller": True}],
        },
    )


def pod(
    owner: str = "new", *, name: str = "a-1", ready: bool = False, **container: Any
) -> dict[str, Any]:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    statuses = [{"name": "c", "ready": ready, "restartCount": 0, "state": {}, **container}]
    return obj(
        "Pod",
        "v1",
        metadata={
            "name": name,
            "uid": name,
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        status={"phase": "Running", "conditions": [condition], "containerStatuses": statuses},
    )


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}, **more}


CRASH = waiting(
    "CrashLoopBackOff",
    "back-off 10s restarting failed container",
    restartCount=2,
    lastState={"terminated": {"exitCode": 1, "reason": "Error"}},
)
BUSY = {**WELL, "updatedReplicas": 1}


@pytest.mark.parametrize(
    ("case", "given", "status", "reason"),
    [
        ("all replicas are there", deployment(**WELL), CURRENT, ""),
        (
            "the controller has not seen the change",
            deployment(**{**WELL, "observedGeneration": 1}),
            PROGRESS,
            "NotObserved",
        ),
        ("one is not updated", deployment(**BUSY), PROGRESS, "RollingOut"),
        ("an old one is left", deployment(**{**WELL, "replicas": 3}), PROGRESS, "RollingOut"),
        (
            "one is not available",
            deployment(**{**WELL, "availableReplicas": 1}),
            PROGRESS,
            "RollingOut",
        ),
        (
            "the deadline has passed",
            deployment(
                **{
                    **BUSY,
                    "conditions": [
                        {
                            "type": "Progressing",
                            "status": "False",
                            "reason": "ProgressDeadlineExceeded",
                        }
                    ],
                }
            ),
            FAILED,
            "ProgressDeadlineExceeded",
        ),
        (
            "it has no status yet",
            obj("Deployment", metadata={"generation": 1}, spec={"replicas": 2}),
            PROGRESS,
            "NotObserved",
        ),
        ("it is scaled to none", none("Deployment", observedGeneration=1), CURRENT, ""),
        ("a new one of none has no status yet", none("Deployment"), PROGRESS, "NotObserved"),
        ("nor has a new StatefulSet", none("StatefulSet", replicas=0), PROGRESS, "NotObserved"),
        ("nor a new ReplicaSet", none("ReplicaSet", replicas=0), PROGRESS, "NotObserved"),
        ("a ReplicaSet of none", none("ReplicaSet", observedGeneration=1), CURRENT, ""),
        (
            "it is being deleted",
            obj("Deployment", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}, spec={}),
            TERMINATING,
            "Terminating",
        ),
        ("a StatefulSet", obj("StatefulSet", spec={"replicas": 2}, status=WELL), CURRENT, ""),
        (
            "a StatefulSet has an old Pod",
            obj("StatefulSet", spec={"replicas": 2}, status=BUSY),
            PROGRESS,
            "RollingOut",
        ),
        (
            "a DaemonSet is on every node",
            obj("DaemonSet", spec={}, status={**SEEN, **dict.fromkeys(DAEMONS, 1)}),
            CURRENT,
            "",
        ),
        (
            "a DaemonSet was not seen yet",
            obj("DaemonSet", spec={}, status={"desiredNumberScheduled": 0, "numberReady": 0}),
            PROGRESS,
            "NotObserved",
        ),
        (
            "a Job is complete",
            obj("Job", "batch/v1", status={"conditions": [{"type": "Complete", "status": "True"}]}),
            CURRENT,
            "",
        ),
        (
            "a Job has failed",
            obj(
                "Job",
                "batch/v1",
                status={
                    "conditions": [
                        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
                    ]
                },
            ),
            FAILED,
            "BackoffLimitExceeded",
        ),
        ("a Job runs", obj("Job", "batch/v1", status={"active": 1}), PROGRESS, "Running"),
        ("a word", "word", UNKNOWN, "Malformed"),
        ("a status that is a list", obj("Deployment", status=[]), UNKNOWN, "Malformed"),
        (
            "replicas that are no number",
            obj("Deployment", spec={"replicas": "x"}, status={}),
            UNKNOWN,
            "Malformed",
        ),
        (
            "an object without a name",
            {"apiVersion": "v1", "kind": "Pod", "metadata": {}},
            UNKNOWN,
            "Malformed",
        ),
    ],
)
def test_an_object_alone(case: str, given: Any, status: HealthStatus, reason: str) -> None:
    found = assess(given, ())
    assert (found.status, found.reason) == (status, reason), case


@pytest.mark.parametrize(
    ("case", "container", "status", "cause"),
    [
        ("a crash loop", CRASH, FAILED, Cause.RELEASE),
        ("one early exit is only suspect", {**CRASH, "restartCount": 1}, PROGRESS, Cause.RELEASE),
        (
            "it runs again after it ended badly, and is not ready",
            {**CRASH, "restartCount": 5, "state": {"running": {}}},
            PROGRESS,
            Cause.RELEASE,
        ),
        ("it runs again and is ready", {**CRASH, "ready": True}, PROGRESS, Cause.NONE),
        (
            "its node was away, and nobody saw how it ended",
            {
                **CRASH,
                "lastState": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}},
            },
            PROGRESS,
            Cause.NONE,
        ),
        (
            "it ended well and is started again",
            waiting(
                "", restartCount=4, lastState={"terminated": {"exitCode": 0, "reason": "Completed"}}
            ),
            PROGRESS,
            Cause.NONE,
        ),
        (
            "out of memory",
            {
                **waiting("CrashLoopBackOff", restartCount=3),
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            },
            FAILED,
            Cause.RELEASE,
        ),
        (
            "no such image",
            waiting(
                "ErrImagePull",
                'failed to resolve reference "r/x@sha256:5004": r/x@sha256:5004: not found',
            ),
            FAILED,
            Cause.RELEASE,
        ),
        (
            "no such image, backing off",
            waiting(
                "ImagePullBackOff", 'Back-off pulling image "r/x": ErrImagePull: manifest unknown'
            ),
            FAILED,
            Cause.RELEASE,
        ),
        (
            "a denied image",
            waiting(
                "ErrImagePull",
                "pull access denied, repository does not exist or may require authorization",
            ),
            FAILED,
            Cause.RELEASE,
        ),
        (
            "a wrong image name",
            waiting("InvalidImageName", "couldn't parse image name"),
            FAILED,
            Cause.RELEASE,
        ),
        (
            "a registry that is throttled",
            waiting("ErrImagePull", "unexpected status code: 429 Too Many Requests"),
            PROGRESS,
            Cause.PLATFORM,
        ),
        (
            "a registry that fails",
            waiting("ErrImagePull", "unexpected status from HEAD request: 503 Service Unavailable"),
            PROGRESS,
            Cause.PLATFORM,
        ),
        (
            "a registry that does not answer",
            waiting("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout"),
            PROGRESS,
            Cause.PLATFORM,
        ),
        (
            "a registry whose name is not found",
            waiting("ErrImagePull", "dial tcp: lookup r.example.com: no such host: not found"),
            PROGRESS,
            Cause.PLATFORM,
        ),
        (
            "a pull that says nothing yet",
            waiting("ImagePullBackOff", 'Back-off pulling image "r/x"'),
            PROGRESS,
            Cause.PLATFORM,
        ),
        (
            "a ConfigMap that is missing",
            waiting("CreateContainerConfigError", 'configmap "x" not found'),
            FAILED,
            Cause.RELEASE,
        ),
        (
            "a cache that is not filled yet",
            waiting("CreateContainerConfigError", "failed to sync configmap cache: timed out"),
            PROGRESS,
            Cause.PLATFORM,
        ),
        (
            "a command that is not there",
            waiting("RunContainerError", "exec: no such file"),
            FAILED,
            Cause.RELEASE,
        ),
        ("a container that is made", waiting("ContainerCreating"), PROGRESS, Cause.NONE),
    ],
)
def test_a_deployment_is_looked_through(
    case: str, container: dict[str, Any], status: HealthStatus, cause: Cause
) -> None:
    family = (replica_set(1, "old"), replica_set(2, "new"), pod("new", **container))
    found = assess(deployment(**BUSY), family)
    assert (found.status, found.cause) == (status, cause), case
    if status is FAILED:
        assert found.evidence[0].name == "a-1"


def test_a_pod_of_the_old_template_proves_nothing() -> None:
    family = (replica_set(1, "old"), replica_set(2, "new"), pod("old", **CRASH))
    assert assess(deployment(**BUSY), family).status is PROGRESS


def test_a_new_template_that_has_no_pods_yet_is_not_judged_by_the_old_ones() -> None:
    given = deployment(**BUSY)
    given["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "3"}
    family = (replica_set(2, "new"), pod("new", **CRASH))
    assert assess(given, family).status is PROGRESS


def test_a_pod_that_nobody_can_place_is_the_platforms() -> None:
    lost = pod("new")
    lost["status"] = {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
    }
    found = assess(deployment(**BUSY), (replica_set(1, "new"), lost))
    assert (found.status, found.cause) == (PROGRESS, Cause.PLATFORM)


def test_a_stateful_set_is_judged_by_the_pods_of_its_update() -> None:
    given = obj(
        "StatefulSet", spec={"replicas": 1}, status={"replicas": 1, "updateRevision": "a-2"}
    )
    broken = pod("u", **CRASH)
    broken["metadata"]["labels"] = {"controller-revision-hash": "a-1"}
    assert assess(given, (broken,)).status is PROGRESS
    broken["metadata"]["labels"] = {"controller-revision-hash": "a-2"}
    assert assess(given, (broken,)).status is FAILED


def test_a_long_message_is_cut() -> None:
    found = assess(
        deployment(**BUSY),
        (replica_set(1, "new"), pod("new", **waiting("InvalidImageName", "x" * 10_000))),
    )
    assert len(found.evidence[0].message) <= 300


PULL = 'failed to pull and unpack image "docker.io/x/geofence:503": failed to resolve reference '
PULL += '"docker.io/x/geofence:503": '


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        # What names the image: it is not there, or not for us.
        (f"rpc error: code = NotFound desc = {PULL}docker.io/x/geofence:503: not found", "release"),
        (f"{PULL}docker.io/x/timeout-svc:1: not found", "release"),
        (
            f"{PULL}pull access denied, repository does not exist or may require authorization: "
            "server message: insufficient_scope: authorization failed",
            "release",
        ),
        (
            f"{PULL}pulling from host k8s.gcr.io failed with status code [manifests v2]: 403 Forbidden",
            "release",
        ),
        (
            f"{PULL}unexpected status from HEAD request to https://gcr.io/v2/x/manifests/2.14.1: "
            "403 Forbidden",
            "release",
        ),
        (
            f"{PULL}failed to authorize: failed to fetch anonymous token: 401 Unauthorized",
            "release",
        ),
        ("reading manifest latest in registry.example.com/x: manifest unknown", "release"),
        (
            "reading manifest 1.0.0 in quay.io/x/y: unauthorized: access to the requested resource is "
            "not authorized",
            "release",
        ),
        ("Error response from daemon: manifest for r/x:1 not found: manifest unknown", "release"),
        ("denied: requested access to the resource is denied", "release"),
        (f'Back-off pulling image "r/x:1": ErrImagePull: {PULL}r/x:1: not found', "release"),
        # What may be the registry's or the network's.
        (
            "failed to copy: httpReadSeeker: failed open: unexpected status code "
            "https://registry-1.docker.io/v2/x/blobs/sha256:56a6: 500 Internal Server Error",
            "platform",
        ),
        (
            "failed to copy: httpReadSeeker: failed open: unexpected status code "
            "https://registry-1.docker.io/v2/x/manifests/sha256:8d0b: 429 Too Many Requests - Server "
            "message: toomanyrequests: You have reached your pull rate limit.",
            "platform",
        ),
        (
            f"{PULL}unexpected status from HEAD request to https://r/v2/: 503 Service Unavailable",
            "platform",
        ),
        (
            f"{PULL}failed to authorize: failed to fetch oauth token: unexpected status from GET "
            "request to https://auth.docker.io/token: 502 Bad Gateway: authorization failed",
            "platform",
        ),
        (
            f'{PULL}failed to do request: Head "https://r/v2/": net/http: TLS handshake timeout',
            "platform",
        ),
        (
            f'{PULL}failed to do request: Head "https://r/v2/": dial tcp 10.0.0.1:443: i/o timeout',
            "platform",
        ),
        (f'{PULL}failed to do request: Head "https://r/v2/": EOF', "platform"),
        (
            f'{PULL}failed to do request: Head "https://r/v2/": dial tcp: lookup r: no such host',
            "platform",
        ),
        (
            f'{PULL}failed to do request: Head "https://r/v2/": x509: certificate has expired',
            "platform",
        ),
        (
            "rpc error: code = Canceled desc = failed to pull and unpack image: context canceled",
            "platform",
        ),
        (
            "failed to extract layer: write /var/lib/x: no space left on device: not found",
            "platform",
        ),
        ("pull QPS exceeded", "platform"),
        ("unexpected status code https://r/v2/x/blobs/sha256:1: 400 Bad Request", "platform"),
        ("", "platform"),
    ],
)
def test_whose_fault_a_failed_pull_is(message: str, cause: str) -> None:
    family = (replica_set(2, "new"), pod("new", **waiting("ErrImagePull", message)))
    found = assess(deployment(**BUSY), family)
    assert found.cause.value == cause
    assert found.status is (FAILED if cause == "release" else PROGRESS)


@pytest.mark.parametrize(
    ("reason", "message", "status"),
    [
        (
            "CreateContainerError",
            'failed to reserve container name "x" is reserved for "y"',
            PROGRESS,
        ),
        ("RunContainerError", "failed to create shim task: context deadline exceeded", PROGRESS),
        ("RunContainerError", 'exec: "/bin/app": stat /bin/app: no such file or directory', FAILED),
        ("CreateContainerConfigError", "couldn't find key a in ConfigMap web/x", FAILED),
        ("SignatureValidationFailed", "no signature of ours", FAILED),
        (
            "ErrImageNeverPull",
            'Container image "r/x" is not present with pull policy of Never',
            PROGRESS,
        ),
    ],
)
def test_whose_fault_it_is_that_a_container_does_not_start(
    reason: str, message: str, status: HealthStatus
) -> None:
    family = (replica_set(2, "new"), pod("new", **waiting(reason, message)))
    assert assess(deployment(**BUSY), family).status is status


def test_pods_without_a_known_template_prove_nothing() -> None:
    stateful = obj("StatefulSet", spec={"replicas": 1}, status={"replicas": 1})
    assert assess(stateful, (pod("u", **CRASH),)).status is PROGRESS
    daemons = obj("DaemonSet", spec={}, status=SEEN)
    assert assess(daemons, (pod("u", **CRASH),)).status is PROGRESS


@pytest.mark.parametrize(("generation", "status"), [("7", FAILED), ("6", PROGRESS)])
def test_a_daemon_set_is_judged_by_the_pods_of_its_template(
    generation: str, status: HealthStatus
) -> None:
    notes = {"deprecated.daemonset.template.generation": "7"}
    given = obj("DaemonSet", metadata={"annotations": notes}, spec={}, status=SEEN)
    broken = pod("u", **CRASH)
    broken["metadata"]["labels"] = {"pod-template-generation": generation}
    assert assess(given, (broken,)).status is status


def daemon_pod(name: str, revision: str, made: str) -> dict[str, Any]:
    found = pod("u", name=name, **CRASH)
    found["metadata"]["labels"] = {"controller-revision-hash": revision}
    found["metadata"]["creationTimestamp"] = made
    return found


@pytest.mark.parametrize(
    ("case", "updated", "family", "status"),
    [
        ("one was made anew", 1, [("a", "2026-01-01T00:00:09Z")], FAILED),
        ("none is of the new template yet", 0, [("a", "2026-01-01T00:00:09Z")], PROGRESS),
        (
            "two were made at once, and nobody knows which is new",
            1,
            [("a", "2026-01-01T00:00:09Z"), ("b", "2026-01-01T00:00:09Z")],
            PROGRESS,
        ),
        ("nobody knows when it was made", 1, [("a", "")], PROGRESS),
    ],
)
def test_without_that_name_a_daemon_set_is_judged_by_the_pods_made_last(
    case: str, updated: int, family: list[tuple[str, str]], status: HealthStatus
) -> None:
    counts = {**SEEN, "desiredNumberScheduled": 2, "updatedNumberScheduled": updated}
    given = obj("DaemonSet", spec={}, status=counts)
    pods = tuple(daemon_pod(f"p-{revision}", revision, made) for revision, made in family)
    assert assess(given, pods).status is status, case


def failed_job(reason: str) -> dict[str, Any]:
    conditions = [{"type": "Failed", "status": "True", "reason": reason, "message": "m"}]
    return obj("Job", "batch/v1", spec={}, status={"conditions": conditions})


def taken(reason: str) -> dict[str, Any]:
    found = pod("u")
    found["status"] = {"phase": "Failed", "reason": reason}
    return found


@pytest.mark.parametrize(
    ("case", "reason", "family", "cause"),
    [
        ("its containers ended too often", "BackoffLimitExceeded", (), Cause.RELEASE),
        ("its Pods were evicted", "BackoffLimitExceeded", (taken("Evicted"),), Cause.NONE),
        (
            "one was evicted, and another failed",
            "BackoffLimitExceeded",
            (taken("Evicted"), pod("u", name="a-2", **CRASH)),
            Cause.RELEASE,
        ),
        ("it ran out of time", "DeadlineExceeded", (), Cause.NONE),
        (
            "it ran out of time in a crash loop",
            "DeadlineExceeded",
            (pod("u", **CRASH),),
            Cause.RELEASE,
        ),
    ],
)
def test_whose_fault_a_failed_job_is(
    case: str, reason: str, family: tuple[Any, ...], cause: Cause
) -> None:
    found = assess(failed_job(reason), family)
    assert (found.status, found.cause) == (FAILED, cause), case


@pytest.mark.parametrize("odd", ["1", {}, [], True, 1e300])
def test_a_number_that_is_none_is_not_passed_on_as_evidence(odd: Any) -> None:
    container = {**CRASH, "lastState": {"terminated": {"exitCode": odd, "reason": "Error"}}}
    family = (replica_set(2, "new"), pod("new", **container))
    found = assess(deployment(**BUSY), family)
    assert found.evidence[0].exit_code is None


def test_a_number_beyond_all_numbers_is_malformed() -> None:
    given = obj("Deployment", spec={"replicas": float("inf")}, status={})
    found = assess(given, ())
    assert (found.status, found.reason) == (UNKNOWN, "Malformed")


@pytest.mark.parametrize(
    ("case", "phase", "ready", "status"),
    [
        ("it runs and is ready", "Running", "True", CURRENT),
        ("it runs and is not ready", "Running", "False", PROGRESS),
        ("it says ready and does not run", "Pending", "True", PROGRESS),
        ("it has ended well", "Succeeded", "False", CURRENT),
        ("nothing is known yet", None, "True", PROGRESS),
    ],
)
def test_a_pod_of_its_own(case: str, phase: str | None, ready: str, status: HealthStatus) -> None:
    given = obj("Pod", "v1")
    given["status"] = {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}
    assert assess(given, ()).status is status, case


def test_a_pod_that_was_evicted_is_the_platforms() -> None:
    given = obj("Pod", "v1", status={"phase": "Failed", "reason": "Evicted", "message": "low disk"})
    found = assess(given, ())
    assert (found.status, found.reason, found.cause) == (PROGRESS, "Evicted", Cause.PLATFORM)
    assert "low disk" in found.message


def test_an_exit_that_happened_at_once_is_suspect_before_any_restart() -> None:
    ended = {"terminated": {"exitCode": 2, "reason": "Error"}}
    family = (replica_set(2, "new"), pod("new", state=ended))
    found = assess(deployment(**BUSY), family)
    assert (found.status, found.reason, found.cause) == (PROGRESS, "Exited", Cause.RELEASE)
    assert "ended once, with exit code 2 (Error)" in found.message
