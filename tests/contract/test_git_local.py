"""A repository that a person works in, read where it is; and a commit that a mirror does not hold."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.git.access import GitAccess
from reconciler.adapters.git.local import JoinedHistory, LocalHistory, local_history, person
from reconciler.adapters.git.repository import open_repository
from reconciler.errors import InvalidInput
from reconciler.model.names import BlobId, CommitId
from reconciler.shell.runner import SystemClock

NOWHERE = CommitId("0123456789" * 4)


def git(folder: Path, *arguments: str) -> str:
    who = {
        f"GIT_{w}_{k}": "a@example.com" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **who},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone with one commit on main and one on a branch of its own."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "--quiet", "--initial-branch=main")
    for branch, text in (("main", "one"), ("proposal", "two")):
        if branch != "main":
            git(work, "checkout", "--quiet", "-b", branch)
        (work / "file").write_text(text)
        git(work, "add", "file")
        git(work, "commit", "--quiet", "--message", text)
    return work


@pytest.mark.parametrize("name", ["proposal", "HEAD", "refs/heads/proposal", "proposal~0"])
def test_a_commit_is_found_by_whatever_name_people_use(checkout: Path, name: str) -> None:
    history = local_history(checkout / ".")
    assert history is not None
    assert history.resolve(name) == git(checkout, "rev-parse", "proposal")
    short = git(checkout, "rev-parse", "--short", "proposal")
    assert history.resolve(short) == history.resolve(name)


@pytest.mark.parametrize(
    "name", ["nobody", "", "--all", "x" * 5000, "a\nb", "HEAD^{tree}", NOWHERE]
)
def test_what_names_no_commit_is_none(checkout: Path, name: str) -> None:
    history = local_history(checkout)
    assert history is not None and history.resolve(name) is None


def test_a_folder_in_no_repository_has_no_history(tmp_path: Path) -> None:
    assert local_history(tmp_path) is None


def test_a_full_id_that_the_mirror_does_not_hold_is_none_and_no_broken_mirror(
    checkout: Path, tmp_path: Path
) -> None:
    access = GitAccess(url=str(checkout), branch="main", mirror_dir=tmp_path / "mirror.git")
    mirror = open_repository(access, clock=SystemClock())
    mirror.fetch()
    before = (tmp_path / "mirror.git").stat().st_ino
    assert mirror.resolve(NOWHERE) is None
    mirror.fetch()
    assert (tmp_path / "mirror.git").stat().st_ino == before, "it was not cloned anew"


def test_two_histories_are_read_as_one(checkout: Path, tmp_path: Path) -> None:
    access = GitAccess(url=str(checkout), branch="main", mirror_dir=tmp_path / "mirror.git")
    mirror = open_repository(access, clock=SystemClock())
    main = mirror.fetch()
    # After the fetch: one from a local path brings more than was asked for.
    git(checkout, "commit", "--quiet", "--allow-empty", "--message", "three")
    proposal = CommitId(git(checkout, "rev-parse", "proposal"))
    joined = JoinedHistory(mirror, LocalHistory(checkout / ".git"))
    assert mirror.resolve(proposal) is None
    assert joined.resolve(proposal) == joined.resolve("proposal") == proposal
    (entry,) = joined.tree(proposal, "")
    assert joined.blob(BlobId(entry.blob)) == b"two"
    (entry,) = joined.tree(main, "")
    assert joined.blob(BlobId(entry.blob)) == b"one"
    assert joined.is_ancestor(main, proposal)
    assert joined.commit_facts(proposal).message == "three\n"
    log = joined.log(proposal, path=None, most=9)
    assert [c.commit for c in log][0::2] == [proposal, main]
    with pytest.raises(InvalidInput):
        joined.blob(BlobId(NOWHERE))


def test_the_person_is_who_git_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GIT_AUTHOR_NAME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert person() is None
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n")
    assert person() == ("Ada", "ada@example.com")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Bo")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "bo@example.com")
    assert person() == ("Bo", "bo@example.com")
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text("[user\nname = broken")
    assert person() is None
