"""Four real clusters, a real Git server and a daemon process: what the tests of this folder work on."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.model.objects import KubeObject
from tests.controlplane.cluster import DAEMON, ControlPlane
from tests.gitservers.served import Served, Way, serve
from tests.system.daemon import DaemonProcess
from tests.system.installation import HOME, Installation

API = "/apis/reconciler.dev/v1alpha1"


class Fleet(Installation):
    """One installation of the reconciler over the shared clusters, in namespaces of its own.

    Attributes:
        namespace: The reconciler's own; no other test has it.

    Args:
        planes: The clusters.
        served: The env repo.
        folder: For the daemon.
        settings: More of the daemon's settings.
        user: Whom the daemon connects as.
    """

    def __init__(
        self,
        planes: Mapping[str, ControlPlane],
        served: Served,
        folder: Path,
        settings: Mapping[str, Any],
        user: str,
    ) -> None:
        name = f"t{uuid.uuid4().hex[:8]}"
        self.planes = planes
        self._user = user
        self.namespace = f"{name}-reconciler"
        super().__init__(
            name=name,
            service=f"web-{name}",
            served=served,
            kubeconfig=_merged(planes, user),
            folder=folder,
            settings={"namespace": self.namespace, "installation": name, **settings},
        )

    def record_object(self, environment: str) -> KubeObject | None:
        """Returns the service's PromotionRecord as the home holds it."""
        path = f"{API}/namespaces/{self.namespace}/promotionrecords"
        return self.planes[HOME].find(f"{path}/{self.service}.{environment}")

    def deployment(self, cluster: str) -> dict[str, Any] | None:
        """Returns the service's Deployment on a cluster."""
        path = f"/apis/apps/v1/namespaces/{self.name}/deployments/{self.service}"
        return self.planes[cluster].find(path)

    def image(self, cluster: str) -> str | None:
        """Returns the digest that the service's Deployment asks for on a cluster."""
        return _image(self.deployment(cluster))

    def runs(self, cluster: str, digest: str) -> bool:
        """Whether a cluster's Deployment asks for a digest, and every Pod of it is current and ready."""
        return is_rolled_out(self.deployment(cluster), digest)

    def another_daemon(self, folder: Path, user: str) -> DaemonProcess:
        """Returns a second daemon of the same installation, not started, that connects as another user."""
        folder.mkdir()
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(_merged(self.planes, user)))
        kubeconfig.chmod(0o600)
        own = {"state_dir", "listen", "probes_listen"}
        shared = {key: value for key, value in self.daemon.settings.items() if key not in own}
        return DaemonProcess(folder, {**shared, "kubeconfig": str(kubeconfig)})

    def writes(self, cluster: str, user: str = "") -> list[dict[str, Any]]:
        """Returns the daemon's writes, or another user's, to what is this installation's, by the cluster's own audit.

        That is what bears its name, or lies in a namespace that does. A dry run is none: the API
        server keeps nothing of it.
        """
        return [
            entry
            for entry in self.planes[cluster].writes(user or self._user)
            if "dryRun=All" not in entry["requestURI"]
            and self.name
            in f"{entry['objectRef'].get('namespace')} {entry['objectRef'].get('name')}"
        ]

    def clean_up(self) -> None:
        """Deletes what this installation has made, without waiting for it."""
        for plane in self.planes.values():
            for namespace in (self.name, self.namespace):
                path = f"/api/v1/namespaces/{namespace}"
                if plane.find(path) is not None:
                    plane.request("DELETE", path)


@contextmanager
def fleet(
    planes: Mapping[str, ControlPlane],
    folder: Path,
    *,
    way: Way = Way.HTTP,
    settings: Mapping[str, Any] | None = None,
    user: str = DAEMON,
) -> Iterator[Fleet]:
    """Makes an installation whose daemon is not started yet, and takes all of it away at the end."""
    with serve(way, folder / "git") as served:
        made = Fleet(planes, served, folder / "daemon", settings or {}, user)
        for plane in planes.values():
            plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": made.name}})
        try:
            yield made
        finally:
            made.daemon.__exit__()
            made.clean_up()


def is_rolled_out(deployment: Mapping[str, Any] | None, digest: str) -> bool:
    """Whether a Deployment asks for a digest, and every Pod of it is current and ready."""
    if deployment is None or _image(deployment) != digest:
        return False
    status, wanted = deployment.get("status") or {}, deployment["spec"]["replicas"]
    counts = [status.get(name) for name in ("updatedReplicas", "readyReplicas", "replicas")]
    observed = status.get("observedGeneration")
    return observed == deployment["metadata"]["generation"] and counts == [wanted] * 3


def edit(fleet: Fleet, cluster: str, patch: dict[str, Any]) -> None:
    """Edits the Deployment as a person with kubectl would."""
    path = f"/apis/apps/v1/namespaces/{fleet.name}/deployments/{fleet.service}"
    fleet.planes[cluster].request("PATCH", f"{path}?fieldManager=kubectl-edit", patch)


def holds_for(seconds: float, is_so: Any) -> None:
    """Checks that something stays so; there is nothing to wait for when nothing may happen."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        assert is_so()
        time.sleep(0.1)


def _image(deployment: Mapping[str, Any] | None) -> str | None:
    if deployment is None:
        return None
    image = str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])
    return image.partition("@")[2]


def _merged(planes: Mapping[str, ControlPlane], user: str) -> dict[str, Any]:
    """Returns one kubeconfig with a context for each cluster."""
    each = [plane.kubeconfig(user) for plane in planes.values()]
    lists = {key: [k[key][0] for k in each] for key in ("contexts", "clusters", "users")}
    return {"apiVersion": "v1", "kind": "Config", **lists}
