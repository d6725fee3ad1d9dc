"""Kubeconfigs that are refused, and a fleet's own with one cluster of it changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.system.hostile import bomb
from tests.system.served import ServedFleet

Edit = Callable[[dict[str, Any], dict[str, Any], Path], None]
"""Changes a user and a cluster of a kubeconfig; the path is a file whose presence tells on us."""

SECRET = "hunter2-s3cr3t"
"""In some of them, and never to be repeated."""


def _exec(user: dict[str, Any], cluster: dict[str, Any], canary: Path) -> None:
    del cluster
    user["exec"] = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "touch",
        "args": [str(canary)],
        "interactiveMode": "Never",
    }


def _auth_provider(user: dict[str, Any], cluster: dict[str, Any], canary: Path) -> None:
    del cluster
    user["auth-provider"] = {
        "name": "gcp",
        "config": {"cmd-path": "touch", "cmd-args": str(canary)},
    }


def _user(**more: Any) -> Edit:
    return lambda user, cluster, canary: user.update(more)


def _cluster(**more: Any) -> Edit:
    return lambda user, cluster, canary: cluster.update(more)


def _server(address: str) -> Edit:
    return _cluster(server=address)


HOSTILE: dict[str, tuple[Edit, str]] = {
    "a program": (_exec, "allow.exec"),
    "a credential provider": (_auth_provider, "allow.auth_provider"),
    "a certificate's file": (
        _user(**{"client-certificate": "/etc/passwd"}),
        "allow.file_references",
    ),
    "a key's file": (_user(**{"client-key": "/etc/shadow"}), "allow.file_references"),
    "a token's file": (_user(tokenFile="/etc/passwd"), "allow.file_references"),
    "an authority's file": (
        _cluster(**{"certificate-authority": "/etc/passwd"}),
        "allow.file_references",
    ),
    "no check of the server": (
        _cluster(**{"insecure-skip-tls-verify": True}),
        "allow.insecure_tls",
    ),
    "a proxy": (_cluster(**{"proxy-url": "http://127.0.0.1:9"}), "proxy"),
    "plain http elsewhere": (_server("http://example.com"), "plain http"),
    "a file as a server": (_server("file:///etc/passwd"), "no http or https"),
    "an option as a server": (_server("--kubeconfig=/etc/passwd"), "no http or https"),
    "no server": (_server(""), "no http or https"),
    "credentials in the address": (
        _server(f"https://me:{SECRET}@example.com"),
        "holds credentials",
    ),
}
"""What is done to a cluster, and a part of why that is refused."""

TEXTS: dict[str, bytes] = {
    "an alias bomb": bomb(),
    "50 KB of brackets": b"[" * 50_000,
    "a depth of ten thousand": b"a: " + b"[" * 10_000 + b"]" * 10_000,
    "two megabytes": b"a: " + b"x" * 2_000_000,
    "a Python object": b"!!python/object/apply:os.system [touch /tmp/reconciler-was-here]\n",
    "no YAML": f"users: [{{token: {SECRET}\n".encode(),
    "UTF-16": "apiVersion: v1".encode("utf-16"),
    "a list": b"- a\n",
    "nothing": b"",
    "bytes that are no text": b"\xff\xfe\xfd",
}
"""No kubeconfigs, nor settings."""


def spoiled(fleet: ServedFleet, name: str, edit: Edit, folder: Path) -> tuple[Path, Path]:
    """Returns a kubeconfig with one changed cluster, and the file that comes to be if a program is run."""
    tree = copy.deepcopy(json.loads(fleet.kubeconfig.read_text()))
    canary = folder / "it-ran"
    spoil(tree, name, edit, canary)
    path = folder / "kubeconfig"
    path.write_text(json.dumps(tree))
    return path, canary


def spoil(tree: dict[str, Any], name: str, edit: Edit, canary: Path) -> None:
    """Changes one cluster of a kubeconfig."""
    user = next(u["user"] for u in tree["users"] if u["name"] == name)
    cluster = next(c["cluster"] for c in tree["clusters"] if c["name"] == name)
    edit(user, cluster, canary)


def port_of(fleet: ServedFleet, name: str) -> int:
    """Returns where a cluster of the fleet listens, on loopback."""
    tree = json.loads(fleet.kubeconfig.read_text())
    (server,) = (c["cluster"]["server"] for c in tree["clusters"] if c["name"] == name)
    port = urlsplit(str(server)).port
    assert port is not None
    return port
