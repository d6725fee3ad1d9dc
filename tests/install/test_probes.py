"""What a kubelet and Prometheus ask: liveness fails for nothing that a restart would not mend."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from reconciler.cli import running
from reconciler.cli.demo_fleet import DemoFleet
from reconciler.cli.running import LIVE_TURN_S, Daemon
from reconciler.config.settings import RepoSettings, Settings
from reconciler.web.probes import probes
from reconciler.web.serving import Served
from tests.install.fleet import settings_for
from tests.ports import free_port
from tests.system.daemon import DaemonProcess

LIMIT_S = 60
"""A few seconds are enough; the machine may be busy."""


def test_readiness_says_what_is_wrong_and_liveness_does_not_ask() -> None:
    problems: list[str] = ["no turn has been made yet"]
    application = probes(
        problems=lambda: problems, metrics=lambda: b"a 1\n", content_type="text/plain"
    )
    with Served(application, "127.0.0.1:0") as served:
        assert httpx.get(f"{served.url}/readyz").status_code == 503
        assert "no turn" in httpx.get(f"{served.url}/readyz").text
        assert httpx.get(f"{served.url}/healthz").status_code == 200
        problems.clear()
        assert httpx.get(f"{served.url}/readyz").status_code == 200
        assert httpx.get(f"{served.url}/metrics").text == "a 1\n"


def nowhere(folder: Path) -> dict[str, Any]:
    """Returns settings whose Git and whose one cluster refuse every connection."""
    port = free_port()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        f"""\
        apiVersion: v1
        kind: Config
        contexts: [{{name: dev-1, context: {{cluster: dev-1, user: dev-1}}}}]
        clusters: [{{name: dev-1, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
        users: [{{name: dev-1, user: {{token: a-token}}}}]
        """
    )
    return {
        "repo": {"url": f"http://127.0.0.1:{port}/env.git", "poll_s": 0.5},
        "clusters": {"dev-1": {"kubeconfig": str(kubeconfig)}},
        "home": "dev-1",
        "mode": "enforce",
    }


def test_it_is_ready_from_its_first_turn_on_and_while_turns_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes_listen = f"127.0.0.1:{free_port()}"
    listen = {"listen": "127.0.0.1:0", "probes_listen": probes_listen}
    settings = Settings.model_validate(
        {**nowhere(tmp_path), **listen, "state_dir": tmp_path, "log_level": "error"}
    )
    now_s = [1_000.0]
    monkeypatch.setattr(running, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    daemon = Daemon(settings, lambda: settings, handle_signals=False)
    # No task runs: a turn is made when it is asked for here, and not before.
    monkeypatch.setattr(daemon.engine, "start", lambda: lambda: None)

    def ready() -> tuple[int, str]:
        answer = httpx.get(f"http://{probes_listen}/readyz")
        return answer.status_code, answer.text

    with daemon:
        assert ready() == (503, "no turn has been made yet\n")
        for _ in range(2):
            daemon.engine.turn()
            now_s[0] += LIVE_TURN_S
            assert ready() == (200, "ok\n")
            now_s[0] += 1
            assert ready() == (503, "the coordinator is stuck\n")


@pytest.mark.slow
def test_a_daemon_without_git_and_clusters_lives_serves_and_says_so(tmp_path: Path) -> None:
    settings = nowhere(tmp_path)
    with DaemonProcess(tmp_path, settings) as daemon:
        daemon.until(lambda: daemon.logged("ClusterUnreachable"), "the cluster is lost", LIMIT_S)
        daemon.until(lambda: daemon.logged("FetchFailed"), "a fetch fails", LIMIT_S)
        daemon.wait_ready()
        assert httpx.get(f"{daemon.probes_url}/healthz").text == "ok\n"
        assert httpx.get(f"{daemon.probes_url}/readyz").text == "ok\n"
        assert daemon.metric("reconciler_cluster_reachable", cluster="dev-1") == 0
        age_s = daemon.metric("reconciler_fetch_age_seconds")
        assert age_s is not None and age_s > 0
        # Nobody has given a right to it, so it halts and says why.
        assert daemon.metric("reconciler_halted") == 1
        assert "<html" in httpx.get(daemon.page_url).text
        began_s = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began_s < 25


@pytest.mark.slow
def test_a_cluster_that_goes_away_later_changes_no_probe(tmp_path: Path) -> None:
    with DemoFleet() as fleet, DaemonProcess(tmp_path, settings_for(fleet)) as daemon:

        def reachable() -> float | None:
            return daemon.metric("reconciler_cluster_reachable", cluster="prod-2")

        daemon.until(lambda: reachable() == 1, "prod-2 answers", LIMIT_S)
        for faults in fleet.faults.values():
            faults.is_down = True
        daemon.until(lambda: reachable() == 0, "prod-2 is lost", LIMIT_S)
        assert httpx.get(f"{daemon.probes_url}/healthz").status_code == 200
        assert httpx.get(f"{daemon.probes_url}/readyz").status_code == 200
        for faults in fleet.faults.values():
            faults.is_down = False


def test_only_loopback_is_listened_at_unless_the_settings_say_otherwise() -> None:
    settings = Settings(repo=RepoSettings(url="https://git.example.com/env.git"))
    assert settings.listen.startswith("127.0.0.1:")
    assert settings.probes_listen.startswith("127.0.0.1:")
