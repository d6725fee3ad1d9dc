"""The whole daemon in a small world: three environments, simulated clusters, Git in memory, virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.config.settings import RepoSettings, Settings
from reconciler.errors import Unreachable
from reconciler.model.events import Event, EventKind
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName, CommitId, EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.records import PromotionRecord, ServiceRecord
from reconciler.model.view import View
from reconciler.ports.conditions import Conditions
from reconciler.ports.forge import Forge
from reconciler.ports.gates import AdmissionGate
from reconciler.ports.kube import KubeApi
from reconciler.ports.registry import Registry
from reconciler.ports.render import Builder
from reconciler.schema.records import read_promotion_record, read_service_record
from reconciler.shell.clusters import Reach
from reconciler.shell.engine import Engine
from reconciler.shell.runner import IDLE_MAX_S, AtStop, SeededRunner, Step, VirtualClock, Wake
from reconciler.shell.world import Ports
from reconciler.simulated.behaviour import Fate, Pace, digest_for, fate_of
from reconciler.simulated.cluster import SimulatedCluster, Written
from tests.fakes.memory_conditions import MemoryConditions
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


def image(version: str, fate: Fate = Fate.READY) -> str:
    """Returns the image that `pin` asks for."""
    return f"registry.example.com/web@{digest_for(fate, version)}"


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


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a daemon; those to all clusters stand in the order in which they were made."""

    holder: str
    cluster: str
    written: Written


