"""What a cluster lets in is changed in the mounted Secret, and the daemon goes on without a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.system.envrepo import policy
from tests.system.simulated import simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("new-credentials")]

GOOD, NEXT = "1.0.0", "1.1.0"
CLUSTER = "prod-2"
"""Alone in the last wave."""

TOKEN = "a-canary-of-a-token"


def mount(folder: Path, kubeconfig: str) -> Path:
    """Shows a kubeconfig as the kubelet does: below a link that is replaced by one to another folder."""
    folder.mkdir(exist_ok=True)
    shown = folder / f"..{len(list(folder.iterdir()))}"
    shown.mkdir()
    (shown / "kubeconfig").write_text(kubeconfig)
    (folder / "..new").symlink_to(shown.name)
    (folder / "..new").replace(folder / "..data")
    file = folder / "kubeconfig"
    if not file.is_symlink():
        file.symlink_to("..data/kubeconfig")
    return file


def test_a_new_token_in_a_mounted_secret_is_taken_over_without_a_restart(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        daemon, text = made.daemon, made.kubeconfig.read_text()
        daemon.settings["kubeconfig"] = str(mount(tmp_path / "mounted", text))
        made.start_with(GOOD, policy(soak_s=0.3))
        former, made.servers[CLUSTER].token = made.servers[CLUSTER].token, TOKEN
        made.merge(made.pins(NEXT))
        daemon.until(lambda: "HTTP 401" in json.dumps(daemon.status()), "it is not let in")
        assert not made.is_proven("prod", NEXT)
        mount(tmp_path / "mounted", text.replace(former, TOKEN))
        made.wait_proven("prod", NEXT)
        assert daemon.metric("reconciler_cluster_reachable", cluster=CLUSTER) == 1
        assert TOKEN not in daemon.log.read_text()
