"""A fleet of hundreds of clusters and services beneath one real daemon: no socket, no thread, virtual time."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.config.settings import RepoSettings, Settings
from reconciler.model.events import Event
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.ports.kube import KubeApi
from reconciler.shell.clusters import Reach
from reconciler.shell.engine import Engine
from reconciler.shell.runner import IDLE_MAX_S, AtStop, Step, VirtualClock, Wake
from reconciler.shell.world import Ports
from reconciler.simulated.behaviour import Fate, digest_for
from reconciler.simulated.cluster import SimulatedCluster, Written
from tests.fakes.memory_git import MemoryGit
from tests.simulation.fleet.world import PacedRunner

WIDE = "wide"
"""The service that goes to every cluster; each other one goes to one cluster of each region."""

OURS = "reconciler-system"
SOAK_S = 5
WATCH_AGAIN_S = 40.0
"""Between two sessions of a watch in which nothing happens; whatever happens wakes it."""

CONTROLLERS_S = 0.3

TURN_S = 0.02
"""What a task's step takes: in no time at all, hundreds of clusters would be asked at the same moment."""

_RULES = "watch_for_s: 60, progress_deadline_s: 60, drift: report"


class LargeFleet:
    """Regions of clusters, and services in all of them.

    Attributes:
        clusters: By name; a region's are `<region>-<number>`.
        reads: How often the daemon asked for an object or a list, by kind.
        writes: What the daemon wrote, with its cluster, in order.
        on_write: Told of each write as it reaches its cluster.

    Args:
        regions: How many environments, one after the other.
        clusters: Of all of them together.
        services: The wide one among them.
        waves: Of every region, as a policy has them.
    """

    def __init__(self, *, regions: int, clusters: int, services: int, waves: str) -> None:
        self.clock = VirtualClock()
        self.runner = PacedRunner(self.clock, 1)
        self.git = MemoryGit(self.clock)
        share, more = divmod(clusters, regions)
        self.regions = {
            f"region-{number}": tuple(
                f"region-{number}-{i}" for i in range(share + (number < more))
            )
            for number in range(regions)
        }
        self.shards = share
        self.services = (WIDE, *(f"service-{number}" for number in range(services - 1)))
        self.reads: Counter[str] = Counter()
        self.writes: list[tuple[str, Written]] = []
        self.events: list[Event] = []
        self.on_write: Callable[[str, Written], None] = lambda cluster, written: None
        self._watches: defaultdict[tuple[str, str], list[Wake]] = defaultdict(list)
        self._controllers: dict[str, Wake] = {}
        self.clusters = {
            name: self._cluster(name) for names in self.regions.values() for name in names
        }
        self.git.merge(dict(self._env_repo(waves)), "the env repo")
        self.home = next(iter(self.clusters))
        self.engine = self._start()

    def proven(self, service: str, version: str) -> bool:
        """Whether a version is proven in every region, as the daemon's last turn has it."""
        planned = self.engine.view.services.get(ServiceName(service)) if self.engine.view else None
        cells = planned.facts.cells if planned is not None else ()
        return len(cells) == len(self.regions) and all(
            any(
                proof.opens_gates and proof.revision.release.version == version
                for proof in (cell.record.proofs if cell.record else ())
            )
            for cell in cells
        )

    def everything(self) -> Iterator[tuple[tuple[str, str, str, str], KubeObject]]:
        """Yields every object of every cluster, and where it stands: cluster, kind, namespace and name."""
        for name, cluster in self.clusters.items():
            for kind in list(cluster.store.kinds.values()):
                for obj in cluster.store.peek(kind, None):
                    meta = obj["metadata"]
                    yield (name, kind.kind, meta.get("namespace", ""), meta["name"]), obj

    def pins(self, service: str, version: str) -> Iterator[tuple[str, str]]:
        """Yields the files that ask for a version everywhere."""
        digest = digest_for(Fate.READY, version)
        image = f"registry.example.com/{service}: '{digest}'"
        text = f'release:\n  version: "{version}"\n  images: {{{image}}}\n'
        for region in self.regions:
            yield f"environments/{region}/{service}.yaml", text

    def until(self, is_done: Callable[[], bool], limit_s: float) -> bool:
        """Lets time pass until something holds."""
        return self.runner.run_until(is_done, limit_s=limit_s)

    def pass_(self, seconds: float) -> None:
        """Lets time pass."""
        self.runner.run_until(lambda: False, limit_s=seconds)

    # How it is put together.

    def _env_repo(self, waves: str) -> Iterator[tuple[str, str]]:
        lines = ["mode: enforce", "environments:"]
        for region, names in self.regions.items():
            lines += [f"  - name: {region}", "    clusters:"]
            lines += [
                f"      - {{name: {name}, labels: {{shard: s{number}}}}}"
                for number, name in enumerate(names)
            ]
        yield "fleet.yaml", "\n".join(lines) + "\n"
        rules = f"{{soak_s: {SOAK_S}, {_RULES}, waves: {waves}}}"
        lines = [f"path: [{', '.join(self.regions)}]", "environments:"]
        lines += [f"  {region}: {rules}" for region in self.regions]
        yield "policies/line.yaml", "\n".join(lines) + "\n"
        for service in self.services:
            yield from self._service(service)
            yield from self.pins(service, "1.0.0")

    def _service(self, name: str) -> Iterator[tuple[str, str]]:
        text = f"source: manifests\npolicy: line\nnamespace: {name}\n"
        if name != WIDE:
            text += f"placement: {{match_labels: {{shard: s{self._shard(name)}}}}}\n"
        yield f"services/{name}/service.yaml", text
        container = f"{{name: {name}, image: registry.example.com/{name}}}"
        yield (
            f"services/{name}/app.yaml",
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n"
            f"  replicas: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n"
            f"    metadata: {{labels: {{app: {name}}}}}\n    spec: {{containers: [{container}]}}\n",
        )

    def _cluster(self, name: str) -> SimulatedCluster:
        cluster = SimulatedCluster(
            name, clock=self.clock, on_change=lambda kind: self._changed(name, kind)
        )
        for service in self.services:
            if self._goes_to(service, name):
                meta = {"name": service}
                cluster.client().create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})

        def controllers() -> float:
            cluster.step()
            return IDLE_MAX_S if cluster.is_at_rest else CONTROLLERS_S

        self._controllers[name] = self.runner.spawn(f"controllers {name}", controllers)
        return cluster

    def _shard(self, service: str) -> int:
        return int(service.rpartition("-")[2]) % self.shards

    def _goes_to(self, service: str, cluster: str) -> bool:
        return service == WIDE or self._shard(service) == int(cluster.rpartition("-")[2])

    def _changed(self, cluster: str, kind: str) -> None:
        if cluster in self._controllers:
            self._controllers[cluster]()
        for wake in self._watches[cluster, kind]:
            wake()

    def _start(self) -> Engine:
        settings = Settings(
            repo=RepoSettings(url="memory", poll_s=2),
            mode=Mode.ENFORCE,
            home=self.home,
            fresh_s=4 * WATCH_AGAIN_S,
        )
        ports = Ports(
            clock=self.clock,
            runner=self,
            remote=self.git,
            history=self.git,
            builder=ServiceBuilder(),
            reach=Reach(self._client, jitter=random.Random(1), watch_again_s=WATCH_AGAIN_S),
            home=ClusterName(self.home),
            entropy=random.Random(1).randbytes,
        )
        engine = Engine(
            settings, lambda: settings, ports, holder="one", on_event=self.events.append
        )
        engine.start()
        return engine

    def spawn(
        self,
        name: str,
        step: Step,
        *,
        at_stop: AtStop = AtStop.WAIT,
        on_wake: Callable[[Wake], None] = lambda wake: None,
    ) -> Wake:
        """Adds a task of the daemon; a watch is woken by what it watches."""
        del at_stop
        number = self.runner.number()

        def wake() -> None:
            self.runner.wake_in(number, TURN_S)

        on_wake(wake)
        self.runner.spawn(name, lambda: max(TURN_S, step()))
        what, _, about = name.partition(" ")
        if what == "watch":
            cluster, _, kind = about.partition(" ")
            self._watches[cluster, kind].append(wake)
        return wake

    def _client(self, cluster: str) -> KubeApi:
        def asked(verb: str, kind: str) -> None:
            if verb in ("get", "list"):
                self.reads[kind] += 1

        def wrote(written: Written) -> None:
            self.writes.append((cluster, written))
            self.on_write(cluster, written)

        return self.clusters[cluster].client(before=asked, wrote=wrote)
