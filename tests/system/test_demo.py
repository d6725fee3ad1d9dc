"""The demo as its user runs it: a process, a real remote over HTTP, clusters over HTTP, and a page."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.processes import in_session, listens_at
from tests.system.documents import check

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

LIMIT_S = 150
"""It takes half a minute; a machine that runs other tests may take a few times as long."""

END_S = 40
"""A stop waits for work under way."""

LOOPBACK = r"http://127\.0\.0\.1:\d+"

SHOWN = (
    rf"five simulated clusters, a Git remote and the daemon are up; watch {LOOPBACK}",
    r"the first releases are proven everywhere",
    r"a person merges web 1\.9\.0",
    r" +\S+ +prod +Proven +1\.9\.0",
    r"a person merges web 1\.10\.0",
    r" +\S+ +staging +Rejected +1\.10\.0 +staging-1: .*exit code 1",
    r" +\S+ +staging +RolledBack +1\.9\.0",
    r" +\S+ +staging +RevertPushed +1\.10\.0 +[0-9a-f]{40} is on main",
    r"ok +ExactlyOneRevert",
    r"1\.10\.0 failed in staging: clusters back after \S+ s, reverted in Git after \S+ s",
)
"""What it shows on the way, in this order."""

WENT = (
    ("dev", "Applied", "1.10.0"),
    ("dev", "Proven", "1.10.0"),
    ("staging", "Applied", "1.10.0"),
    ("staging", "Failed", "1.10.0"),
    ("staging", "RolledBack", "1.9.0"),
)
"""How the bad release went, in this order."""

AGAIN_S = 0.2
"""By then it is clearing up."""


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
    check("demo", report)
    assert report["script"] == script and report["started_at"] < report["finished_at"]
    assert re.fullmatch(f"{LOOPBACK}/env.git", report["repo"])
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
    assert 0 < incident["failure_to_rollback_s"] <= incident["failure_to_revert_s"]
    ends = {
        **dict.fromkeys(("staging-1", "prod-1", "prod-2", "prod-3"), "1.9.0"),
        "dev-1": "1.10.0",
    }
    assert {
        row["cluster"]: (row["revision"]["version"], row["health"])
        for row in report["final"]
        if row["service"] == "web"
    } == {cluster: (version, "Current") for cluster, version in ends.items()}
    told = [
        (row["environment"], row["event"], (row["revision"] or {}).get("version"))
        for row in report["timeline"]
        if row["service"] == "web"
    ]
    order = [told.index(row) for row in WENT]
    assert order == sorted(order), told
    names = {check["name"] for check in report["checks"]}
    assert {"ProdNeverSawBadRelease", "ExactlyOneRevert", "InOrder"} <= names


@pytest.mark.xdist_group("demo")
def test_a_good_release_reaches_all() -> None:
    report = run("good-release")
    assert report["incident"] is None
    assert [commit["kind"] for commit in report["commits"]] == ["seed", "good"]
    assert {check["name"] for check in report["checks"]} == {
        "ProvenEverywhere",
        "NothingReverted",
        "InOrder",
    }


@pytest.mark.xdist_group("demo")
def test_a_cluster_that_is_down_holds_only_its_own_wave() -> None:
    report = run("cluster-down")
    assert report["incident"] is None
    assert [c["kind"] for c in report["commits"]] == ["seed", "good"]


def made() -> list[str]:
    """Returns what `make demo` runs, with the environment of the tests in the place of one made by it."""
    shown = subprocess.run(
        ["make", "--dry-run", "--old-file=.venv/.installed", f"BIN={BIN}", "demo"],
        cwd=ROOT,
        # The tests may have been begun by make, which then says where it is.
        env={k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL"}},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = shown.stdout.splitlines()
    return shlex.split(line)


@contextmanager
def demo(
    folder: Path, *more: str, document: IO[str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Runs `make demo` in a session of its own, with a folder for its temporary files.

    Args:
        folder: See above.
        more: Arguments that make does not give.
        document: Takes its stdout, of a demo that tells its people on stderr.
    """
    variables = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
    with subprocess.Popen(
        [*made(), *more],
        cwd=ROOT,
        env={**variables, "TMPDIR": str(folder)},
        stdout=document or subprocess.PIPE,
        stderr=subprocess.PIPE if document else subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def told(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Returns the first line of a pattern that it writes to people."""
    stream = process.stdout or process.stderr
    assert stream is not None
    until = time.monotonic() + LIMIT_S
    for line in stream:
        found = re.match(pattern, line)
        if found is not None:
            return found
        if time.monotonic() > until:
            break
    raise AssertionError(f"it does not say {pattern}")


def invitation(process: subprocess.Popen[str]) -> str:
    """Returns what it says to type in another terminal."""
    assert process.stdout is not None
    said = iter(process.stdout.readline, "")
    lines = itertools.takewhile(lambda line: not line.startswith("Ctrl-C"), said)
    return "".join(line for line in lines if line.startswith("    "))


def looks_around(typed: str) -> str:
    """Types that as somebody who has just made the demo, and has installed nothing else."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", typed],
            env={"PATH": "/usr/bin:/bin", "HOME": home},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def plays_with(repo: str, page: str, clone: Path) -> None:
    """Does what it invites to: clones the repo, changes a pin, pushes, and watches the page."""
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com"}
    who |= {"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com"}

    def git(*arguments: str) -> None:
        command = ["git", "-C", str(clone), *arguments]
        subprocess.run(command, env={**os.environ, **who}, timeout=60, check=True)

    subprocess.run(["git", "clone", "--quiet", repo, str(clone)], timeout=60, check=True)
    before = _admitted(page)
    pin = clone / "environments/dev/web.yaml"
    pin.write_text(re.sub(r"(?m)^( *replicas): .*$", r"\1: 3", pin.read_text()))
    git("commit", "--quiet", "--all", "--message", "Three of them in dev")
    git("push", "--quiet", "origin", "main")
    until = time.monotonic() + LIMIT_S
    while (now := _admitted(page)) == before:
        assert time.monotonic() < until, now
        time.sleep(0.2)


def _admitted(page: str) -> dict[str, Any]:
    """Returns the revision of web that dev was let on to, as the page's document says."""
    status = json.load(urllib.request.urlopen(f"{page}/api/status", timeout=10))
    (cell,) = [c for c in status["cells"] if (c["service"], c["environment"]) == ("web", "dev")]
    found: dict[str, Any] = cell["admitted"]
    return found


def leaves_nothing(process: subprocess.Popen[str], folder: Path, code: int) -> None:
    """It ends with a code, and neither files nor processes of it are left."""
    assert process.wait(END_S) == code
    assert list(folder.iterdir()) == []
    assert in_session(process.pid) == []


def _as_ctrl_c(process: subprocess.Popen[str]) -> None:
    """As a terminal does it: everything in the foreground is sent it."""
    os.killpg(process.pid, signal.SIGINT)


def _as_a_service_manager(process: subprocess.Popen[str]) -> None:
    """The process itself, and a moment later everything that it is thought to have started."""
    process.terminate()
    time.sleep(AGAIN_S)
    os.killpg(process.pid, signal.SIGTERM)


@pytest.mark.xdist_group("demo")
def test_make_demo_stays_up_with_its_page_until_it_is_ended_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    with demo(tmp_path) as process:
        for line in SHOWN:
            told(process, line)
        ready = told(process, rf"ready: repo=({LOOPBACK}/env\.git) page=({LOOPBACK})$")
        page = urllib.request.urlopen(ready[2], timeout=10).read().decode()
        assert "worker" in page and "Proven" in page
        status = json.load(urllib.request.urlopen(f"{ready[2]}/api/status", timeout=10))
        assert len(status["cells"]) == 12
        rejected = [c["environment"] for c in status["cells"] if c["last_rejection"]]
        assert "staging" in rejected, "a bad release is what it shows unless it is told otherwise"
        heads = subprocess.run(
            ["git", "ls-remote", ready[1]], capture_output=True, text=True, timeout=30, check=True
        )
        assert "refs/heads/main" in heads.stdout
        looked = looks_around(invitation(process))
        assert "staging" in looked and "web.staging" in looked
        assert list(tmp_path.iterdir()), "its folder is there as long as it is up"
        assert {at.partition(":")[0] for at in listens_at(process.pid)} == {"127.0.0.1"}
        plays_with(ready[1], ready[2], tmp_path / "clone")
        shutil.rmtree(tmp_path / "clone")
        _as_ctrl_c(process)
        leaves_nothing(process, tmp_path, 0)


@pytest.mark.xdist_group("demo")
def test_for_scripts_it_writes_its_report_and_stays_up_too(tmp_path: Path) -> None:
    folder, path = tmp_path / "demo", tmp_path / "report.json"
    folder.mkdir()
    asked = ("--script", "good-release", "-o", "json")
    with path.open("w") as document, demo(folder, *asked, document=document) as process:
        ready = told(process, r"ready: repo=(\S+) page=(\S+)")
        check("demo", json.loads(path.read_text()))
        assert json.loads(path.read_text())["repo"] == ready[1]
        assert _admitted(ready[2])["version"] == "1.9.0"
        _as_a_service_manager(process)
        leaves_nothing(process, folder, 0)
    assert json.loads(path.read_text())["ok"], "and it is the one document still"


@pytest.mark.xdist_group("demo")
@pytest.mark.parametrize("end", [_as_ctrl_c, _as_a_service_manager])
def test_a_demo_that_is_ended_in_the_middle_leaves_nothing_either(
    end: Callable[[subprocess.Popen[str]], None], tmp_path: Path
) -> None:
    with demo(tmp_path) as process:
        told(process, "five simulated clusters")
        assert list(tmp_path.iterdir())
        end(process)
        leaves_nothing(process, tmp_path, 130)
