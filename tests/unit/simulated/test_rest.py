"""Controllers that are at rest do nothing, and are at rest only when nothing is left to be done."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Propagation
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.behaviour import Fate, Pace, digest_for
from reconciler.simulated.cluster import SimulatedCluster
from tests.fakes.at_work import workload

WEB = ObjectRef("apps/v1", "Deployment", "web", "web")


class Running:
    """A clock that goes on while it is read, as a machine's own does."""

    def __init__(self, each_s: float) -> None:
        self._clock = VirtualClock()
        self._each_s = each_s

    def now(self) -> datetime:
        self._clock.advance(self._each_s)
        return self._clock.now()

    def monotonic_s(self) -> float:
        self._clock.advance(self._each_s)
        return self._clock.monotonic_s()


def cluster(clock: Any) -> SimulatedCluster:
    made = SimulatedCluster("dev-1", clock=clock, pace=Pace())
    client = made.client()
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
    return made


def is_available(made: SimulatedCluster) -> bool:
    found: Any = made.client().get(WEB)
    return bool(found.get("status", {}).get("availableReplicas") == found["spec"]["replicas"])


@pytest.mark.parametrize("each_s", [0.01, 0.02, 0.03, 0.05, 0.08, 0.13])
def test_what_gets_ready_in_the_middle_of_a_step_is_told(each_s: float) -> None:
    made = cluster(Running(each_s))
    made.client().create(workload())
    for _ in range(int(60 / each_s)):
        made.step()
        if is_available(made):
            return
    pytest.fail("the Deployment never got available")


def test_at_rest_no_object_is_looked_at() -> None:
    clock = VirtualClock()
    made = cluster(clock)
    made.client().create(workload())
    for _ in range(100):
        clock.advance(1)
        made.step()
    assert is_available(made)
    version, hands = made.store.version, made._workloads._hands
    made._workloads._hands = None  # type: ignore[assignment]
    clock.advance(1_000)
    made.step()
    made._workloads._hands = hands
    made.client().delete(WEB, uid="", resource_version="", propagation=Propagation.BACKGROUND)
    made.step()
    assert made.store.version > version


def test_a_pod_that_time_will_change_is_no_rest() -> None:
    clock = VirtualClock()
    made = cluster(clock)
    digest = digest_for(Fate.CRASH, "1")
    made.client().create(workload(image=f"registry.example.com/web@{digest}"))
    seen = set()
    for _ in range(60):
        clock.advance(5)
        made.step()
        pods = made.store.peek(made.store.kinds[("v1", "Pod")], "web")
        seen |= {s["restartCount"] for p in pods for s in p["status"]["containerStatuses"]}
    assert len(seen) > 3
