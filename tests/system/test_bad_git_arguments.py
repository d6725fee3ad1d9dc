"""Hostile addresses, names and configurations under the running daemon: refused or left alone, and never run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pygit2
import pytest

from tests.conftest import CRASHES_IN_STAGING
from tests.gitservers.served import Way
from tests.system.bad_git import CANARY, evil, evil_home
from tests.system.envrepo import env_repo, pins, policy
from tests.system.hostile import LINK, Row
from tests.system.pushing import committed
from tests.system.simulated import SERVICE, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("bad-git-arguments")]

GOOD, NEXT = "1.0.0", "2.0.0"
QUICK = policy(soak_s=0.3)


def files() -> dict[str, bytes | None]:
    return {**env_repo([SERVICE], SERVICE, policy_text=QUICK), **pins(SERVICE, GOOD)}


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% {owned}",
        "file:///srv/env.git",
        "-x",
        "ssh://-oProxyCommand=touch%20{owned}/env.git",
        "ssh://-oProxyCommand=touch${{IFS}}{owned}/env.git",
        "ssh://git@git.example.com/-oProxyCommand=touch",
        "-oProxyCommand=touch:env.git",
        f"https://user:{CANARY}@git.example.com/env.git",
        "https://git.example.com/env.git\nx",
    ],
)
def test_a_daemon_does_not_start_with_an_address_that_is_refused(url: str, tmp_path: Path) -> None:
    variables, owned = evil_home(tmp_path)
    with simulated(tmp_path) as made:
        made.daemon.variables.update(variables)
        made.daemon.settings["repo"] = {"url": url.format(owned=owned)}
        made.daemon.start()
        assert made.daemon.wait_dead() == 2
        said = made.daemon.log.read_text()
    assert "repo.url" in said and CANARY not in said
    assert not owned.exists()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("branch", "-main"),
        ("branch", "--upload-pack=touch {owned}"),
        ("path", "-x"),
        ("path", "--x"),
        ("path", "../x"),
        ("path", "environments/../../x"),
        ("path", ".."),
        ("path", "/etc"),
        ("path", "a\0b"),
    ],
)
def test_a_daemon_does_not_start_with_a_branch_or_a_folder_that_leads_elsewhere(
    setting: str, value: str, tmp_path: Path
) -> None:
    owned = tmp_path / "owned"
    with simulated(tmp_path) as made:
        made.merge(files())
        made.daemon.settings["repo"][setting] = value.format(owned=owned)
        made.daemon.start()
        assert made.daemon.wait_dead() == 2
        assert f"repo.{setting}" in made.daemon.log.read_text()
        assert all(made.image(cluster) is None for cluster in made.clusters)
    assert not owned.exists()


@pytest.mark.parametrize(
    "path", ["%2e%2e", "\uff0e\uff0e", "linked", f"services/{SERVICE}/{SERVICE}.yaml"]
)
def test_a_folder_that_no_commit_has_is_told_and_asks_for_nothing(
    path: str, tmp_path: Path
) -> None:
    with simulated(tmp_path) as made:
        made.merge(files())
        repository = pygit2.Repository(str(made.served.repository.path))
        commit = committed(repository, Row("", "linked", b"/etc", "", LINK), moves=True)
        made.daemon.settings["repo"]["path"] = path
        made.daemon.start()
        made.daemon.until(lambda: made.daemon.logged("HeadRefused"), "the folder is refused")
        message = made.daemon.logged("HeadRefused")[0]["message"]
        assert message.startswith(f"{path} in {commit}: ") and "repo.path" in message
        assert made.daemon.status()["head"]["accepted"] is None
        assert all(made.image(cluster) is None for cluster in made.clusters)


@pytest.mark.parametrize("way", [Way.SSH, Way.HTTP])
def test_programs_that_its_home_and_environment_name_do_not_run(way: Way, tmp_path: Path) -> None:
    variables, owned = evil_home(tmp_path)
    with simulated(tmp_path, way=way) as made:
        made.daemon.variables.update(variables)
        made.start_with(GOOD, QUICK)
        # A push asks for what a fetch does, and for more.
        made.merge(made.pins(NEXT, marker=CRASHES_IN_STAGING))
        made.daemon.until(made.reverts, "the revert is pushed")
    assert not owned.exists()


def test_programs_that_a_local_repos_configuration_and_hooks_are_do_not_run(tmp_path: Path) -> None:
    with simulated(tmp_path, way=Way.LOCAL) as made:
        made.merge(files())
        folder = made.served.repository.path
        owned = evil(tmp_path, folder / "config")
        shutil.copytree(tmp_path / "evil-hooks", folder / "hooks", dirs_exist_ok=True)
        made.daemon.start()
        made.wait_proven("prod", GOOD)
        # Not by git, which would obey them.
        rows = [Row("", path, octets or b"", "") for path, octets in made.pins(NEXT).items()]
        committed(pygit2.Repository(str(folder)), *rows, moves=True)
        made.wait_proven("dev", NEXT)
    assert not owned.exists()
