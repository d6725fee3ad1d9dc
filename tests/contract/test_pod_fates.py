"""What becomes of Pods: simulated clusters and our stages of the real one write what a kubelet writes."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.kube.connections import Allowances, from_kubeconfig
from reconciler.core.health import assess
from reconciler.model.health import Cause, HealthStatus
from reconciler.simulated.behaviour import Fate, Pace, digest_for
from reconciler.simulated.kubelet import status_of
from reconciler.simulated.runtime import PULL_ERRORS
from tests.controlplane.cluster import ControlPlane

LIMIT_S = 30.0
PODS = "/api/v1/namespaces/default/pods"
SETTLED_S = 3.5 * Pace().pull_every_s
"""An age at which a simulated Pod is ready, has crashed twice, or backs off from pulling."""

STEPS_S = dict.fromkeys((Fate.CRASH, Fate.OOM), Pace().crash_every_s) | dict.fromkeys(
    PULL_ERRORS, Pace().pull_every_s
)
"""From one status of a fate to its next, where it has more than one."""

RECORDINGS = Path(__file__).parent / "kubelet"

OWN = {
    r"\d{4}-\d\d-\d\dT[0-9:]+Z": "<time>",
    r"containerd://[0-9a-f]{64}": "containerd://<id>",
    r"sha256:[0-9a-f]{64}": "sha256:<id>",
    r"\b\d+\.\d+\.\d+\.\d+\b": "<ip>",
}
"""What is another at each Pod, and how it is written here."""

PLAYED: list[Fate] = [fate for fate in Fate if fate is not Fate.UNSCHEDULABLE]
"""That one is the scheduler's to say, and has a test of its own."""

OTHERS: dict[str, dict[str, Fate]] = {
    "left-crash": {"web": Fate.CRASH},
    "left-oom": {"web": Fate.OOM},
    "left-beside": {"web": Fate.READY, "side": Fate.CRASH},
    "left-no-image": {"web": Fate.CRASH, "side": Fate.NO_IMAGE},
    "beside-ready": {"web": Fate.READY, "side": Fate.READY},
    "beside-crash": {"web": Fate.READY, "side": Fate.CRASH},
    "beside-no-image": {"web": Fate.READY, "side": Fate.NO_IMAGE},
    "after-init": {"init": Fate.READY, "web": Fate.READY},
    "init-crash": {"init": Fate.CRASH, "web": Fate.READY},
    "init-no-image": {"init": Fate.NO_IMAGE, "web": Fate.READY},
}
"""Pods that are not started again, and Pods of several containers, with what becomes of each of those."""

ALONE: dict[str, dict[str, Fate]] = {fate.value: {"web": fate} for fate in PLAYED}

EACH = ALONE | OTHERS

OURS = [name for name, fates in EACH.items() if set(fates.values()) != {Fate.READY}]
"""kwok makes other Pods ready by its own stage, which leaves some of a kubelet's fields out."""


def _pod(fate: Fate) -> dict[str, Any]:
    image = f"registry.example.com/{fate.value}@{digest_for(fate)}"
    # A request that no node can meet is what makes the real scheduler say that.
    greedy = {"resources": {"requests": {"cpu": "9000"}}} if fate is Fate.UNSCHEDULABLE else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"fate-{fate.value}", "namespace": "default"},
        "spec": {"containers": [{"name": "web", "image": image, **greedy}]},
    }


