"""The demo as its user runs it: a process, a real remote over HTTP, clusters over HTTP, and a page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from typing import Any

import pytest

LIMIT_S = 150
"""It takes half a minute; a machine that runs other tests may take a few times as long."""


def run(script: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "demo", "--once", "--script", script, "-o", "json"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["ok"], (report["checks"], report["errors"], done.stderr[-2000:])
    assert done.returncode == 0
    return report


@pytest.mark.xdist_group("demo")
def test_a_bad_release_comes_back_out() -> None:
    report = run("bad-release")
    kinds = [commit["kind"] for commit in report["commits"]]
    assert kinds == ["seed", "good", "bad", "revert"]
    trailers = report["commits"][-1]["trailers"]
    assert trailers["Reconciler-Action"] == "revert"
    assert trailers["Reconciler-Environments"] == "staging, prod"
    incident = report["incident"]
    assert incident["environment"] == "staging"
    assert incident["reverted_environments"] == ["prod", "staging"]
    assert incident["kept_environments"] == ["dev"]
    assert incident["revert_commit"] == report["commits"][-1]["commit"]
    names = {check["name"] for check in report["checks"]}
    assert {"ProdNeverSawBadRelease", "ExactlyOneRevert", "InOrder"} <= names


@pytest.mark.xdist_group("demo")
def test_a_cluster_that_is_down_holds_only_its_own_wave() -> None:
    report = run("cluster-down")
    assert report["incident"] is None
    assert [c["kind"] for c in report["commits"]] == ["seed", "good"]


@pytest.mark.xdist_group("demo")
def test_the_demo_stays_up_with_its_page_until_it_is_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "reconciler", "demo", "--script", "good-release"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            until = time.monotonic() + LIMIT_S
            ready = None
            for line in process.stdout:
                ready = re.match(r"ready: repo=(\S+) page=(\S+)", line)
                if ready or time.monotonic() > until:
                    break
            assert ready is not None
            page = urllib.request.urlopen(ready[2], timeout=10).read().decode()
            assert "worker" in page and "Proven" in page
            status = json.load(urllib.request.urlopen(f"{ready[2]}/api/status", timeout=10))
            assert {cell["phase"] for cell in status["cells"]} == {"Proven"}
            heads = subprocess.run(
                ["git", "ls-remote", ready[1]],
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            )
            assert "refs/heads/main" in heads.stdout
        finally:
            process.terminate()
            process.wait(30)
