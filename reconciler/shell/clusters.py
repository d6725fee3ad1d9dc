"""Every cluster that we talk to: its client, its pulse and its executor; others join as the fleet names them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from reconciler.config.settings import Settings
from reconciler.core.diff import differences
from reconciler.errors import InvalidInput, Refused
from reconciler.model.events import Event, EventKind
from reconciler.model.names import ClusterName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.ports.clock import Clock
from reconciler.ports.kube import KubeApi, WatchEvent
from reconciler.schema.crds import crds
from reconciler.shell.executor.cluster import ClusterExecutor
from reconciler.shell.executor.live import Kind, Watched
from reconciler.shell.executor.orders import CellKey
from reconciler.shell.executor.pulse import Pulse
from reconciler.shell.runner import Runner
from reconciler.shell.watching import KindWatch

UNREACHABLE_S = 0.25
"""How soon a watch looks whether its cluster answers again; it asks the pulse, not the cluster."""

NOT_CONNECTED = "it is not connected yet"


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
        may_write: Whether anything may be written: False in observe mode.
        may_prune: Whether deleting is allowed now; only while we lead.
        is_held: Whether nothing may be written for one cell: it is only observed, or suspended.
    """

    def __init__(
        self,
        settings: Settings,
        reach: Reach,
        *,
        clock: Clock,
        runner: Runner,
        heard: Heard,
        may_write: Callable[[], bool],
        may_prune: Callable[[], bool],
        is_held: Callable[[CellKey], bool],
    ) -> None:
        self._settings = settings
        self._reach = reach
        self._clock = clock
        self._runner = runner
        self._heard = heard
        self._may_write = may_write
        self._may_prune = may_prune
        self._is_held = is_held
        self._lock = threading.Lock()
        self._started = False
        self._uids: dict[str, ClusterName] = {}
        self._apis: dict[ClusterName, KubeApi] = {}
        self.pulses: dict[ClusterName, Pulse] = {}
        self.executors: dict[ClusterName, ClusterExecutor] = {}
        self.unusable: dict[ClusterName, str] = {}

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
            api = self._reach.connect(name)
            pulse = self._pulse(name, api)
            executor = self._executor(name, api, pulse)
            self._apis[name] = api
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

    def unreachable(self, fleet: Iterable[ClusterName]) -> dict[ClusterName, str]:
        """Returns each cluster of a fleet that nothing is known of, and why."""
        added = {name: NOT_CONNECTED for name in fleet if name not in self.pulses}
        silent = {n: p.error for n, p in self.pulses.items() if not p.is_reachable}
        return {**added, **self.unusable, **silent}

    def watch(
        self,
        cluster: ClusterName,
        kind: Kind,
        selector: str,
        on_event: Callable[[WatchEvent], None],
    ) -> Watched:
        """Starts the watch of a kind on a cluster, in a task of its own."""
        is_ours = kind[0].startswith("reconciler.dev/")
        watch = KindWatch(
            self._apis.get(cluster) or self._reach.connect(cluster),
            kind,
            namespace=self._settings.namespace if is_ours else None,
            label_selector=selector,
            clock=self._clock,
            fresh_s=self._settings.fresh_s,
            on_event=on_event,
            on_fresh=self._heard.touch_all,
            jitter=self._reach.jitter,
            again_s=self._reach.watch_again_s,
            on_not_served=(lambda: self._prepare_again(cluster)) if is_ours else None,
        )

        def step() -> float:
            # A watch waits while its cluster does not answer: one question at a time is enough.
            pulse = self.pulses.get(cluster)
            return watch.step() if pulse is not None and pulse.is_reachable else UNREACHABLE_S

        self._runner.spawn(f"watch {cluster} {kind[1]}", step, is_waited_for=False)
        return watch

    def _prepare_again(self, name: ClusterName) -> None:
        pulse = self.pulses.get(name)
        if pulse is not None:
            pulse.prepare_again()

    def _spawn(self, name: ClusterName) -> None:
        executor = self.executors[name]
        self._runner.spawn(f"pulse {name}", self.pulses[name].step)
        executor.on_wake(self._runner.spawn(f"cluster {name}", executor.step))

    def _pulse(self, name: ClusterName, api: KubeApi) -> Pulse:
        return Pulse(
            name,
            api,
            clock=self._clock,
            namespace=self._settings.namespace,
            on_change=self._heard.touch_all,
            on_event=self._heard.event,
            prepare=lambda: self._prepare(name, api),
        )

    def _executor(self, name: ClusterName, api: KubeApi, pulse: Pulse) -> ClusterExecutor:
        self._apis[name] = api  # its first watch asks for it
        return ClusterExecutor(
            name,
            api,
            clock=self._clock,
            namespace=self._settings.namespace,
            start_watch=lambda kind, selector, on: self.watch(name, kind, selector, on),
            pulse=pulse,
            may_write=self._may_write,
            may_prune=self._may_prune,
            is_held=self._is_held,
            on_change=self._heard.touch,
            on_event=self._heard.event,
        )

    def _prepare(self, name: ClusterName, api: KubeApi) -> None:
        """Sees that a name is one cluster, always the same, and that it has what we keep there."""
        found = api.get(ObjectRef("v1", "Namespace", "", "kube-system"))
        uid = str(found["metadata"].get("uid", "")) if found else ""
        wanted = self._settings.clusters.get(name)
        subject = f"cluster {name}"
        if wanted is not None and wanted.uid is not None and wanted.uid != uid:
            why = f"its kube-system namespace has the UID {uid or 'unknown'}, not {wanted.uid}"
            fix = "correct its credentials, or `uid` in the settings"
            raise Refused(subject, "it is another cluster", why, fix)
        other = self._uids.setdefault(uid, name) if uid else name
        if other != name:
            why = f"{other} is the same cluster"
            raise Refused(subject, "it cannot be used", why, "give each cluster one name")
        if self._may_write() and self._settings.bootstrap:
            bootstrap(api, self._settings.namespace)


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
