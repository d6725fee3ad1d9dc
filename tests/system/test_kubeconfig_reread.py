"""A kubeconfig that becomes hostile while a daemon uses it: not taken over, nothing run, and all goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.simulated.behaviour import Fate
from tests.install.fleet import settings_for
from tests.system.daemon import DaemonProcess
from tests.system.kubeconfigs import HOSTILE, SECRET, TEXTS, spoil
from tests.system.served import TOKENS, ServedFleet

pytestmark = pytest.mark.xdist_group("kubeconfig-reread")


def proven(daemon: DaemonProcess, environment: str) -> str | None:
    """Returns which version of web is proven in an environment."""
    cell = daemon.cell("web", environment)
    return str(cell["admitted"]["version"]) if cell and cell["phase"] == "Proven" else None


BY_CLUSTER = [dict(zip(TOKENS, list(HOSTILE)[at::3], strict=False)) for at in range(3)]
"""Every hostile kubeconfig, some at a time: a cluster each."""


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[ServedFleet, DaemonProcess, Path]]:
    """A daemon, and its kubeconfig; whatever that was meanwhile, it goes on as if nothing had been."""
    with ServedFleet() as fleet:
        folder = tmp_path_factory.mktemp("running")
        path = folder / "kubeconfig"
        path.write_bytes(fleet.kubeconfig.read_bytes())
        settings = {**settings_for(fleet), "clusters": {}, "kubeconfig": str(path)}
        with DaemonProcess(folder / "daemon", settings) as daemon:
            daemon.wait_ready()
            daemon.until(lambda: proven(daemon, "prod"), "the first release is proven")
            yield fleet, daemon, path
            fleet.merge("1.9.0", Fate.READY, "good")
            daemon.until(lambda: proven(daemon, "prod") == "1.9.0", "the next one is proven")
            path.write_bytes(fleet.kubeconfig.read_bytes())
            daemon.until(lambda: daemon.logged("credentials-reread"), "it is read once it is right")
            assert not daemon.logged("ClusterUnreachable")
            assert SECRET not in daemon.log.read_text()


def test_every_hostile_kubeconfig_is_some_clusters() -> None:
    assert sorted(title for round_ in BY_CLUSTER for title in round_.values()) == sorted(HOSTILE)


def refusals(daemon: DaemonProcess, cluster: str) -> list[str]:
    """Returns why a cluster's credentials were left as they were, each time."""
    return [line["error"] for line in daemon.logged("credentials-kept", cluster=cluster)]


@pytest.mark.parametrize("titles", BY_CLUSTER, ids=lambda titles: ", ".join(titles.values()))
def test_a_kubeconfig_that_becomes_hostile_while_it_is_used_is_not_taken_over(
    titles: dict[str, str], running: tuple[ServedFleet, DaemonProcess, Path], tmp_path: Path
) -> None:
    fleet, daemon, path = running
    tree, canary = json.loads(fleet.kubeconfig.read_text()), tmp_path / "it-ran"
    for cluster, title in titles.items():
        spoil(tree, cluster, HOSTILE[title][0], canary)
    before = {cluster: len(refusals(daemon, cluster)) for cluster in titles}
    path.write_text(json.dumps(tree))
    for cluster, title in titles.items():
        why = HOSTILE[title][1]
        daemon.until(
            lambda c=cluster, w=why: any(w in e for e in refusals(daemon, c)[before[c] :]),  # type: ignore[misc]
            f"{title} is refused",
        )
    assert not canary.exists()


@pytest.mark.parametrize(
    "title", ["an alias bomb", "50 KB of brackets", "a Python object", "nothing"]
)
def test_a_kubeconfig_that_becomes_none_while_it_is_used_is_not_taken_over(
    title: str, running: tuple[ServedFleet, DaemonProcess, Path]
) -> None:
    _, daemon, path = running
    before = {cluster: len(refusals(daemon, cluster)) for cluster in TOKENS}
    path.write_bytes(TEXTS[title])
    for cluster, count in before.items():
        daemon.until(
            lambda c=cluster, n=count: len(refusals(daemon, c)) > n,  # type: ignore[misc]
            f"it is refused for {cluster}",
        )
        assert str(path) in refusals(daemon, cluster)[-1]
    assert not Path("/tmp/reconciler-was-here").exists()
