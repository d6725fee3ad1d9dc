"""Hostile and broken Git given to `reconciler validate`: told by name in time, and nothing run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.schema.shipped import shipped
from tests.gitservers.served import Served, Way, serve
from tests.kernel import require_mounts
from tests.system.bad_git import (
    CANARY,
    Keys,
    Swell,
    changed_host,
    evil,
    evil_home,
    no_ca,
    overlong_commit,
    stranger,
    swollen_folder,
    unknown_host,
    wrong_ca,
    wrong_token,
)
from tests.system.envrepo import env_repo, pins, policy
from tests.system.installation import repo_settings
from tests.system.served import Told, cli, process
from tests.system.simulated import SERVICE

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("bad-git")]

GOOD = "1.0.0"
QUICK = policy(soak_s=0.3)
WITHIN_S = 30.0


def files() -> dict[str, bytes | None]:
    return {**env_repo([SERVICE], SERVICE, policy_text=QUICK), **pins(SERVICE, GOOD)}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Way, Served]]:
    """A sound env repo over http, https and ssh."""
    with (
        serve(Way.HTTP, tmp_path_factory.mktemp("http")) as http,
        serve(Way.HTTPS, tmp_path_factory.mktemp("https")) as https,
        serve(Way.SSH, tmp_path_factory.mktemp("ssh")) as ssh,
    ):
        found = {Way.HTTP: http, Way.HTTPS: https, Way.SSH: ssh}
        for one in found.values():
            one.repository.commit(files())
        yield found


class Validating:
    """`reconciler validate` with a settings file of its own.

    Args:
        folder: For its settings and its mirror.
        repo: `repo` of the settings.
    """

    def __init__(self, folder: Path, repo: dict[str, object]) -> None:
        self.folder = folder
        self.repo = repo

    def config(self) -> Path:
        """Writes the settings file; returns where."""
        settings = {"repo": self.repo, "state_dir": str(self.folder / "state"), "home": "dev-1"}
        path = self.folder / "settings.yaml"
        path.write_text(json.dumps(settings))
        return path

    def __call__(self, what: str = "HEAD", *more: str, limit_s: float = WITHIN_S) -> Told:
        config = str(self.config())
        began_s = time.monotonic()
        told = cli("validate", what, "--config", config, "-o", "json", *more)
        assert time.monotonic() - began_s < limit_s
        assert CANARY not in told.out + told.err
        return told


@pytest.fixture
def validate(
    served: dict[Way, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Validating:
    """Over http, and fine, from a folder that is in no repository: that of the tests has an upstream."""
    monkeypatch.chdir(tmp_path)
    return Validating(tmp_path, repo_settings(served[Way.HTTP]))


def refused(told: Told, code: int, *words: str) -> None:
    """The command said no, by the name of what is wrong."""
    assert told.code == code, (told.code, told.out, told.err)
    errors = told.document["errors"]
    assert len(errors) == 1 and not told.document["ok"]
    text = " ".join(str(value) for value in errors[0].values())
    assert all(word in text for word in words), text
    assert text.isprintable()


def test_a_sound_commit_is_fine(validate: Validating) -> None:
    told = validate()
    assert (told.code, told.document["ok"]) == (0, True), told.out


@pytest.mark.parametrize(
    ("case", "url"),
    [
        ("a helper that runs a program", "ext::sh -c touch% {owned}"),
        ("a file URL", "file:///srv/git/env.git"),
        ("an option", "--upload-pack=touch {owned}"),
        ("an option as an ssh host", "ssh://-oProxyCommand=touch${{IFS}}{owned}/env.git"),
        ("an option as an scp host", "-oProxyCommand=touch {owned}:env.git"),
        ("a newline", "https://git.example.com/env.git\nhost: other"),
        ("a credential", f"https://user:{CANARY}@git.example.com/env.git"),
        ("a token", f"https://{CANARY}@git.example.com/env.git"),
        ("a token in the query", f"https://git.example.com/env.git?access_token={CANARY}"),
        ("plain http to another machine", "http://git.example.com/env.git"),
        ("nothing", ""),
    ],
    ids=lambda value: value if "/" not in value and ":" not in value else "",
)
def test_an_address_is_refused(case: str, url: str, tmp_path: Path) -> None:
    del case
    owned = tmp_path / "owned"
    validate = Validating(tmp_path, {"url": url.format(owned=owned)})
    refused(validate(), 2, "repo.url")
    assert not owned.exists()


@pytest.mark.parametrize("branch", ["-main", "--upload-pack=x", "a b", "main\n", "../main", ""])
def test_a_branch_is_refused(branch: str, validate: Validating) -> None:
    validate.repo = {**validate.repo, "branch": branch}
    refused(validate(), 2, "repo.branch")


@pytest.mark.parametrize("path", ["-x", "../..", "/etc", "environments/..", "a\0b", "%2e%2e"])
def test_a_path_leads_nowhere_else(path: str, validate: Validating) -> None:
    validate.repo = {**validate.repo, "path": path}
    refused(validate(), 2)


@pytest.mark.parametrize(
    "what",
    ["--output=/tmp/x", "-x", "a..b..c", "main@{upstream}", "\n", "ext::sh", "0" * 40],
)
def test_a_revision_that_is_none_is_refused(what: str, validate: Validating) -> None:
    told = validate("--", what) if what.startswith("-") else validate(what)
    assert told.code == 2, (told.out, told.err)


@contextmanager
def changed(served: Served) -> Iterator[str]:
    """Puts the branch back at the end, whatever was done to it."""
    head = served.repository.tip()
    try:
        yield head
    finally:
        served.before_refs(None)
        served.repository.git("update-ref", "refs/heads/main", head)


def test_an_empty_repo_asks_for_nothing(validate: Validating, served: dict[Way, Served]) -> None:
    with changed(served[Way.HTTP]):
        served[Way.HTTP].repository.git("update-ref", "-d", "refs/heads/main")
        refused(validate(), 2, "the repo is empty")


def test_a_missing_branch_is_named(validate: Validating) -> None:
    validate.repo = {**validate.repo, "branch": "trunk"}
    refused(validate(), 2, "branch trunk is not there", "main")


def test_a_tag_named_like_the_branch_is_not_checked_in_its_place(
    validate: Validating, served: dict[Way, Served]
) -> None:
    repository = served[Way.HTTP].repository
    with changed(served[Way.HTTP]) as head:
        repository.git("update-ref", "refs/tags/main", head)
        later = repository.commit({"fleet.yaml": b"environments: ["})
        told = validate()
        repository.git("update-ref", "-d", "refs/tags/main")
    assert (told.code, told.document["commit"]) == (1, later)


def test_a_commit_with_no_parent_is_checked_as_any_other(
    validate: Validating, served: dict[Way, Served]
) -> None:
    with changed(served[Way.HTTP]):
        orphan = served[Way.HTTP].repository.commit(files(), orphan=True)
        told = validate()
    assert (told.code, told.document["commit"]) == (0, orphan)


def test_a_remote_that_hangs_is_given_up(validate: Validating, served: dict[Way, Served]) -> None:
    released = threading.Event()
    validate.repo = {**validate.repo, "timeout_s": 2}
    with changed(served[Way.HTTP]):
        served[Way.HTTP].before_refs(lambda service: _ignored(released.wait()))
        try:
            refused(validate(), 3, "longer than 2 s")
        finally:
            released.set()


def _ignored(value: object) -> None:
    del value


@pytest.mark.parametrize(
    "path",
    [
        f"environments/dev/{SERVICE}.yaml",
        f"services/{SERVICE}/service.yaml",
        f"services/{SERVICE}/{SERVICE}.yaml",
        "policies/line.yaml",
        "fleet.yaml",
    ],
)
def test_a_file_too_large_to_be_one_of_an_env_repo_is_named(
    path: str, validate: Validating, served: dict[Way, Served]
) -> None:
    """As 10 GB would be: refused by what its header says, before any of it is unpacked."""
    with changed(served[Way.HTTP]):
        served[Way.HTTP].repository.commit({path: bytes(32 * 1024 * 1024)})
        told = validate()
    assert told.code == 1, told.out
    faults = [fault for fault in told.document["faults"] if fault["path"] == path]
    assert any("over the limit of" in fault["why"] for fault in faults), told.document


@pytest.mark.parametrize("swell", [overlong_commit, swollen_folder])
def test_an_object_over_the_limit_is_named(
    swell: Swell, validate: Validating, served: dict[Way, Served]
) -> None:
    with changed(served[Way.HTTP]):
        named = swell(served[Way.HTTP].repository)
        refused(validate(), 2, named, "over the limit of")


def test_a_full_disk_is_told_and_leaves_nothing_in_the_way(
    validate: Validating, served: dict[Way, Served]
) -> None:
    full_bytes = 4 * 1024 * 1024
    with changed(served[Way.HTTP]):
        later = served[Way.HTTP].repository.commit({"large": os.urandom(2 * full_bytes)})
        command = ("validate", "HEAD", "--config", str(validate.config()), "-o", "json")
        told = process(*command, file_bytes_max=full_bytes, folder=validate.folder)
        refused(told, 3, "disk space")
        assert validate().document["commit"] == later


def test_a_disk_that_is_in_fact_full_is_told_and_mended_by_more_room(
    validate: Validating, served: dict[Way, Served]
) -> None:
    require_mounts()
    disk = validate.folder / "state"
    disk.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o")
    subprocess.run([*mount, "size=1m", "none", str(disk)], check=True)
    try:
        with changed(served[Way.HTTP]):
            former = validate().document["commit"]
            later = served[Way.HTTP].repository.commit({"large": os.urandom(4 * 1024 * 1024)})
            refused(validate(), 3, "disk space")
            assert validate(former).document["commit"] is None, "it cannot look, and says so"
            subprocess.run([*mount, "remount,size=32m", "none", str(disk)], check=True)
            assert validate().document["commit"] == later
    finally:
        # A process that waits for the next exchange still has files there open.
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_that_leaves_no_room_to_render_is_told(tmp_path: Path) -> None:
    example = str(shipped("example-repo"))
    told = process("validate", example, "-o", "json", file_bytes_max=0, folder=tmp_path)
    assert told.code == 1, told.err
    faults = [fault for fault in told.document["faults"] if fault["severity"] == "error"]
    # What is no kustomization needs no disk.
    assert {fault["path"].partition("/")[2] for fault in faults} == {
        f"{environment}/api.yaml" for environment in ("dev", "staging", "prod")
    }
    assert all("disk space" in fault["fix"] for fault in faults)


def test_a_lock_that_was_left_over_does_not_matter(
    validate: Validating, served: dict[Way, Served]
) -> None:
    assert validate().code == 0
    mirror = validate.folder / "state" / "mirror.git"
    for lock in ("index.lock", "packed-refs.lock", "HEAD.lock", "refs/remotes/origin/main.lock"):
        (mirror / lock).parent.mkdir(parents=True, exist_ok=True)
        (mirror / lock).write_text("")
    with changed(served[Way.HTTP]):
        later = served[Way.HTTP].repository.commit({"README.md": b"hello"})
        assert validate().document["commit"] == later


def test_a_mirror_of_what_the_branch_was_before_it_was_rewritten_is_no_answer(
    validate: Validating, served: dict[Way, Served]
) -> None:
    former = validate().document["commit"]
    with changed(served[Way.HTTP]):
        rewritten = served[Way.HTTP].repository.commit(files(), orphan=True, message="all new")
        assert validate().document["commit"] == rewritten != former


def test_a_mirror_of_another_repository_or_of_none_is_no_answer(
    validate: Validating, served: dict[Way, Served]
) -> None:
    assert validate().code == 0
    validate.repo = repo_settings(served[Way.HTTPS])
    assert validate().document["commit"] == served[Way.HTTPS].repository.tip()
    mirror = validate.folder / "state" / "mirror.git"
    shutil.rmtree(mirror)
    mirror.mkdir()
    (mirror / "HEAD").write_text("no ref at all")
    assert validate().document["commit"] == served[Way.HTTPS].repository.tip()


def test_programs_that_a_local_repos_configuration_names_do_not_run(
    validate: Validating, served: dict[Way, Served], tmp_path: Path
) -> None:
    local = tmp_path / "clone.git"
    served[Way.HTTP].repository.git("clone", "--quiet", "--bare", ".", str(local))
    owned = evil(tmp_path, local / "config")
    validate.repo = {"url": str(local)}
    assert validate().code == 0
    assert not owned.exists()


def test_programs_that_the_mirrors_configuration_names_do_not_run(
    validate: Validating, tmp_path: Path
) -> None:
    assert validate().code == 0
    owned = evil(tmp_path, validate.folder / "state" / "mirror.git" / "config")
    assert validate().code == 0
    assert not owned.exists()


def test_programs_that_the_users_own_configuration_names_do_not_run(
    served: dict[Way, Served], tmp_path: Path
) -> None:
    variables, owned = evil_home(tmp_path)
    for way in (Way.HTTP, Way.SSH):
        repo = repo_settings(served[way])
        config = tmp_path / f"{way}.yaml"
        config.write_text(json.dumps({"repo": repo, "state_dir": str(tmp_path / way)}))
        told = process(
            "validate", "HEAD", "--config", str(config), "-o", "json", variables=variables
        )
        assert told.code == 0, (told.out, told.err)
    assert not owned.exists()


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        (unknown_host, "host key is unknown"),
        (changed_host, "host key is not the known one"),
        (wrong_ca, "certificate"),
        (no_ca, "certificate"),
        (wrong_token, "refuses the token"),
        (stranger, "refuses the key"),
    ],
)
def test_who_is_not_trusted_is_not_read_from(
    keys: Keys, word: str, served: dict[Way, Served], tmp_path: Path
) -> None:
    refused(Validating(tmp_path, keys(served, tmp_path))(), 3, word)


def test_an_expired_certificate_is_not_trusted(tmp_path: Path) -> None:
    with serve(Way.HTTPS, tmp_path / "git", expired=True) as expired:
        expired.repository.commit(files())
        refused(Validating(tmp_path, repo_settings(expired))(), 3, "certificate")
