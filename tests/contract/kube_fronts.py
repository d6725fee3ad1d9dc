"""The fronts of a cluster that the same checks are run against."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.kube.connections import Allowances, from_kubeconfig
from reconciler.ports.kube import KubeApi
from reconciler.shell.runner import SystemClock
from reconciler.simulated.behaviour import Pace
from reconciler.simulated.cluster import SimulatedCluster
from reconciler.simulated.faults import WireFaults
from reconciler.simulated.http_front import ClusterServer


@dataclass(frozen=True, slots=True)
class Front:
    """One cluster to check.

    Attributes:
        other: A second client, whose field manager is another.
        kubeconfig: For kubectl; None where there is nothing to connect to.
    """

    api: KubeApi
    simulated: SimulatedCluster
    kubeconfig: Path | None


@contextmanager
def memory(folder: Path) -> Iterator[Front]:
    """A simulated cluster behind the port itself."""
    del folder
    cluster = SimulatedCluster("memory", clock=SystemClock(), pace=Pace())
    yield Front(cluster.client(), cluster, None)


@contextmanager
def http(folder: Path, token: str = "a-token") -> Iterator[Front]:
    """A simulated cluster over loopback HTTP, through the ordinary adapter."""
    cluster = SimulatedCluster("http", clock=SystemClock(), pace=Pace())
    with ClusterServer(cluster.store, token=token) as server:
        path = folder / "kubeconfig"
        path.write_text(json.dumps(server.kubeconfig("http")))
        api = from_kubeconfig(path, "http", name="http", allow=Allowances(), request_timeout_s=5)
        yield Front(api, cluster, path)


FRONTS = {"memory": memory, "http": http}


@contextmanager
def serve_with_faults(folder: Path, rule: Callable[[str, list[str]], None]) -> Iterator[Front]:
    """As `http`, with a fault that requests meet."""
    cluster = SimulatedCluster("faulty", clock=SystemClock(), pace=Pace())
    faults = WireFaults(rules=[rule])
    with ClusterServer(cluster.store, token="a-token", faults=faults) as server:
        path = folder / "kubeconfig"
        path.write_text(json.dumps(server.kubeconfig("http")))
        api = from_kubeconfig(path, "http", name="http", allow=Allowances(), request_timeout_s=5)
        yield Front(api, cluster, path)
