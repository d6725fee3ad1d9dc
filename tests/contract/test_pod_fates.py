"""What becomes of Pods: the simulated kubelet's words and the real control plane's stages say the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.core.health import assess
from reconciler.simulated.behaviour import Fate, Pace, digest_for
from reconciler.simulated.kubelet import status_of
from tests.controlplane.cluster import ControlPlane

LIMIT_S = 30.0
PODS = "/api/v1/namespaces/default/pods"
SETTLED_S = 3.5 * Pace().pull_every_s
"""An age at which a simulated Pod is ready, has crashed twice, or backs off from pulling."""

PLAYED = [fate for fate in Fate if fate is not Fate.UNSCHEDULABLE]
"""That one is the scheduler's to say, and has a test of its own."""

OURS = [fate for fate in PLAYED if fate is not Fate.READY]
"""kwok makes other Pods ready by its own stage, which leaves some of a kubelet's fields out."""


def _pod(fate: Fate) -> dict[str, Any]:
    image = f"registry.example.com/{fate.value}@{digest_for(fate)}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"fate-{fate.value}", "namespace": "default"},
        "spec": {"containers": [{"name": "web", "image": image}]},
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


def _told(status: dict[str, Any]) -> dict[str, Any]:
    """What a status says, without times and addresses."""
    (container,) = status["containerStatuses"]
    (state, said), *_ = container["state"].items()
    ended = (container.get("lastState") or {}).get("terminated") or {}
    return {
        "phase": status["phase"],
        "conditions": {
            c["type"]: (c["status"], c.get("reason"), c.get("message"))
            for c in status["conditions"]
        },
        "container": {
            name: value
            for name, value in container.items()
            if name not in ("state", "lastState", "restartCount", "imageID", "resources")
        },
        "state": (state, said.get("reason"), said.get("message")),
        "ended": (ended.get("reason"), ended.get("exitCode")),
    }


@pytest.mark.parametrize("fate", OURS)
def test_a_fate_is_told_in_the_same_words(planes: dict[str, ControlPlane], fate: Fate) -> None:
    plane, pod = planes["dev-1"], _pod(fate)
    wanted = _told(_settled(pod))
    made = plane.request("POST", PODS, pod)
    try:
        _until(plane, made["metadata"]["name"], lambda p: _is_told(p, wanted))
    finally:
        plane.request("DELETE", f"{PODS}/{made['metadata']['name']}")


@pytest.mark.parametrize("fate", PLAYED)
def test_a_fate_is_judged_the_same(planes: dict[str, ControlPlane], fate: Fate) -> None:
    plane, pod = planes["dev-1"], _pod(fate)
    pod["metadata"]["name"] += "-judged"
    now = datetime.now(UTC)
    wanted = assess({**pod, "status": _settled(pod)}, (), now=now)
    made = plane.request("POST", PODS, pod)

    def is_judged(found: dict[str, Any]) -> bool:
        health = assess(found, (), now=datetime.now(UTC))
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
    plane, pod = planes["dev-1"], _pod(Fate.READY)
    pod["metadata"]["name"] = "fate-unschedulable"
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "9000"}}
    made = plane.request("POST", PODS, pod)
    try:
        found = _until(
            plane, made["metadata"]["name"], lambda p: bool(p["status"].get("conditions"))
        )
        (condition,) = [c for c in found["status"]["conditions"] if c["type"] == "PodScheduled"]
        assert condition["reason"] == "Unschedulable"
        assert "Insufficient cpu" in condition["message"]
        simulated = _pod(Fate.UNSCHEDULABLE)
        wanted = assess({**simulated, "status": _settled(simulated)}, (), now=datetime.now(UTC))
        judged = assess(found, (), now=datetime.now(UTC))
        assert (judged.status, judged.reason, judged.cause) == (
            wanted.status,
            wanted.reason,
            wanted.cause,
        )
    finally:
        plane.request("DELETE", f"{PODS}/{made['metadata']['name']}")


def _settled(pod: dict[str, Any]) -> dict[str, Any]:
    return status_of(pod, SETTLED_S, datetime.now(UTC), Pace())


def _is_told(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    status = found.get("status") or {}
    return bool(status.get("containerStatuses")) and _told(status) == wanted
