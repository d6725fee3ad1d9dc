"""One executor at work on one simulated cluster, in virtual time, without a coordinator."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from reconciler.core.assembly import ENVIRONMENT_LABEL, SERVICE_LABEL
from reconciler.core.stored import render_digest
from reconciler.errors import TransientError
from reconciler.model.actions import Deliver
from reconciler.model.events import Event, EventKind
from reconciler.model.facts import Member
from reconciler.model.names import ClusterName, EnvironmentName, RevisionId, ServiceName
from reconciler.model.objects import KubeObject, ObjectRef, Rendered
from reconciler.model.policy import DriftMode
from reconciler.model.records import ServiceRecord
from reconciler.model.release import Revision
from reconciler.ports.kube import KubeApi, WatchEvent
from reconciler.schema.records import read_service_record
from reconciler.shell.clusters import bootstrap
from reconciler.shell.executor.cluster import ClusterExecutor
from reconciler.shell.executor.live import Kind, Watched
from reconciler.shell.executor.orders import (
    Adopted,
    CellKey,
    Claim,
    Installation,
    Leadership,
    Order,
    Rights,
)
from reconciler.shell.executor.pulse import Pulse
from reconciler.shell.runner import SeededRunner, Step, VirtualClock, Wake
from reconciler.shell.watching import KindWatch
from reconciler.simulated.behaviour import Pace
from reconciler.simulated.cluster import SimulatedCluster, Written
from tests.fakes.records import revision

WEB, DEV = ServiceName("web"), EnvironmentName("dev")
KEY: CellKey = (WEB, DEV)
DEV_1 = ClusterName("dev-1")
NAMESPACE = "reconciler-system"
AGAIN_S = 0.2
FRESH_S = 5.0


class Killed(BaseException):
    """The process ends here; nothing that comes after is done."""


def labelled(obj: dict[str, Any], key: CellKey = KEY) -> dict[str, Any]:
    """Returns an object with the labels that assembly gives it."""
    labels = {SERVICE_LABEL: key[0], ENVIRONMENT_LABEL: key[1]}
    meta = {**obj["metadata"], "labels": {**labels, **(obj["metadata"].get("labels") or {})}}
    return {**obj, "metadata": meta}


def config_map(name: str = "web", *, key: CellKey = KEY, **data: str) -> dict[str, Any]:
    """Returns a ConfigMap of a service."""
    return labelled(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "web"},
            "data": data,
        },
        key,
    )


def workload(
    kind: str = "Deployment", *, image: str = "example.com/web:1", replicas: int = 2
) -> dict[str, Any]:
    """Returns a workload of the service."""
    spec: dict[str, Any] = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": image}]},
        },
    }
    if kind == "StatefulSet":
        spec["serviceName"] = "web"
    metadata = {"name": "web", "namespace": "web"}
    return labelled({"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec})


def _rendered(objects: tuple[KubeObject, ...]) -> Rendered:
    return Rendered(objects, render_digest(objects, key=b"a key"))


class AtWork:
    """The cluster, what works on it, and what a test may turn at.

    Attributes:
        leadership: What the executor is told when it asks.
        observes: Whether nothing may be written.
        told: Cells about which the coordinator was told, in order.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.runner = SeededRunner(self.clock, 1)
        self.cluster = SimulatedCluster("dev-1", clock=self.clock, pace=Pace())
        self.kube = self.cluster.client()
        self.leadership = Leadership(Claim(1, "one", "default"), leads=True)
        self.observes = False
        self.events: list[Event] = []
        self.told: list[CellKey] = []
        self._alive: list[bool] = []
        bootstrap(self.kube, NAMESPACE)
        self.kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}})
        self.runner.spawn("controllers", self._controllers)
        self.start()

    def start(self) -> None:
        """Starts an executor; an earlier one is left behind as a killed process would be."""
        self.kill()
        self._alive = alive = [True]
        self.api: KubeApi = self.cluster.client()
        pulse = Pulse(
            DEV_1,
            self.api,
            clock=self.clock,
            namespace=NAMESPACE,
            on_change=self._pulse_changed,
            on_event=self.events.append,
        )
        self.pulse = pulse

        def guarded(step: Step) -> Step:
            return lambda: step() if alive[0] else 3600.0

        wakes: list[Wake] = []

        def watch(
            kind: Kind,
            selector: str,
            on_event: Callable[[WatchEvent], None],
            on_fresh: Callable[[], None],
        ) -> Watched:
            made = KindWatch(
                self.api,
                kind,
                namespace=None,
                label_selector=selector,
                clock=self.clock,
                fresh_s=FRESH_S,
                on_event=on_event,
                on_fresh=on_fresh,
                jitter=random.Random(1),
                again_s=AGAIN_S,
                on_not_served=(lambda: None) if "reconciler.dev" in kind[0] else None,
            )

            def step() -> float:
                if pulse.is_reachable:
                    return made.step()
                made.doubt()
                return 600.0

            self.runner.spawn(f"watch {kind[1]}", guarded(step), on_wake=wakes.append)
            return made

        self.executor = ClusterExecutor(
            DEV_1,
            self.api,
            clock=self.clock,
            namespace=NAMESPACE,
            start_watch=watch,
            pulse=pulse,
            rights=Rights(
                lambda key: not self.observes, lambda: self.leadership, Installation("default")
            ),
            on_change=self.told.append,
            on_fresh=lambda: None,
            on_event=self.events.append,
        )
        self._wakes = wakes
        self.runner.spawn("pulse", guarded(pulse.step))
        step = guarded(self.executor.step)
        self.runner.spawn("executor", step, on_wake=self.executor.on_wake)
        self.pass_(1)

    def kill(self) -> None:
        """Ends the executor between two steps."""
        self._alive[:] = [False]

    def _pulse_changed(self) -> None:
        for wake in self._wakes:
            wake()
        self.executor.wake()

    def _controllers(self) -> float:
        self.cluster.step()
        return 0.2

    # Orders.

    def deliver(
        self,
        version: str,
        *objects: KubeObject,
        key: CellKey = KEY,
        rendered: bool = True,
        epoch: int | None = None,
        adopted: tuple[str, tuple[KubeObject, ...]] | None = None,
        **changes: Any,
    ) -> Order:
        """Orders a revision that renders to some objects; `adopted` is another, and what that renders to."""
        wanted = revision(version)
        deliver = Deliver(
            *key,
            cluster=DEV_1,
            revision=wanted,
            returning=False,
            proven=False,
            drift=DriftMode.REPORT,
            keep=(wanted.id,),
            reason="Deliver",
            message=f"{version} to dev-1",
        )
        claim = self.leadership.claim
        assert claim is not None
        if epoch is not None:
            claim = replace(claim, epoch=epoch)
        found = _rendered(objects) if rendered else None
        order = Order(replace(deliver, **changes), claim, "web", found)
        if adopted is not None:
            former = revision(adopted[0])
            deliver = replace(order.deliver, adopted=former)
            order = replace(
                order, deliver=deliver, adopted=Adopted(former.id, _rendered(adopted[1]))
            )
        self.executor.order(order)
        return order

    def delivered(self, version: str, *objects: KubeObject, **changes: Any) -> Revision:
        """Orders a revision and waits until it is applied and looked at."""
        order = self.deliver(version, *objects, **changes)
        wanted, key = order.deliver.revision, order.key

        def is_there() -> bool:
            member = self.member(key)
            return member.is_on(wanted.id) and member.synced and not self._waits(key)

        assert self.until(is_there), (self.member(key), self.events[-3:])
        return wanted

    def _waits(self, key: CellKey) -> bool:
        return self.executor._backlog.has(key)

    # Time.

    def until(self, is_done: Callable[[], bool], limit_s: float = 60.0) -> bool:
        """Lets time pass until something holds."""
        return self.runner.run_until(is_done, limit_s=limit_s)

    def pass_(self, seconds: float) -> None:
        """Lets time pass."""
        self.runner.run_until(lambda: False, limit_s=seconds)

    # Seeing.

    def member(self, key: CellKey = KEY, wanted: RevisionId | None = None) -> Member:
        """Returns what the executor says of a cell."""
        return self.executor.member(key, wanted)

    def record(self, key: CellKey = KEY) -> ServiceRecord | None:
        """Returns a record as the cluster holds it."""
        found = self.kube.get(
            ObjectRef("reconciler.dev/v1alpha1", "ServiceRecord", NAMESPACE, f"{key[0]}.{key[1]}")
        )
        return read_service_record(found) if found is not None else None

    def get(self, obj: KubeObject) -> dict[str, Any] | None:
        """Returns an object as it is live."""
        found = self.kube.get(ObjectRef.of(obj))
        return dict(found) if found is not None else None

    def edit(self, obj: KubeObject, manager: str = "kubectl-edit", **changes: Any) -> None:
        """Changes an object by hand: its top-level fields, and annotations in its metadata."""
        live = self.get(obj)
        assert live is not None
        annotations = changes.pop("annotations", None)
        if annotations is not None:
            live = {**live, "metadata": {**live["metadata"], "annotations": annotations}}
        self.cluster.store.replace({**live, **changes}, manager)

    def told_of(self, kind: EventKind) -> list[Event]:
        """Returns the events of a kind."""
        return [event for event in self.events if event.kind is kind]

    def writes(self, *kinds: str) -> list[Written]:
        """Returns what was written to objects of some kinds, or to any."""
        return [w for w in self.cluster.audit if not kinds or w.kind in kinds]

    # Faults.

    def die_at_write(self, number: int) -> None:
        """Kills the process at one of its next writes, counted from 0: it is made, and not answered."""
        left = [number]

        def before(verb: str, kind: str) -> None:
            if verb not in ("get", "list", "watch", "discover", "dry-run"):
                if not self._alive[0]:
                    raise TransientError(kind, "it cannot be written", "the process is dead")
                left[0] -= 1
                if left[0] < 0:
                    self.kill()

        self.cluster.faults.before = before

    def refuse(self, error: Exception, verbs: Iterable[str], *kinds: str) -> None:
        """Meets requests of some verbs and kinds with an error."""
        refused = frozenset(verbs)

        def before(verb: str, kind: str) -> None:
            if verb in refused and (not kinds or kind in kinds):
                raise error

        self.cluster.faults.before = before

    def mend(self) -> None:
        """Ends all faults."""
        self.cluster.faults.before = lambda verb, kind: None
