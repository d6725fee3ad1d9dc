"""Whether a cluster answers: how soon it is known, who is told, and when it is looked at from the start."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from reconciler.errors import Refused
from reconciler.model.events import Event, EventKind
from reconciler.model.names import ClusterName
from reconciler.model.objects import ObjectRef
from reconciler.model.times import rfc3339
from reconciler.ports.kube import Propagation
from reconciler.shell.executor.pulse import BEAT_S, BEAT_WHILE_DOWN_S, Pulse
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.cluster import SimulatedCluster

NAMESPACE = ObjectRef("v1", "Namespace", "", "reconciler-system")


@dataclass
class Beating:
    """A pulse and what it has told.

    Attributes:
        refusal: What preparing meets; None: it makes our namespace.
        prepared: How often the cluster was looked at from the start.
    """

    clock: VirtualClock = field(default_factory=VirtualClock)
    told: list[Event] = field(default_factory=list)
    changes: int = 0
    prepared: int = 0
    refusal: Exception | None = None

    def __post_init__(self) -> None:
        self.cluster = SimulatedCluster("dev-1", clock=self.clock)
        self.client = self.cluster.client()
        self.pulse = Pulse(
            ClusterName("dev-1"),
            self.client,
            clock=self.clock,
            namespace=NAMESPACE.name,
            on_change=self._changed,
            on_event=self.told.append,
            prepare=self._prepare,
        )

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.told]

    def _changed(self) -> None:
        self.changes += 1

    def _prepare(self) -> None:
        self.prepared += 1
        if self.refusal is not None:
            raise self.refusal
        if self.client.get(NAMESPACE) is None:
            metadata = {"name": NAMESPACE.name}
            self.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def reachable(made: Beating) -> bool:
    return made.pulse.is_reachable


@pytest.fixture
def made() -> Beating:
    return Beating()


def test_nothing_is_reachable_before_it_has_answered(made: Beating) -> None:
    assert (made.pulse.is_reachable, made.pulse.was_asked) == (False, False)
    assert made.pulse.error


def test_an_answer_and_a_silence_are_each_told_once(made: Beating) -> None:
    for _ in range(3):
        assert made.pulse.step() == BEAT_S
    made.cluster.faults.is_down = True
    for _ in range(3):
        assert made.pulse.step() == BEAT_WHILE_DOWN_S
    assert not reachable(made) and made.pulse.error
    made.cluster.faults.is_down = False
    made.pulse.step()
    assert reachable(made) and not made.pulse.error
    down, up = EventKind.CLUSTER_UNREACHABLE, EventKind.CLUSTER_REACHABLE
    assert made.kinds() == [up, down, up]
    assert made.changes == 3
    assert made.prepared == 1, "it is the same namespace"


def test_when_it_answered_last_is_known_of_a_silent_one(made: Beating) -> None:
    made.pulse.step()
    answered_s = made.clock.monotonic_s()
    made.clock.advance(30)
    made.cluster.faults.is_down = True
    made.pulse.step()
    assert made.pulse.last_answer_s == answered_s


def test_one_that_is_not_what_it_should_be_is_not_reachable_and_is_asked_again(
    made: Beating,
) -> None:
    made.refusal = Refused("cluster dev-1", "it is another cluster", "its UID is another")
    made.pulse.step()
    assert not reachable(made) and "another cluster" in made.pulse.error
    assert made.told[-1].reason == "Denied"
    made.refusal = None
    made.pulse.step()
    assert reachable(made) and made.prepared == 2


def test_a_namespace_that_was_made_anew_is_looked_at_from_the_start(made: Beating) -> None:
    made.pulse.step()
    found = made.client.get(NAMESPACE)
    assert found is not None
    made.client.delete(
        NAMESPACE,
        uid=found["metadata"]["uid"],
        resource_version="",
        propagation=Propagation.BACKGROUND,
    )
    made.cluster.step()
    assert made.client.get(NAMESPACE) is None
    made.pulse.step()
    assert made.prepared == 2 and reachable(made)


def test_a_person_may_suspend_the_cluster_for_a_time(made: Beating) -> None:
    made.pulse.step()
    found = made.client.get(NAMESPACE)
    assert found is not None
    until = rfc3339(made.clock.now() + timedelta(hours=1))
    annotations = {
        "reconciler.dev/suspend-until": until,
        "reconciler.dev/suspend-reason": "an upgrade",
    }
    stopped = {**found, "metadata": {**found["metadata"], "annotations": annotations}}
    made.client.replace(stopped, subresource=None)
    changes = made.changes
    made.pulse.step()
    assert "an upgrade" in str(made.pulse.suspended) and made.changes == changes + 1
    made.clock.advance(3601)
    made.pulse.step()
    assert made.pulse.suspended is None and made.changes == changes + 2