class World:
    """Everything, on one thread.

    Attributes:
        fates: By cluster and version, what becomes of an image there whatever it is elsewhere.
        writes: What daemons have written, each in its holder's name.
        before: Runs before each request of a daemon: its holder, the cluster, the verb and the kind.

    Args:
        mode: The daemon's.
        drift: What its policy says of drift.
        seed: Orders what is due together.
        pace: How fast the clusters' Pods are.
        on_view: Given what every turn has seen and decided.
        signers: Whose commits carry a signature that counts, by author, and as whom; None: no list is kept.
        forge: Serves the env repo.
        gates: Those that policies may name.
        registry: Every registry that may be asked.
    """

    def __init__(
        self,
        *,
        mode: Mode = Mode.ENFORCE,
        drift: str = "report",
        seed: int = 1,
        pace: Pace = Pace(),  # noqa: B008  # a frozen value
        on_view: Callable[[View], None] = lambda view: None,
        signers: Mapping[str, str] | None = None,
        forge: Forge | None = None,
        gates: Mapping[str, AdmissionGate] | None = None,
        registry: Registry | None = None,
    ) -> None:
        self.forge, self.registry = forge, registry
        self.conditions: Conditions = MemoryConditions()
        self.gates = {name: (gate, 30.0) for name, gate in (gates or {}).items()}
        self.clock = VirtualClock()
        self.runner = SeededRunner(self.clock, seed)
        self.git = MemoryGit(self.clock)
        self.git.merge(env_repo(drift), "the env repo")
        self.fates: dict[tuple[str, str], Fate] = {}
        self.clusters = {
            name: SimulatedCluster(
                name, clock=self.clock, pace=pace, fates_of=_fates(name, self.fates)
            )
            for names in CLUSTERS.values()
            for name in names
        }
        for cluster in self.clusters.values():
            cluster.client().create(_namespace("web"))
            cluster.audit.clear()
            self.runner.spawn(f"controllers {cluster.name}", _paced(cluster.step))
        self.builder: Builder = ServiceBuilder()
        self.events: list[Event] = []
        self.writes: list[Write] = []
        self.before: Callable[[str, str, str, str], None] = lambda *asked: None
        self._processes: dict[str, _Process] = {}
        self._read: dict[tuple[str, str], tuple[KubeObject, PromotionRecord]] = {}
        self._on_view = on_view
        self._signers = None if signers is None else ByAuthor(self.git, signers)
        self.mode = mode
        self.settings = Settings(repo=RepoSettings(url="memory", poll_s=2), mode=mode, home="dev-1")
        self.engine = self.start()

    def start(self, holder: str = "one") -> Engine:
        """Starts a daemon beside those that were started before and not killed."""
        self._processes[holder] = process = _Process(self.runner)
        ports = Ports(
            clock=self.clock,
            runner=process,
            remote=self.git,
            history=self.git,
            builder=self.builder,
            reach=Reach(
                lambda name: self._client(holder, name),
                jitter=random.Random(1),
                watch_again_s=0.2,
            ),
            home=ClusterName(str(self.settings.home)),
            entropy=random.Random(1).randbytes,
            signers=self._signers,
            forge=self.forge,
            gates=self.gates,
            conditions=self.conditions,
            registry=self.registry,
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

    def _client(self, holder: str, cluster: str) -> KubeApi:
        return self.clusters[cluster].client(
            before=lambda verb, kind: self.before(holder, cluster, verb, kind),
            wrote=lambda written: self.writes.append(Write(holder, cluster, written)),
        )

    def kill(self) -> None:
        """Ends all daemons between two steps: nothing they had in mind is written."""
        for process in self._processes.values():
            process.is_alive = False

    def stall(self, holder: str) -> None:
        """Stops a daemon between two steps, as a machine that swaps does; it knows nothing of it."""
        self._processes[holder].stall()

    def resume(self, holder: str) -> None:
        """Lets a stalled daemon go on with what it had in mind."""
        self._processes[holder].resume()

    def hang(self, cluster: str, timeout_s: float = 10.0) -> None:
        """Lets requests to a cluster hang until their caller gives up; its other tasks go on meanwhile."""

        def meet(holder: str, asked: str, verb: str, kind: str) -> None:
            if asked == cluster:
                self.pass_(timeout_s)
                raise Unreachable(
                    f"cluster {cluster}", f"{verb} {kind} failed", "no answer in time"
                )

        self.before = meet

    def until(self, is_done: Callable[[], bool], limit_s: float = 120.0) -> bool:
        """Lets time pass until something holds."""
        return self.runner.run_until(is_done, limit_s=limit_s)

    def pass_(self, seconds: float) -> None:
        """Lets time pass."""
        self.runner.run_until(lambda: False, limit_s=seconds)

    def record(self, environment: str, service: str = "web") -> PromotionRecord | None:
        """Returns a promotion record as the home holds it."""
        found = self._stored("dev-1", "PromotionRecord", f"{service}.{environment}")
        if found is None:
            return None
        # It is asked for after every step; what is stored is never changed in place.
        key = (environment, service)
        if key not in self._read or self._read[key][0] is not found:
            self._read[key] = (found, read_promotion_record(found))
        return self._read[key][1]

    def service_record(self, cluster: str, service: str = "web") -> ServiceRecord | None:
        """Returns a cluster's service record."""
        environment = cluster.rpartition("-")[0]
        found = self._stored(cluster, "ServiceRecord", f"{service}.{environment}")
        return read_service_record(found) if found is not None else None

    def _stored(self, cluster: str, kind: str, name: str) -> KubeObject | None:
        """Returns a record's object itself, past every fault of the cluster."""
        store = self.clusters[cluster].store
        served = store.served("reconciler.dev/v1alpha1", kind)
        if served is None:
            return None
        records = store.peek(served, "reconciler-system")
        return next((record for record in records if record["metadata"]["name"] == name), None)

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


@dataclass(frozen=True, slots=True)
class ByAuthor:
    """The port `Signers` where whoever is named as the author has signed."""

    git: MemoryGit
    principals: Mapping[str, str]

    def signer_of(self, commit: CommitId) -> str | None:
        """Returns as whom a commit is signed."""
        return self.principals.get(self.git.commit_facts(commit).author)


class _Process:
    """A process that can be killed, and stalled: its tasks are not run.

    A step that waits for an answer keeps its own task only, as a thread would.
    """

    def __init__(self, runner: SeededRunner) -> None:
        self._runner = runner
        self._wakes: list[Wake] = []
        self._is_stalled = False
        self.is_alive = True

    def stall(self) -> None:
        self._is_stalled = True

    def resume(self) -> None:
        self._is_stalled = False
        for wake in self._wakes:
            wake()

    def spawn(
        self,
        name: str,
        step: Step,
        *,
        at_stop: AtStop = AtStop.WAIT,
        on_wake: Callable[[Wake], None] = lambda wake: None,
    ) -> Wake:
        del at_stop
        is_busy = was_woken = False

        def guarded() -> float:
            nonlocal is_busy, was_woken
            if is_busy or self._is_stalled or not self.is_alive:
                was_woken = True
                return IDLE_MAX_S
            is_busy, was_woken = True, False
            try:
                wait_s = step()
            finally:
                is_busy = False
            return 0.0 if was_woken else wait_s

        self._wakes.append(self._runner.spawn(name, guarded, on_wake=on_wake))
        return self._wakes[-1]


def _fates(cluster: str, fates: Mapping[tuple[str, str], Fate]) -> Callable[[str], Fate]:
    def fate(image: str) -> Fate:
        for (where, version), fate in fates.items():
            if where == cluster and image.endswith(f"@{digest_for(Fate.READY, version)}"):
                return fate
        return fate_of(image)

    return fate


def _namespace(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _paced(step: Callable[[], None]) -> Callable[[], float]:
    def paced() -> float:
        step()
        return 0.2

    return paced
