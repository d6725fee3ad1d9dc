"""A fleet's kubeconfig with one cluster of it changed: spoiled, or reached in another way."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.system.served import ServedFleet

Edit = Callable[[dict[str, Any], dict[str, Any], Path], None]
"""Changes a user and a cluster of a kubeconfig; the path is a file whose presence tells on us."""


def spoiled(fleet: ServedFleet, name: str, edit: Edit, folder: Path) -> tuple[Path, Path]:
    """Returns a kubeconfig with one changed cluster, and the file that comes to be if a program is run."""
    tree = copy.deepcopy(json.loads(fleet.kubeconfig.read_text()))
    canary = folder / "it-ran"
    user = next(u["user"] for u in tree["users"] if u["name"] == name)
    cluster = next(c["cluster"] for c in tree["clusters"] if c["name"] == name)
    edit(user, cluster, canary)
    path = folder / "kubeconfig"
    path.write_text(json.dumps(tree))
    return path, canary


def port_of(fleet: ServedFleet, name: str) -> int:
    """Returns where a cluster of the fleet listens, on loopback."""
    tree = json.loads(fleet.kubeconfig.read_text())
    (server,) = (c["cluster"]["server"] for c in tree["clusters"] if c["name"] == name)
    port = urlsplit(str(server)).port
    assert port is not None
    return port
