"""The alerts: each tested by Prometheus' own tool, and one of them seen to fire in a real Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.cli.demo_fleet import DemoFleet
from tests.house.test_operations_docs import metrics
from tests.install.fleet import settings_for
from tests.ports import free_port
from tests.system.apt import require
from tests.system.daemon import DaemonProcess

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "policies" / "prometheus" / "reconciler.yaml"
CASES = Path(__file__).parent / "alerts" / "reconciler.yaml"
LIMIT_S = 90
"""A scrape a second and an evaluation a second; the rest is for a busy machine."""

PACKAGE = "prometheus"


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def cases() -> list[dict[str, Any]]:
    tests = yaml.safe_load(CASES.read_text())["tests"]
    return [case for test in tests for case in test["alert_rule_test"]]


# What the rules say.


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_tells_a_person_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("warning", "critical")
    told = alert["annotations"]
    assert set(told) == {"summary", "description", "runbook_url"}
    assert len(told["summary"]) < 120
    assert told["runbook_url"] == f"docs/alerts.md#{alert['alert'].lower()}"


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_metrics_that_the_daemon_has(alert: dict[str, Any]) -> None:
    asked = {
        re.sub(r"_(count|sum|bucket)$", "", name)
        for name in re.findall(r"\breconciler_\w+", alert["expr"])
    }
    assert asked
    assert asked <= metrics()


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_is_seen_to_fire_and_seen_not_to(alert: dict[str, Any]) -> None:
    seen = [case for case in cases() if case["alertname"] == alert["alert"]]
    assert [case for case in seen if case["exp_alerts"]]
    assert [case for case in seen if not case["exp_alerts"]]


@pytest.mark.slow
def test_each_alert_fires_for_what_it_is_for_and_for_nothing_else() -> None:
    promtool = require(PACKAGE, "promtool")
    done = subprocess.run(
        [promtool, "test", "rules", CASES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# A real Prometheus, on a real daemon.


@pytest.mark.slow
def test_a_hand_edit_of_a_live_deployment_fires_the_drift_alert(tmp_path: Path) -> None:
    with (
        DemoFleet() as fleet,
        DaemonProcess(tmp_path, settings_for(fleet)) as daemon,
        prometheus(tmp_path, daemon.probes_url.removeprefix("http://")) as server,
    ):
        where = {"service": "web", "environment": "dev", "cluster": "dev-1"}
        daemon.until(
            lambda: daemon.metric("reconciler_drift_objects", **where) == 0,
            "web runs in dev as it should",
            LIMIT_S,
        )
        assert not firing(server)
        edit_by_hand(fleet)
        daemon.until(lambda: firing(server), "the alert fires", LIMIT_S)
        (alert,) = firing(server)
        assert alert["labels"] | {"service": "web", "environment": "dev"} == alert["labels"]
        assert alert["labels"]["cluster"] == "dev-1"
        assert alert["labels"]["job"] == "reconciler"
        assert "web differs from what was applied to dev-1" in alert["annotations"]["summary"]


def edit_by_hand(fleet: DemoFleet) -> None:
    """Scales a Deployment where the policy only reports, as with kubectl."""
    store = fleet.clusters["dev-1"].store
    kind = store.served("apps/v1", "Deployment")
    assert kind is not None
    (found,) = [obj for obj in store.listed(kind, "web")[0] if obj["metadata"]["name"] == "web"]
    store.replace({**found, "spec": {**found["spec"], "replicas": 7}}, "kubectl-scale")


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """Runs a Prometheus that scrapes one target under the shipped rules, with no wait in them."""
    program = require(PACKAGE, "prometheus")
    rules = folder / "rules.yaml"
    rules.write_text(re.sub(r"^(\s+)for: \w+$", r"\1for: 0s", RULES.read_text(), flags=re.M))
    config = folder / "prometheus.yaml"
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [str(rules)],
                "scrape_configs": [
                    {"job_name": "reconciler", "static_configs": [{"targets": [target]}]}
                ],
            }
        )
    )
    address = f"127.0.0.1:{free_port()}"
    flags = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={address}",
    ]
    log = folder / "prometheus.log"
    with log.open("w") as told, subprocess.Popen([program, *flags], stderr=told) as process:
        try:
            _wait_ready(process, f"http://{address}/-/ready", log)
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(30)


def _wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until_s = time.monotonic() + LIMIT_S
    while True:
        assert process.poll() is None and time.monotonic() < until_s, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)


def firing(server: str) -> list[dict[str, Any]]:
    """Returns the drift alerts that fire now."""
    with urllib.request.urlopen(f"{server}/api/v1/alerts", timeout=10) as answer:
        found = json.load(answer)["data"]["alerts"]
    return [
        alert
        for alert in found
        if alert["labels"]["alertname"] == "ReconcilerDrift" and alert["state"] == "firing"
    ]
