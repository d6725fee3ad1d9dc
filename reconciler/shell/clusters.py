"""Every cluster that we talk to: its client, its pulse and its executor; others join as the fleet names them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from reconciler.config.settings import Settings
from reconciler.core.diff import differences
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.events import Event, EventKind
from reconciler.model.names import ClusterName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.view import Head
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi, WatchEvent
from reconciler.schema.crds import crds
from reconciler.shell.executor.cluster import ClusterExecutor
from reconciler.shell.executor.live import Kind, Watched
from reconciler.shell.executor.orders import CellKey, Rights
from reconciler.shell.executor.pulse import NOT_ASKED, Pulse
from reconciler.shell.pinning import ClusterPins
from reconciler.shell.runner import AtStop, Runner, Wake
from reconciler.shell.watching import KindWatch

ASLEEP_S = 600.0
"""A watch has nothing to ask a cluster that does not answer; its pulse wakes it when it does."""

_log = structlog.get_logger(__name__)

NOT_CONNECTED = "it is not connected yet"
UNASKED = frozenset({NOT_CONNECTED, NOT_ASKED})
"""Why nothing is known of a cluster to which nothing was said so far."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How clusters are reached.

    Attributes:
        connect: Returns a cluster's client without asking it anything; InvalidInput where nothing says how.
        jitter: Spreads retries.
        watch_again_s: Seconds between two sessions of a watch; above zero only where a session
            ends at once, as in virtual time.
    """

    connect: Callable[[ClusterName], KubeApi]
    jitter: random.Random
    watch_again_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """Who is told of what happens on clusters.

    Attributes:
        touch: Told of a cell about which something new is known.
        touch_all: Told when something changed that may concern every cell.
        event: Told of what happened.
    """

    touch: Callable[[CellKey], None]
    touch_all: Callable[[], None]
    event: Callable[[Event], None]


class Clusters:
    """The clusters of one daemon.

    Attributes:
        executors: By cluster.
        pulses: By cluster.
        unusable: Clusters that were named and have no client, and why.

    Args:
        settings: As read at the start.
        reach: How they are reached.
        clock: Time.
        runner: Runs their tasks.
        heard: Who is told.
        rights: What executors may do.
        may_install: Whether what we need there may be made.
    """

    def __init__(
        self,
        settings: Settings,
        reach: Reach,
        *,
        clock: Clock,
        runner: Runner,
        heard: Heard,
        rights: Rights,
        may_install: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._reach = reach
        self._clock = clock
        self._runner = runner
        self._heard = heard
        self._rights = rights
        self._may_install = may_install
        self._pins: ClusterPins | None = None
        self._lock = threading.Lock()
        self._started = False
        self._watches: dict[ClusterName, list[tuple[KindWatch, Wake]]] = {}
        self._apis: dict[ClusterName, KubeApi] = {}
        self.pulses: dict[ClusterName, Pulse] = {}
        self.executors: dict[ClusterName, ClusterExecutor] = {}
        self.unusable: dict[ClusterName, str] = {}

    def pin_by(self, pins: ClusterPins) -> None:
        """Sets what knows which cluster a name stands for; until then any is taken."""
        self._pins = pins

    def api(self, name: ClusterName) -> KubeApi:
        """Returns the client of a cluster that was added."""
        return self._apis[name]

    def add(self, name: ClusterName) -> None:
        """Connects to a cluster; one that is there already changes nothing.

        Raises:
            InvalidInput: Nothing says how it is reached.
        """
        with self._lock:
            if name in self._apis:
                return
            # An executor's first watch asks for the client.
            self._apis[name] = api = self._reach.connect(name)
            pulse = self._pulse(name, api)
            executor = self._executor(name, api, pulse)
            # Others read these while we write: each is a new mapping, never one that changes.
            self.pulses = {**self.pulses, name: pulse}
            self.executors = {**self.executors, name: executor}
            self.unusable = {n: why for n, why in self.unusable.items() if n != name}
            if self._started:
                self._spawn(name)

    def join(self, names: Iterable[ClusterName]) -> None:
        """Adds what the fleet names; one without credentials is told of and must not stop the others."""
        for name in names:
            try:
                self.add(name)
            except InvalidInput as error:
                if self.unusable.get(name) == str(error):
                    continue
                self.unusable = {**self.unusable, name: str(error)}
                kind = EventKind.CLUSTER_UNREACHABLE
                at = self._clock.now()
                self._heard.event(Event(at, kind, "Unusable", str(error), cluster=name))

    def start(self) -> None:
        """Hands every cluster's tasks to the runner."""
        with self._lock:
            self._started = True
            for name in self._apis:
                self._spawn(name)

    def end_watches(self) -> None:
        """Gives up every watch, so that neither we nor a server keep a connection for it; for good."""
        for watches in tuple(self._watches.values()):
            for watch, _ in watches:
                watch.stop()
        for api in tuple(self._apis.values()):
            api.end_watches()

    def missed(self, head: Head, home: ClusterName) -> dict[ClusterName, str]:
        """Returns the clusters of which nothing is known; of one that has left nobody asks, unless it is the home."""
        silent = self.unreachable(head.clusters)
        unasked = {*head.left} - {home}
        return {name: why for name, why in silent.items() if name not in unasked}

    def unreachable(self, fleet: Iterable[ClusterName]) -> dict[ClusterName, str]:
        """Returns each cluster of a fleet that nothing is known of, and why."""
        added = {name: NOT_CONNECTED for name in fleet if name not in self.pulses}
        silent = {n: p.error for n, p in self.pulses.items() if not p.is_reachable}
        return {**added, **self.unusable, **silent}

    def denied(self) -> dict[ClusterName, str]:
        """Returns each cluster that answers and does not let us watch something of ours, and why."""
        # A copy first: clusters join, in another thread.
        watches = tuple(self._watches.items())
        told = {name: sorted({w.denied for w, _ in found} - {""}) for name, found in watches}
        return {n: "; ".join(why) for n, why in told.items() if why and self.pulses[n].is_reachable}

    def watch(
        self,
        cluster: ClusterName,
        kind: Kind,
        selector: str,
        on_event: Callable[[WatchEvent], None],
        on_fresh: Callable[[], None],
    ) -> Watched:
        """Starts the watch of a kind on a cluster, in a task of its own."""
        is_ours = kind[0].startswith("reconciler.dev/")
        watch = KindWatch(
            self._apis[cluster],
            kind,
            namespace=self._settings.namespace if is_ours else None,
            label_selector=selector,
            clock=self._clock,
            fresh_s=self._settings.fresh_s,
            on_event=on_event,
            on_fresh=on_fresh,
            jitter=self._reach.jitter,
            again_s=self._reach.watch_again_s,
            on_not_served=(lambda: self._prepare_again(cluster)) if is_ours else None,
        )

        def step() -> float:
            pulse = self.pulses.get(cluster)
            if pulse is not None and pulse.is_reachable:
                was = watch.denied
                wait_s = watch.step()
                if watch.denied != was:
                    # Nothing else is heard of it, and what a person sees is as of the last turn.
                    self._heard.touch_all()
                return wait_s
            # One question at a time is enough for a cluster that does not answer.
            watch.doubt()
            return ASLEEP_S

        self._runner.spawn(
            f"watch {cluster} {kind[1]}",
            step,
            at_stop=AtStop.LEAVE,
            on_wake=lambda wake: self._watches.setdefault(cluster, []).append((watch, wake)),
        )
        return watch

    def _pulse_changed(self, name: ClusterName) -> None:
        for _, wake in list(self._watches.get(name, ())):
            wake()
        executor = self.executors.get(name)
        if executor is not None:
            executor.wake()
        self._heard.touch_all()

    def prepare_again(self) -> None:
        """Has every cluster looked at as when it first answered."""
        for name in tuple(self.pulses):
            self._prepare_again(name)

    def _prepare_again(self, name: ClusterName) -> None:
        pulse = self.pulses.get(name)
        if pulse is not None:
            pulse.prepare_again()

    def _spawn(self, name: ClusterName) -> None:
        executor = self.executors[name]
        self._runner.spawn(f"pulse {name}", self.pulses[name].step)
        self._runner.spawn(f"cluster {name}", executor.step, on_wake=executor.on_wake)

    def _pulse(self, name: ClusterName, api: KubeApi) -> Pulse:
        return Pulse(
            name,
            api,
            clock=self._clock,
            namespace=self._settings.namespace,
            on_change=lambda: self._pulse_changed(name),
            on_event=self._heard.event,
            prepare=lambda: self._prepare(name, api),
        )

    def _executor(self, name: ClusterName, api: KubeApi, pulse: Pulse) -> ClusterExecutor:
        return ClusterExecutor(
            name,
            api,
            clock=self._clock,
            namespace=self._settings.namespace,
            start_watch=lambda kind, selector, on, fresh: self.watch(
                name, kind, selector, on, fresh
            ),
            pulse=pulse,
            rights=self._rights,
            on_change=self._heard.touch,
            on_fresh=self._heard.touch_all,
            on_event=self._heard.event,
        )

    def _prepare(self, name: ClusterName, api: KubeApi) -> None:
        """Sees that a name is one cluster, always the same, and that it has what we keep there."""
        uid = self._pins.check(name, api) if self._pins is not None else ""
        if self._may_install() and self._settings.bootstrap:
            bootstrap(api, self._settings.namespace)
        if self._pins is None:
            return
        try:
            self._pins.remember(name, uid)
        except ReconcilerError as error:
            # Nothing hangs on it now; but it must be remembered before the next restart.
            _log.info("pin-unsaved", cluster=name, error=str(error))
            self._prepare_again(name)


def bootstrap(api: KubeApi, namespace: str) -> None:
    """Makes the reconciler's namespace and the definitions of its records; safe to do again."""
    wanted: list[KubeObject] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        *crds(),
    ]
    for obj in wanted:
        there = api.get(ObjectRef.of(obj))
        if there is None or differences(obj, there):
            api.apply(obj, force=True, dry_run=False)
