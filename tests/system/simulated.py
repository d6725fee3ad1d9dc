"""An installation over simulated clusters that are served over loopback HTTP by the test's own process."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.shell.runner import SystemClock
from reconciler.simulated.behaviour import Fate, Pace, fate_of
from reconciler.simulated.cluster import SimulatedCluster
from reconciler.simulated.faults import WireFaults
from reconciler.simulated.http_front import ClusterServer, dump_kubeconfig
from tests.conftest import CRASHES_IN_STAGING
from tests.gitservers.served import Served, Way, serve
from tests.system.envrepo import CLUSTERS
from tests.system.installation import HOME, Installation

NAMESPACE = "reconciler-system"
SERVICE = "web"

PACE = Pace(ready_after_s=0.1, crash_every_s=0.1)
STEP_S = 0.05


class Simulated(Installation):
    """An installation whose clusters are simulated.

    Attributes:
        clusters: By name.
        servers: What serves each of them.
        faults: What is broken about each one's connections.

    Args:
        served: The env repo.
        folder: For the daemon.
        clusters: By name.
        servers: What serves each of them.
        settings: More of the daemon's settings.
    """

    def __init__(
        self,
        served: Served,
        folder: Path,
        *,
        clusters: Mapping[str, SimulatedCluster],
        servers: Mapping[str, ClusterServer],
        settings: Mapping[str, Any],
    ) -> None:
        self.clusters, self.servers = clusters, servers
        self.faults: dict[str, WireFaults] = {n: s.faults for n, s in servers.items()}
        merged = dump_kubeconfig([server.kubeconfig(name) for name, server in servers.items()])
        super().__init__(
            name=SERVICE,
            service=SERVICE,
            served=served,
            kubeconfig=json.loads(merged),
            folder=folder,
            settings=settings,
        )

    def record_object(self, environment: str) -> KubeObject | None:
        """Returns the service's PromotionRecord as the home holds it."""
        kind = ("reconciler.dev/v1alpha1", "PromotionRecord")
        client = self.clusters[HOME].client()
        if client.kind(*kind) is None:
            return None
        return client.get(ObjectRef(*kind, NAMESPACE, f"{self.service}.{environment}"))

    def image(self, cluster: str) -> str | None:
        """Returns the digest that the service's Deployment asks for on a cluster."""
        ref = ObjectRef("apps/v1", "Deployment", self.name, self.service)
        found = self.clusters[cluster].client().get(ref)
        if found is None:
            return None
        image = str(found["spec"]["template"]["spec"]["containers"][0]["image"])
        return image.partition("@")[2]

    def held(self) -> dict[str, str]:
        """Returns what people run, by cluster: every object of the service, with its uid and content."""
        return {
            name: json.dumps([_content(obj) for obj in self._objects(cluster)], sort_keys=True)
            for name, cluster in self.clusters.items()
        }

    def uids(self) -> dict[str, list[str]]:
        """Returns which objects of the service there are, by cluster: another of one's name is another."""
        return {
            name: [f"{obj['kind']} {obj['metadata']['uid']}" for obj in self._objects(cluster)]
            for name, cluster in self.clusters.items()
        }

    def _objects(self, cluster: SimulatedCluster) -> Iterator[KubeObject]:
        for kind in (("v1", "ConfigMap"), ("v1", "Service"), ("apps/v1", "Deployment")):
            served = cluster.store.served(*kind)
            assert served is not None
            yield from cluster.store.listed(served, self.name)[0]

    def saw(self, cluster: str, digest: str) -> bool:
        """Whether a cluster was ever given a Deployment with an image of a digest."""
        store = self.clusters[cluster].store
        kind = store.served("apps/v1", "Deployment")
        assert kind is not None
        logged, _ = store.since(kind, 0, self.name, "")
        return any(digest in json.dumps(one.obj.get("spec")) for one in logged)


@contextmanager
def simulated(
    folder: Path,
    *,
    way: Way = Way.HTTP,
    expired: bool = False,
    settings: Mapping[str, Any] | None = None,
    at: Served | None = None,
) -> Iterator[Simulated]:
    """Serves a repository and four clusters; the daemon is made and not started.

    Args:
        folder: For all of it.
        way: How the repository is reached.
        expired: Over https, by a certificate whose time is over.
        settings: More of the daemon's settings.
        at: A repository that is served already.
    """
    stopping = threading.Event()
    with ExitStack() as stack:
        served = at or stack.enter_context(serve(way, folder / "git", expired=expired))
        clusters, servers = {}, {}
        for name in CLUSTERS:
            clusters[name] = cluster = SimulatedCluster(
                name, clock=SystemClock(), pace=PACE, fates_of=_fates(name)
            )
            cluster.client().create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SERVICE}}
            )
            servers[name] = stack.enter_context(
                ClusterServer(cluster.store, token=f"token-of-{name}", faults=WireFaults())
            )
            thread = threading.Thread(target=_control, args=(cluster, stopping), daemon=True)
            thread.start()
            stack.callback(thread.join)
        stack.callback(stopping.set)
        made = Simulated(
            served, folder / "daemon", clusters=clusters, servers=servers, settings=settings or {}
        )
        stack.push(made.daemon)
        yield made


def _content(obj: KubeObject) -> dict[str, Any]:
    told = {key: obj.get(key) for key in ("kind", "spec", "data")}
    return {**told, "name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def _fates(cluster: str) -> Callable[[str], Fate]:
    def fates(image: str) -> Fate:
        if f"@sha256:{CRASHES_IN_STAGING}" in image:
            return Fate.CRASH if cluster.startswith("staging") else Fate.READY
        return fate_of(image)

    return fates


def _control(cluster: SimulatedCluster, stopping: threading.Event) -> None:
    while not stopping.wait(STEP_S):
        cluster.step()
