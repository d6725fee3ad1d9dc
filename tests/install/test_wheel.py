"""The wheel is whole: in an empty environment, away from any checkout, it does what a checkout does."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.install.conftest import Installed

ROOT = Path(__file__).resolve().parents[2]
DEMO_S = 150
"""It takes half a minute; a machine that runs other tests may take a few times as long."""

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("install")]


def run(installed: Installed, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the installed command with nothing around it that could lead to the checkout."""
    assert not list(cwd.iterdir())
    return subprocess.run(
        [installed.prefix / "bin" / "reconciler", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd)},
        capture_output=True,
        text=True,
        timeout=DEMO_S,
        check=False,
    )


def shipped(installed: Installed) -> Path:
    (found,) = installed.prefix.glob("lib/python*/site-packages/reconciler/_shipped")
    return found


def test_the_checkout_cannot_be_imported_from_there(installed: Installed, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            installed.prefix / "bin" / "python",
            "-c",
            "import reconciler, sys; print(reconciler.__file__, *sys.path, sep='\\n')",
        ],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    module, *path = done.stdout.split("\n")
    assert module.startswith(str(installed.prefix))
    assert not [entry for entry in path if entry.startswith(str(ROOT))]


def test_it_holds_each_file_of_the_package_the_policies_and_the_example_repo_and_no_other(
    installed: Installed,
) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    places = {
        "reconciler": "reconciler",
        "policies": "reconciler/_shipped/policies",
        "example-repo": "reconciler/_shipped/example-repo",
    }
    wanted = {
        f"{target}/{path.relative_to(ROOT / folder)}"
        for folder, target in places.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == wanted


def test_its_example_repo_is_valid(installed: Installed, tmp_path: Path) -> None:
    repo = shipped(installed) / "example-repo"
    done = run(installed, tmp_path, "validate", str(repo), "-o", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["ok"] and report["faults"] == [], done.stdout
    assert report["files"] >= 12


def test_its_demo_takes_a_bad_release_back(installed: Installed, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "demo", "--script", "bad-release", "--once", "--output", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["ok"], (report["checks"], done.stderr[-2000:])
    assert [commit["kind"] for commit in report["commits"]][-1] == "revert"
    assert not list(tmp_path.iterdir())
