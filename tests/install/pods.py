"""A Deployment's Pod, started as a kubelet would start it, from what the API server has and nothing else."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.controlplane.cluster import ControlPlane
from tests.install import dockerfile
from tests.install.conftest import Installed
from tests.install.contained import ContainedDaemon, Container

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_S = 3600

Object = dict[str, Any]


def account_token(plane: ControlPlane, namespace: str, account: str) -> str:
    """Returns a service account's token, as the API server gives it out."""
    asked = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_S},
    }
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    return str(plane.request("POST", path, asked)["status"]["token"])


def account_kubeconfig(plane: ControlPlane, namespace: str, account: str) -> Object:
    """Returns the kubeconfig of a service account."""
    made = plane.kubeconfig("admin")
    made["users"][0]["user"] = {"token": account_token(plane, namespace, account)}
    return made


@contextmanager
def daemon_of(
    plane: ControlPlane, namespace: str, deployment: str, installed: Installed, folder: Path
) -> Iterator[ContainedDaemon]:
    """Starts the daemon of a Deployment, as its Pod's specification says.

    Args:
        plane: Where the Deployment is.
        namespace: Its namespace.
        deployment: Its name.
        installed: Takes the place of its image.
        folder: A new folder for what is mounted.
    """
    found = plane.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}")
    spec = found["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    context = spec["securityContext"]
    assert context["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    shown = {str(installed.prefix): installed.prefix}
    for mount in container["volumeMounts"]:
        if "projected" in volumes[mount["name"]]:
            place = folder / mount["name"]
            _project(plane, namespace, volumes[mount["name"]]["projected"], place)
            _give(place, int(context["fsGroup"]))
            shown[mount["mountPath"]] = place
    environment = dockerfile.environment(installed.prefix)
    if spec["automountServiceAccountToken"]:
        shown[ACCOUNT] = folder / "account"
        _account(plane, namespace, spec["serviceAccountName"], folder / "account")
        _give(folder / "account", int(context["fsGroup"]))
        host, _, port = plane.url.removeprefix("https://").partition(":")
        environment |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    root = folder / "root"
    root.mkdir()
    contained = Container(
        root,
        shown,
        tuple(m["mountPath"] for m in container["volumeMounts"] if _is_empty(volumes[m["name"]])),
        int(context["runAsUser"]),
        int(context["runAsGroup"]),
    )
    assert "command" not in container
    program = dockerfile.command(installed.prefix, *container["args"])
    with ContainedDaemon(folder / "log", contained, program, environment, {}) as daemon:
        yield daemon


def _is_empty(volume: Object) -> bool:
    return "emptyDir" in volume


def _project(plane: ControlPlane, namespace: str, projected: Object, place: Path) -> None:
    """Writes what a projected volume is made of."""
    for source in projected["sources"]:
        ((kind, what),) = source.items()
        kinds = {"configMap": "configmaps", "secret": "secrets"}
        path = f"/api/v1/namespaces/{namespace}/{kinds[kind]}/{what['name']}"
        content: dict[str, str] = plane.request("GET", path)["data"]
        items = what.get("items") or [{"key": key, "path": key} for key in content]
        for item in items:
            text = content[item["key"]]
            octets = base64.b64decode(text) if kind == "secret" else text.encode()
            _write(place / item["path"], octets)


def _account(plane: ControlPlane, namespace: str, account: str, place: Path) -> None:
    (cluster,) = plane.kubeconfig("admin")["clusters"]
    authority = base64.b64decode(cluster["cluster"]["certificate-authority-data"])
    _write(place / "token", account_token(plane, namespace, account).encode())
    _write(place / "ca.crt", authority)
    _write(place / "namespace", namespace.encode())


def renew_token(plane: ControlPlane, namespace: str, account: str, folder: Path) -> None:
    """Puts a new token in the place of a running Pod's, as the kubelet does long before the former ends.

    Args:
        plane: Where the Pod is.
        namespace: Its namespace.
        account: Its service account.
        folder: That `daemon_of` was given.
    """
    former = folder / "account" / "token"
    new = former.with_name("new")
    new.write_text(account_token(plane, namespace, account))
    os.chown(new, 0, former.stat().st_gid)
    new.chmod(0o440)
    new.replace(former)


def _write(path: Path, octets: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets)


def _give(place: Path, group: int) -> None:
    """Lets the Pod's group read, and nobody else, as fsGroup does."""
    for folder, _, files in os.walk(place):
        os.chown(folder, 0, group)
        Path(folder).chmod(0o750)
        for name in files:
            os.chown(Path(folder, name), 0, group)
            Path(folder, name).chmod(0o440)


def secret(name: str, **content: str | Object) -> Object:
    """Returns a Secret."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in content.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": texts,
    }
