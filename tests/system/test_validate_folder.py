"""`validate PATH` of a folder whose pins name a commit, as the revert commits do."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from reconciler.schema.shipped import shipped
from tests.system.documents import check
from tests.system.served import cli

PIN = "environments/prod/web.yaml"


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def reverted(root: Path, below: str) -> Path:
    """Makes a repository with an env repo in a folder of it, whose prod runs what a commit before HEAD holds."""
    folder = root / below
    shutil.copytree(shipped("example-repo"), folder)
    git(root, "init", "--quiet", "-b", "main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "one")
    pin = folder / PIN
    source = git(root, "rev-parse", "HEAD")
    pin.write_text(pin.read_text().replace("release:\n", f"release:\n  source: {source}\n", 1))
    git(root, "commit", "--quiet", "-am", "Revert web")
    return folder


def faults(folder: Path) -> list[tuple[str, str, str]]:
    told = cli("validate", str(folder), "-o", "json")
    check("validate", told.document)
    assert told.code == bool(told.document["faults"])
    return [(f["path"], f["why"], f["fix"]) for f in told.document["faults"]]


@pytest.mark.parametrize("below", ["", "env", "one/two"])
def test_the_commit_is_looked_for_in_the_repository_around_the_folder(
    below: str, tmp_path: Path
) -> None:
    folder = reverted(tmp_path / "repo", below)
    assert faults(folder) == []
    # What that commit holds counts, and not what is there now.
    for path in (folder / "services/web").glob("*.yaml"):
        if path.name != "service.yaml":
            path.write_text("broken: [")
    assert PIN not in {path for path, _, _ in faults(folder)}


@pytest.mark.parametrize("kind", ["a shallow clone", "no repository"])
def test_a_commit_that_is_not_at_hand_is_told_as_that(kind: str, tmp_path: Path) -> None:
    made = tmp_path / "made"
    folder = reverted(made, "env")
    elsewhere = tmp_path / "elsewhere"
    if kind == "no repository":
        shutil.copytree(folder, elsewhere)
    else:
        git(tmp_path, "clone", "--quiet", "--depth", "1", made.as_uri(), str(elsewhere))
        elsewhere /= "env"
    ((path, why, fix),) = faults(elsewhere)
    assert path == PIN
    assert "is no commit of the repository that is looked at" in why
    assert "shallow clone" in fix


@pytest.mark.parametrize("what", ["the folder", "HEAD there", "HEAD of it as the remote"])
def test_a_lock_that_was_left_over_in_a_checkout_is_nobodys_business(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = reverted(tmp_path / "repo", "env")
    lock = tmp_path / "repo" / ".git" / "index.lock"
    lock.write_text("")
    variables = {"RECONCILER_STATE_DIR": str(tmp_path / "state"), "RECONCILER_PATH": "env"}
    if what == "the folder":
        assert faults(folder) == []
    elif what == "HEAD there":
        monkeypatch.chdir(folder)
        assert cli("validate", "HEAD", variables=variables).code == 0
    else:
        monkeypatch.chdir(tmp_path)
        told = cli("validate", "HEAD", "--repo", str(tmp_path / "repo"), variables=variables)
        assert told.code == 0, told.out
    assert lock.exists(), "it is not ours to take away"
