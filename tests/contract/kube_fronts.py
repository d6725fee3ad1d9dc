"""The fronts of a cluster that the same checks are run against: in memory, over HTTP, and a real control plane."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.kube.client import KubeClient
from reconciler.adapters.kube.connections import Allowances, from_kubeconfig
from reconciler.adapters.render.kustomize import find_kubectl
from reconciler.model.objects import KubeObject
from reconciler.ports.kube import KubeApi, WatchEvent
from reconciler.shell.runner import SystemClock
from reconciler.simulated.behaviour import Pace
from reconciler.simulated.cluster import SimulatedCluster
from reconciler.simulated.faults import WireFaults
from reconciler.simulated.http_front import ClusterServer
from tests.controlplane.cluster import ControlPlane

Object = dict[str, Any]

SOMEBODY = "somebody"
"""The field manager of everyone else."""

REQUEST_S = 5.0

PACE = Pace(ready_after_s=0.2, crash_every_s=0.1, pull_every_s=0.1)


REAL = pytest.param("real", marks=[pytest.mark.cluster, pytest.mark.xdist_group("cluster")])
"""The front that is a real control plane."""

CONNECTED = pytest.mark.parametrize("front", ["http", REAL], indirect=True)
"""For a test that needs what a program can connect to, as kubectl does."""


@dataclass(frozen=True, slots=True)
class Front:
    """One cluster to check.

    Attributes:
        api: The cluster as the daemon sees it.
        somebody_replaces: Writes an object as another manager.
        forget_history: Makes every watch from before now too old, where that can be done.
        forget_lists: Makes every list that is being read in pages too old to go on with.
        step: Lets the controllers work, where they do not by themselves.
        kubeconfig: For kubectl; None where there is nothing to connect to.
    """

    api: KubeApi
    somebody_replaces: Callable[[KubeObject], None]
    forget_history: Callable[[], None]
    forget_lists: Callable[[], None]
    step: Callable[[], None]
    kubeconfig: Path | None


@contextmanager
def memory(folder: Path) -> Iterator[Front]:
    """A simulated cluster behind the port itself."""
    del folder
    cluster = SimulatedCluster("memory", clock=SystemClock(), pace=PACE)
    yield Front(
        cluster.client(),
        lambda obj: _store(cluster, obj),
        cluster.store.forget,
        lambda: None,
        cluster.step,
        None,
    )


@contextmanager
def http(folder: Path) -> Iterator[Front]:
    """A simulated cluster over loopback HTTP, through the ordinary adapter and with the real kubectl."""
    with simulated(folder) as made:
        cluster = made.cluster
        yield Front(
            made.api,
            lambda obj: _store(cluster, obj),
            cluster.store.forget,
            made.server.api.forget_lists,
            cluster.step,
            made.kubeconfig,
        )


def _store(cluster: SimulatedCluster, obj: KubeObject) -> None:
    cluster.store.replace(dict(obj), SOMEBODY)


def real(plane: ControlPlane, folder: Path) -> Front:
    """Returns the front of a real control plane, which other tests share."""
    path = folder / "kubeconfig"
    path.write_text(json.dumps(plane.kubeconfig("admin")))
    path.chmod(0o600)
    api = from_kubeconfig(
        path, plane.name, name=plane.name, allow=Allowances(), request_timeout_s=REQUEST_S
    )

    def replace(obj: KubeObject) -> None:
        kubectl(path, "replace", f"--field-manager={SOMEBODY}", "-f", "-", text=json.dumps(obj))

    def restart() -> None:
        # What a new API server remembers of changes begins with its start.
        plane.stop_server()
        plane.start_server()

    def compact() -> None:
        # It remembers lists itself, and asks etcd only for what is older than its start.
        plane.compact()
        restart()

    return Front(api, replace, restart, compact, lambda: None, path)


def kubectl(kubeconfig: Path | None, *arguments: str, text: str = "") -> str:
    """Runs the real kubectl and returns what it prints."""
    done = subprocess.run(
        [str(find_kubectl()), "--kubeconfig", str(kubeconfig), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulated cluster over HTTP with all that a test may turn at."""

    api: KubeClient
    cluster: SimulatedCluster
    server: ClusterServer
    faults: WireFaults
    kubeconfig: Path


@contextmanager
def simulated(
    folder: Path, *, token: str = "", skew_s: float = 0.0, request_timeout_s: float = REQUEST_S
) -> Iterator[Simulated]:
    """Serves a simulated cluster.

    Args:
        folder: For its kubeconfig.
        token: That it asks for; kubectl sends none over plain HTTP.
        skew_s: Seconds that its clock is ahead.
        request_timeout_s: Of the adapter.
    """
    cluster = SimulatedCluster("http", clock=SystemClock(), pace=PACE, skew_s=skew_s)
    faults = WireFaults()
    with ClusterServer(cluster.store, token=token, faults=faults, skew_s=skew_s) as server:
        path = folder / "kubeconfig"
        path.write_text(json.dumps(server.kubeconfig("http")))
        api = from_kubeconfig(
            path, "http", name="http", allow=Allowances(), request_timeout_s=request_timeout_s
        )
        yield Simulated(api, cluster, server, faults, path)


def config_map(name: str, **data: str) -> Object:
    """Returns a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "default"},
        "data": data,
    }


@contextmanager
def meeting(
    folder: Path, fault: Exception | type[Exception], *, request_timeout_s: float = 5.0
) -> Iterator[Simulated]:
    """A cluster on which every request about ConfigMaps meets a fault."""

    def rule(verb: str, steps: list[str]) -> None:
        del verb
        if "configmaps" in steps:
            raise fault

    with simulated(folder, token="a-token", request_timeout_s=request_timeout_s) as made:
        made.faults.rules.append(rule)
        yield made


def listing(made: Simulated) -> Callable[[], object]:
    """Returns what lists ConfigMaps."""
    return lambda: made.api.list("v1", "ConfigMap", namespace=None, label_selector="")


def watching(made: Simulated, timeout_s: float = 5.0) -> Callable[[], object]:
    """Returns what watches ConfigMaps to the end."""
    return lambda: list(watch(made.api, timeout_s))


def watch(api: KubeClient, timeout_s: float = 1.0) -> Iterator[WatchEvent]:
    """Returns the events of ConfigMaps from the first version on."""
    return api.watch(
        "v1",
        "ConfigMap",
        namespace=None,
        label_selector="",
        resource_version="1",
        timeout_s=timeout_s,
    )
