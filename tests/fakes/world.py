"""The whole daemon in a small world: three environments, simulated clusters, Git in memory, virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.config.settings import RepoSettings, Settings
from reconciler.model.events import Event, EventKind
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, EnvironmentName, ServiceName
from reconciler.model.objects import ObjectRef
from reconciler.model.records import PromotionRecord, ServiceRecord
from reconciler.model.view import View
from reconciler.ports.render import Builder
from reconciler.schema.records import read_promotion_record, read_service_record
from reconciler.shell.clusters import Reach
from reconciler.shell.engine import Engine, Ports
from reconciler.shell.runner import SeededRunner, Step, VirtualClock, Wake
from reconciler.simulated.behaviour import Fate, Pace, digest_for
from reconciler.simulated.cluster import SimulatedCluster
from tests.fakes.memory_git import MemoryGit

CLUSTERS = {
    "dev": ("dev-1",),
    "staging": ("staging-1",),
    "prod": ("prod-1", "prod-2", "prod-3"),
}

FLEET = """\
mode: enforce
environments:
  - name: dev
    clusters: [{name: dev-1}]
  - name: staging
    clusters: [{name: staging-1}]
  - name: prod
    clusters: [{name: prod-1}, {name: prod-2}, {name: prod-3}]
"""

POLICY = """\
path: [dev, staging, prod]
environments:
  dev: {soak_s: 5, watch_for_s: 60, progress_deadline_s: 60, waves: all, drift: DRIFT}
  staging: {soak_s: 5, watch_for_s: 60, progress_deadline_s: 60, waves: all, drift: DRIFT}
  prod:
    soak_s: 5
    watch_for_s: 60
    progress_deadline_s: 60
    waves: [[prod-1], [prod-2, prod-3]]
    drift: DRIFT
"""

SERVICE = """\
source: manifests
policy: line
namespace: web
"""

MANIFESTS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {greeting: hello}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: registry.example.com/web
          ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""


def pin(version: str, fate: Fate = Fate.READY, *, note: str = "") -> str:
    """Returns the text of a pin."""
    digest = digest_for(fate, version)
    return (
        f"# who: the web team{note}\n"
        "release:\n"
        f'  version: "{version}" # the tag\n'
        f"  images: {{registry.example.com/web: '{digest}'}}\n"
    )


def pins(version: str, fate: Fate = Fate.READY) -> dict[str, str]:
    """Returns the pins of one version for every environment."""
    return {f"environments/{e}/web.yaml": pin(version, fate) for e in CLUSTERS}


def env_repo(drift: str = "report") -> dict[str, str]:
    """Returns the files of the smallest whole env repo, without pins."""
    return {
        "fleet.yaml": FLEET,
        "policies/line.yaml": POLICY.replace("DRIFT", drift),
        "services/web/service.yaml": SERVICE,
        "services/web/web.yaml": MANIFESTS,
    }


class World:
    """Everything, on one thread.

    Args:
        mode: The daemon's.
        drift: What its policy says of drift.
        seed: Orders what is due together.
        on_view: Given what every turn has seen and decided.
    """

    def __init__(
        self,
        *,
        mode: Mode = Mode.ENFORCE,
        drift: str = "report",
        seed: int = 1,
        on_view: Callable[[View], None] = lambda view: None,
    ) -> None:
        self.clock = VirtualClock()
        self.runner = SeededRunner(self.clock, seed)
        self.git = MemoryGit(self.clock)
        self.git.merge(env_repo(drift), "the env repo")
        self.clusters = {
            name: SimulatedCluster(name, clock=self.clock, pace=Pace())
            for names in CLUSTERS.values()
            for name in names
        }
        for cluster in self.clusters.values():
            cluster.client().create(_namespace("web"))
            cluster.audit.clear()
            self.runner.spawn(f"controllers {cluster.name}", _paced(cluster.step))
        self.builder: Builder = ServiceBuilder()
        self.events: list[Event] = []
        self._on_view = on_view
        self.mode = mode
        self.settings = Settings(repo=RepoSettings(url="memory", poll_s=2), mode=mode, home="dev-1")
        self.engine = self.start()

    def start(self, holder: str = "one") -> Engine:
        """Starts a daemon; an earlier one is left behind as a killed process would be."""
        self._alive = alive = _Alive(self.runner)
        ports = Ports(
            clock=self.clock,
            runner=alive,
            remote=self.git,
            history=self.git,
            builder=self.builder,
            reach=Reach(
                lambda name: self.clusters[name].client(),
                jitter=random.Random(1),
                watch_again_s=0.2,
            ),
            home=ClusterName("dev-1"),
            entropy=random.Random(1).randbytes,
        )
        engine = Engine(
            self.settings,
            lambda: self.settings,
            ports,
            holder=holder,
            on_event=self.events.append,
            on_view=self._on_view,
        )
        engine.start()
        return engine

    def kill(self) -> None:
        """Ends the daemon between two steps: nothing it had in mind is written."""
        self._alive.is_alive = False

    def until(self, is_done: Callable[[], bool], limit_s: float = 120.0) -> bool:
        """Lets time pass until something holds."""
        return self.runner.run_until(is_done, limit_s=limit_s)

    def pass_(self, seconds: float) -> None:
        """Lets time pass."""
        self.runner.run_until(lambda: False, limit_s=seconds)

    def record(self, environment: str, service: str = "web") -> PromotionRecord | None:
        """Returns a promotion record as the home holds it."""
        name = f"{service}.{environment}"
        ref = ObjectRef("reconciler.dev/v1alpha1", "PromotionRecord", "reconciler-system", name)
        client = self.clusters["dev-1"].client()
        if client.kind(ref.api_version, ref.kind) is None:
            return None
        found = client.get(ref)
        return read_promotion_record(found) if found else None

    def service_record(self, cluster: str, service: str = "web") -> ServiceRecord | None:
        """Returns a cluster's service record."""
        environment = cluster.rpartition("-")[0]
        name = f"{service}.{environment}"
        ref = ObjectRef("reconciler.dev/v1alpha1", "ServiceRecord", "reconciler-system", name)
        client = self.clusters[cluster].client()
        if client.kind(ref.api_version, ref.kind) is None:
            return None
        found = client.get(ref)
        return read_service_record(found) if found else None

    def proven(self, environment: str, version: str, service: str = "web") -> bool:
        """Whether a version is proven in an environment."""
        record = self.record(EnvironmentName(environment), ServiceName(service))
        return record is not None and any(
            p.revision.release.version == version and p.opens_gates for p in record.proofs
        )

    def image(self, cluster: str, name: str = "web", kind: str = "Deployment") -> str | None:
        """Returns the image that a workload on a cluster asks for."""
        client = self.clusters[cluster].client()
        found = client.get(ObjectRef("apps/v1", kind, "web", name))
        if found is None:
            return None
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def told(self, kind: EventKind) -> list[Event]:
        """Returns the events of a kind."""
        return [event for event in self.events if event.kind is kind]


class _Alive:
    """A process that can be killed: its tasks are never run again."""

    def __init__(self, runner: SeededRunner) -> None:
        self._runner = runner
        self.is_alive = True

    def spawn(self, name: str, step: Step, *, is_waited_for: bool = True) -> Wake:
        del is_waited_for

        def guarded() -> float:
            return step() if self.is_alive else 3600.0

        return self._runner.spawn(name, guarded)


def _namespace(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _paced(step: Callable[[], None]) -> Callable[[], float]:
    def paced() -> float:
        step()
        return 0.2

    return paced
