"""What a kubelet makes of Pods beyond one container that asks for nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.simulated.behaviour import Fate, Pace, digest_for
from reconciler.simulated.kubelet import back_off, status_of
from reconciler.simulated.runtime import image_name, image_ref, pull_error

SETTLED_S = 10.0
ALL = {"cpu": "1", "memory": "1Gi"}


def status(*containers: dict[str, Any]) -> dict[str, Any]:
    """Returns the status of a Pod that has these containers, when it is settled."""
    named = [{"name": f"c{n}", "image": image(Fate.READY), **c} for n, c in enumerate(containers)]
    pod = {
        "metadata": {"name": "web", "namespace": "default", "uid": "1"},
        "spec": {"containers": named},
    }
    return status_of(pod, SETTLED_S, datetime.now(UTC), Pace())


def image(fate: Fate) -> str:
    return f"registry.example.com/web@{digest_for(fate)}"


def asks(requests: dict[str, str], limits: dict[str, str]) -> dict[str, Any]:
    return {"resources": {"requests": requests, "limits": limits}}


@pytest.mark.parametrize(
    ("restarts", "wait"),
    [(1, "10s"), (2, "20s"), (3, "40s"), (4, "1m20s"), (5, "2m40s"), (6, "5m0s"), (60, "5m0s")],
)
def test_a_back_off_is_doubled_up_to_five_minutes(restarts: int, wait: str) -> None:
    assert back_off(restarts) == wait


@pytest.mark.parametrize(
    ("fates", "phase"),
    [
        pytest.param((Fate.READY, Fate.READY), "Running", id="all run"),
        pytest.param((Fate.READY, Fate.NO_IMAGE), "Pending", id="one was never started"),
        pytest.param((Fate.READY, Fate.CRASH), "Running", id="one ended and is started again"),
        pytest.param((Fate.CRASH, Fate.CRASH), "Running", id="all ended and are started again"),
    ],
)
def test_a_pod_is_pending_while_a_container_was_never_started(
    fates: tuple[Fate, ...], phase: str
) -> None:
    assert status(*({"image": image(fate)} for fate in fates))["phase"] == phase


def test_every_container_that_is_not_ready_is_named() -> None:
    found = status({"image": image(Fate.CRASH)}, {}, {"image": image(Fate.NEVER_READY)})
    (ready,) = [c for c in found["conditions"] if c["type"] == "Ready"]
    assert ready["message"] == "containers with unready status: [c0 c2]"


@pytest.mark.parametrize(
    ("containers", "wanted"),
    [
        pytest.param([{}], "BestEffort", id="nothing"),
        pytest.param([asks({"cpu": "1"}, {})], "Burstable", id="a request"),
        pytest.param([asks(ALL, {**ALL, "cpu": "2"})], "Burstable", id="a limit above a request"),
        pytest.param([asks(ALL, ALL)], "Guaranteed", id="limits that are the requests"),
        pytest.param([asks({}, ALL)], "Guaranteed", id="limits alone"),
        pytest.param([asks(ALL, ALL), {}], "Burstable", id="one of two containers"),
    ],
)
def test_resources_give_a_class_of_service(containers: list[dict[str, Any]], wanted: str) -> None:
    assert status(*containers)["qosClass"] == wanted


def test_a_containers_resources_are_told_and_of_one_container_the_pods() -> None:
    found = status(asks({"cpu": "1"}, ALL))
    (container,) = found["containerStatuses"]
    for told in (found, container):
        assert told["resources"] == {"requests": {"cpu": "1"}, "limits": ALL}
        assert told["allocatedResources"] == {"cpu": "1"}


def test_an_image_is_called_by_its_tag_or_else_by_its_id() -> None:
    tagged, pinned = "registry.example.com:5000/a/b:1.0", "registry.example.com/a@sha256:ab"
    assert image_name(tagged) == tagged
    assert image_ref(tagged).startswith("registry.example.com:5000/a/b@sha256:")
    assert image_name(pinned).startswith("sha256:")
    assert image_ref(pinned) == pinned
    assert image_ref("registry.example.com/a:1@sha256:ab") == pinned
    url = "https://registry.example.com:5000/v2/a/b/manifests/1.0:"
    assert url in pull_error(tagged, Fate.THROTTLED)