def _until(
    plane: ControlPlane, name: str, is_done: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    deadline_s = time.monotonic() + LIMIT_S
    found: dict[str, Any] = {}
    while time.monotonic() < deadline_s:
        found = plane.request("GET", f"{PODS}/{name}")
        if is_done(found):
            return found
        time.sleep(0.1)
    raise AssertionError(found.get("status"))


@dataclass(frozen=True)
class Recorded:
    """What a kubelet's own code made of a fate.

    Attributes:
        source: How it came to be, for people.
        pod: The Pod as it was created.
        statuses: What was written, in order.
    """

    source: str
    pod: dict[str, Any]
    statuses: list[dict[str, Any]]

    @property
    def shapes(self) -> list[dict[str, Any]]:
        """What every front must write, in order."""
        return [shape(self.pod, status) for status in self.statuses]


def recorded(fate: Fate | str) -> Recorded:
    """Returns the recording of a fate, or of a Pod that has another name."""
    return Recorded(**json.loads((RECORDINGS / f"{fate}.json").read_text()))


def shape(pod: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    """Returns a status, field for field and word for word, but for what is another at each Pod."""
    meta, text = pod["metadata"], json.dumps(status)
    names = [(meta["uid"], "<uid>"), (meta["name"], "<pod>")]
    for container in _containers(pod):
        image = container["image"]
        registry, repository, digest = re.split("[/@]", image)
        manifest = f"https://{registry}/v2/{repository}/manifests/{digest}"
        names = [(image, "<image>"), (manifest, "<manifest>"), *names]
    for one, name in names:
        text = text.replace(one, name)
    for pattern, name in OWN.items():
        text = re.sub(pattern, name, text)
    made: dict[str, Any] = json.loads(text)
    return {**made, "conditions": {c.pop("type"): c for c in made["conditions"]}}


@pytest.mark.parametrize("fate", Fate)
def test_a_recording_names_its_source(fate: Fate) -> None:
    assert re.search(r"v1\.37\.2", recorded(fate).source)


@pytest.mark.parametrize("fate", Fate)
def test_a_simulated_cluster_writes_what_a_kubelet_writes(fate: Fate) -> None:
    pod, wanted = _pod(fate), recorded(fate).shapes
    pod["metadata"]["uid"] = "5f0d3d6e-8c55-4c4b-a7c9-0d4a5d8e5c11"
    now = datetime.now(UTC)
    ages_s = (
        [SETTLED_S] if len(wanted) == 1 else [(n + 0.5) * STEPS_S[fate] for n in range(len(wanted))]
    )
    told = [shape(pod, status_of(pod, age_s, now, Pace())) for age_s in ages_s]
    assert len(told) == len(wanted)
    for step, one in enumerate(told):
        assert one == wanted[step], step


@pytest.mark.parametrize("name", OTHERS)
def test_a_simulated_cluster_writes_what_a_kubelet_writes_of_other_pods(name: str) -> None:
    record, pod = recorded(name), _recorded_pod(name)
    assert re.search(r"v1\.37\.2", record.source)
    # The runtime that was recorded has started a container as soon as it is asked about.
    pace, now = Pace(ready_after_s=0.0), datetime.now(UTC)
    step_s = min((STEPS_S[fate] for fate in OTHERS[name].values() if fate in STEPS_S), default=1.0)
    for step, one in enumerate(_written(name)):
        told = status_of(pod, (step + 0.5) * step_s, now, pace)
        assert shape(pod, told) == one, step


def _recorded_pod(name: str) -> dict[str, Any]:
    """Returns the Pod that was recorded, with images that bring each container to what becomes of it there."""
    pod: dict[str, Any] = json.loads(json.dumps(recorded(name).pod))
    for container in _containers(pod):
        digest = digest_for(EACH[name][container["name"]])
        container["image"] = f"registry.example.com/{container['name']}@{digest}"
    return pod


def _written(name: str) -> list[dict[str, Any]]:
    """Returns what every front must write of it, in order.

    The sandbox of a Pod that has ended is stopped there by the time that it is told.
    """
    shapes = recorded(name).shapes
    return shapes[-1:] if shapes[-1]["phase"] == "Failed" else shapes


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


@pytest.mark.parametrize(
    ("fate", "status", "cause", "words"),
    [
        (Fate.READY, HealthStatus.CURRENT, Cause.NONE, ""),
        (Fate.CRASH, HealthStatus.FAILED, Cause.RELEASE, "exit code 1"),
        (Fate.OOM, HealthStatus.FAILED, Cause.RELEASE, "OOMKilled"),
        (Fate.NO_IMAGE, HealthStatus.FAILED, Cause.RELEASE, "not found"),
        (Fate.DENIED, HealthStatus.FAILED, Cause.RELEASE, "no basic auth credentials"),
        (Fate.THROTTLED, HealthStatus.IN_PROGRESS, Cause.PLATFORM, "429 Too Many Requests"),
        (Fate.PULL_TIMEOUT, HealthStatus.IN_PROGRESS, Cause.PLATFORM, "i/o timeout"),
        (Fate.UNSCHEDULABLE, HealthStatus.IN_PROGRESS, Cause.PLATFORM, "Insufficient cpu"),
        (Fate.NEVER_READY, HealthStatus.IN_PROGRESS, Cause.NONE, ""),
        (Fate.ONE_EXIT, HealthStatus.CURRENT, Cause.NONE, ""),
        (Fate.NO_CONFIG, HealthStatus.FAILED, Cause.RELEASE, 'configmap "missing" not found'),
    ],
)
def test_what_a_kubelet_writes_is_judged_and_its_cause_is_told(
    fate: Fate, status: HealthStatus, cause: Cause, words: str
) -> None:
    record = recorded(fate)
    pod = {"apiVersion": "v1", "kind": "Pod", **record.pod, "status": record.statuses[-1]}
    health = assess(pod, ())
    assert (health.status, health.cause) == (status, cause)
    assert words in health.message


def _made(plane: ControlPlane, name: str, *, called: str) -> dict[str, Any]:
    pod = _recorded_pod(name)
    pod["metadata"] = {"name": called, "namespace": "default"}
    return plane.request("POST", PODS, {"apiVersion": "v1", "kind": "Pod", **pod})


@pytest.mark.parametrize("name", OURS)
def test_our_stages_write_what_a_kubelet_writes(planes: dict[str, ControlPlane], name: str) -> None:
    plane = planes["dev-1"]
    client = from_kubeconfig(
        plane.admin_kubeconfig,
        plane.name,
        name=plane.name,
        allow=Allowances(),
        request_timeout_s=10,
    )
    only = {"namespace": "default", "label_selector": ""}
    since = client.list("v1", "Pod", **only).resource_version
    made = _made(plane, name, called=f"fate-{name}")
    wanted, told = _written(name), []
    try:
        for event in client.watch("v1", "Pod", **only, resource_version=since, timeout_s=LIMIT_S):
            status = event.object.get("status") or {}
            if event.object["metadata"]["uid"] == made["metadata"]["uid"] and status.get(
                "containerStatuses"
            ):
                told.append(shape(made, status))
            if len(told) == len(wanted):
                break
    finally:
        plane.request("DELETE", f"{PODS}/{made['metadata']['name']}")
    assert len(told) == len(wanted)
    for step, one in enumerate(told):
        assert one == wanted[step], step


@pytest.mark.parametrize("name", EACH)
def test_a_pod_is_judged_the_same(planes: dict[str, ControlPlane], name: str) -> None:
    plane = planes["dev-1"]
    pod = {"apiVersion": "v1", "kind": "Pod", **_recorded_pod(name)}
    wanted = assess({**pod, "status": _settled(pod)}, ())
    made = _made(plane, name, called=f"judged-{name}")

    def is_judged(found: dict[str, Any]) -> bool:
        health = assess(found, ())
        return (health.status, health.reason, health.cause) == (
            wanted.status,
            wanted.reason,
            wanted.cause,
        )

    try:
        _until(plane, made["metadata"]["name"], is_judged)
    finally:
        plane.request("DELETE", f"{PODS}/{made['metadata']['name']}")


def test_the_schedulers_own_words_are_the_platforms_fault(planes: dict[str, ControlPlane]) -> None:
    plane, pod = planes["dev-1"], _pod(Fate.UNSCHEDULABLE)
    made = plane.request("POST", PODS, pod)
    try:
        found = _until(
            plane, made["metadata"]["name"], lambda p: bool(p["status"].get("conditions"))
        )
        assert [shape(made, found["status"])] == recorded(Fate.UNSCHEDULABLE).shapes
        wanted = assess({**pod, "status": _settled(pod)}, ())
        judged = assess(found, ())
        assert (judged.status, judged.reason, judged.cause) == (
            wanted.status,
            wanted.reason,
            wanted.cause,
        )
    finally:
        plane.request("DELETE", f"{PODS}/{made['metadata']['name']}")


def _settled(pod: dict[str, Any]) -> dict[str, Any]:
    return status_of(pod, SETTLED_S, datetime.now(UTC), Pace())
