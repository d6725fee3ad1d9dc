"""Hostile kubeconfigs and arguments: refused by name, and nothing that they ask for is ever run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.simulated.behaviour import Fate
from tests import settings_paths
from tests.install.fleet import settings_for
from tests.system.daemon import DaemonProcess
from tests.system.documents import check
from tests.system.kubeconfigs import HOSTILE, SECRET, TEXTS, spoiled
from tests.system.served import ServedFleet, cli, process

pytestmark = pytest.mark.xdist_group("bad-input-settings")


@pytest.fixture(scope="module")
def fleet() -> Iterator[ServedFleet]:
    """A fleet to which the way is spoiled."""
    with ServedFleet() as served:
        yield served


@pytest.mark.parametrize("title", HOSTILE)
def test_a_cluster_whose_kubeconfig_is_refused_is_told_and_the_others_are_shown(
    title: str, fleet: ServedFleet, tmp_path: Path
) -> None:
    edit, why = HOSTILE[title]
    path, canary = spoiled(fleet, "prod-3", edit, tmp_path)
    told = fleet.cli("status", "-o", "json", variables={"RECONCILER_KUBECONFIG": str(path)})
    check("status", told.document)
    assert told.code == 3
    (error,) = told.document["errors"]
    assert error["object"] == "cluster prod-3"
    assert why in error["why"] and str(path) in error["why"]
    assert len(told.document["cells"]) == 12
    assert SECRET not in told.out + told.err
    assert not canary.exists()


@pytest.mark.parametrize("title", HOSTILE)
def test_a_home_whose_kubeconfig_is_refused_ends_the_command(
    title: str, fleet: ServedFleet, tmp_path: Path
) -> None:
    edit, why = HOSTILE[title]
    path, canary = spoiled(fleet, "dev-1", edit, tmp_path)
    variables = {"RECONCILER_KUBECONFIG": str(path)}
    for command in ("status", "run --once --timeout-s 5 --listen 127.0.0.1:0"):
        told = fleet.cli(*command.split(), "-o", "json", variables=variables)
        check("status", told.document)
        assert told.code == 2
        assert why in told.err and SECRET not in told.out + told.err
    told = fleet.cli("bootstrap", "-o", "json", variables=variables)
    check("bootstrap", told.document)
    assert told.code == 3 and why in told.err
    assert not canary.exists()


@pytest.mark.parametrize("title", TEXTS)
def test_a_kubeconfig_that_is_none_ends_the_command(
    title: str, fleet: ServedFleet, tmp_path: Path
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(TEXTS[title])
    told = fleet.cli("status", "-o", "json", variables={"RECONCILER_KUBECONFIG": str(path)})
    check("status", told.document)
    assert told.code == 2
    (error,) = told.document["errors"]
    assert str(path) in error["object"] and error["why"]
    assert SECRET not in told.out + told.err
    assert not Path("/tmp/reconciler-was-here").exists()


@pytest.mark.parametrize("title", TEXTS)
def test_settings_that_are_none_end_the_command(title: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(TEXTS[title])
    told = cli("status", "--config", str(path), "-o", "json")
    check("status", told.document)
    assert told.code == 2 and SECRET not in told.out + told.err


def test_the_daemon_goes_on_without_a_cluster_that_it_may_not_reach(tmp_path: Path) -> None:
    with ServedFleet() as fleet:
        path, canary = spoiled(fleet, "prod-3", HOSTILE["a program"][0], tmp_path)
        settings = {**settings_for(fleet), "clusters": {}, "kubeconfig": str(path)}
        settings["repo"] = {"url": fleet.repo_url, "poll_s": 0.3}
        with DaemonProcess(tmp_path / "daemon", settings) as daemon:
            daemon.wait_ready()
            fleet.merge("1.9.0", Fate.READY, "good")

            daemon.until(lambda: daemon.is_proven("web", "staging", "1.9.0"), "the others go on")
            document = daemon.status()
            check("status", document)
            (error,) = document["errors"]
            assert error["object"] == "cluster prod-3" and "allow.exec" in error["why"]
            assert daemon.metric("reconciler_cluster_reachable", cluster="prod-3") == 0
            (line,) = daemon.logged("ClusterUnreachable", cluster="prod-3")
            assert "allow.exec" in line["message"]
            cell = daemon.cell("web", "prod")
            assert cell is not None and "prod-3" in cell["message"]
            assert daemon.is_running
            assert not canary.exists()


# Paths.


@pytest.mark.parametrize("title", settings_paths.BAD)
def test_settings_with_what_is_no_path_end_the_command(title: str, tmp_path: Path) -> None:
    for place in settings_paths.PLACES:
        file = settings_paths.written(tmp_path, place, settings_paths.BAD[title])
        told = cli("validate", "HEAD", "--config", str(file), "-o", "json")
        check("validate", told.document)
        assert told.code == 2, place
        (error,) = told.document["errors"]
        assert place[-1] in f"{error['object']} {error['why']}"
        assert len(told.out) < 2000 and "\0" not in told.out + told.err


@pytest.mark.parametrize("title", settings_paths.BAD)
def test_settings_with_what_is_no_path_end_the_daemon(title: str, tmp_path: Path) -> None:
    file = settings_paths.written(tmp_path, ("state_dir",), settings_paths.BAD[title])
    told = process("run", "--config", str(file), "--listen", "127.0.0.1:0", variables={})
    assert told.code == 2 and "state_dir" in told.err


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"url": f"https://me:{SECRET}@git.example.com/team/env"}, "forge.url"),
        ({"url": "https://git.example.com/env"}, "forge.url"),
        ({"token_file": "/no/such/token"}, "forge.token_file /no/such/token"),
        ({"ca_file": "/no/such/ca"}, "forge.ca_file /no/such/ca"),
        ({"kind": SECRET}, "forge.kind"),
    ],
)
def test_a_forge_that_cannot_be_used_ends_the_daemon_at_its_start(
    changes: dict[str, str], told: str, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET)
    forge = {"kind": "gitea", "url": "https://git.example.com/team/env", "token_file": str(token)}
    file = tmp_path / "settings.yaml"
    repo = {"url": "https://git.example.com/team/env.git"}
    file.write_text(yaml.safe_dump({"repo": repo, "home": "dev-1", "forge": forge | changes}))
    variables = {"RECONCILER_STATE_DIR": str(tmp_path / "state")}
    done = process("run", "--config", str(file), "--listen", "127.0.0.1:0", variables=variables)
    assert done.code == 2 and told in done.err
    assert SECRET not in done.out + done.err


# Arguments.

URLS = {
    "a helper": "ext::sh -c 'touch {canary}'",
    "a helper with percent": "ext::sh%20-c%20touch%20{canary}",
    "a file": "file:///{folder}/repo.git",
    "an option": "--upload-pack=touch {canary}",
    "an option as a host": "ssh://-oProxyCommand=touch%20{canary}/x",
    "an option as a path": "ssh://git@127.0.0.1/-oProxyCommand=touch",
    "an option as a scp host": "-oProxyCommand=touch:x",
    "a newline": "https://example.com/x\nhttps://example.com/y",
    "a newline as percent": "https://example.com/x%0ay",
    "a NUL as percent": "https://example.com/x%00y",
    "a token": "https://me:" + SECRET + "@example.com/x.git",
    "a token alone": "https://" + SECRET + "@example.com/x.git",
    "a query": "https://example.com/x.git?token=" + SECRET,
    "plain http elsewhere": "http://example.com/x.git",
    "a relative path": "repo.git",
    "git's own protocol": "git://example.com/x.git",
    "9 KiB": "https://example.com/" + "x" * 9000,
}

BRANCHES = [
    "-x",
    "--upload-pack=touch",
    "a..b",
    "a b",
    "a\nb",
    "",
    "refs/../x",
    "a.lock",
    "@{1}",
    "a:b",
]
FOLDERS = ["../x", "/etc", "a/../../x", "-x", "a\nb", ".git", "no/such/folder"]


@pytest.fixture
def bait(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A home whose configuration runs programs for whoever reads it."""
    canary = tmp_path / "it-ran"
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(f"Host *\n  ProxyCommand touch {canary}\n")
    (tmp_path / ".gitconfig").write_text(
        f"[core]\n\tsshCommand = touch {canary}\n\tfsmonitor = touch {canary}\n"
        f"\thooksPath = {tmp_path}/hooks\n[credential]\n\thelper = !touch {canary}\n"
        f'[url "ext::touch {canary}"]\n\tinsteadOf = https://\n'
    )
    (tmp_path / "hooks").mkdir()
    yield {"HOME": str(tmp_path), "RECONCILER_STATE_DIR": str(tmp_path / "state")}
    assert not canary.exists(), "something of it was run"


@pytest.mark.parametrize("title", URLS)
def test_an_address_that_is_none_of_ours_is_refused(
    title: str, bait: dict[str, str], tmp_path: Path
) -> None:
    url = URLS[title].format(canary=tmp_path / "it-ran", folder=tmp_path)
    variables = {**bait, "RECONCILER_REPO": url, "RECONCILER_HOME": "dev-1"}
    for command in ("validate HEAD", "status", "pause web dev --reason x"):
        told = cli(*command.split(), "-o", "json", variables=variables)
        check(command.split()[0], told.document)
        assert told.code == 2, (command, told.err)
        assert SECRET not in told.out + told.err
        (error,) = told.document["errors"]
        assert error["object"] in ("repo.url", "settings") and error["why"] and error["fix"]


def test_the_daemon_refuses_such_an_address_at_once(bait: dict[str, str]) -> None:
    for url in (URLS["a helper"], URLS["a token"], "--upload-pack=touch"):
        variables = {**bait, "RECONCILER_REPO": url, "RECONCILER_HOME": "dev-1"}
        told = process("run", "--listen", "127.0.0.1:0", variables=variables)
        assert told.code == 2 and "repo.url" in told.err
        assert SECRET not in told.out + told.err


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_branch_that_is_none_is_refused(branch: str, bait: dict[str, str]) -> None:
    variables = {**bait, "RECONCILER_REPO": "https://example.com/x.git"}
    told = cli("validate", "HEAD", f"--branch={branch}", "-o", "json", variables=variables)
    assert told.code == 2
    assert told.document["errors"][0]["object"] == "repo.branch"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_subfolder_that_leads_elsewhere_holds_nothing(
    folder: str, fleet: ServedFleet, bait: dict[str, str]
) -> None:
    told = fleet.cli("validate", "HEAD", f"--path={folder}", "-o", "json", variables=bait)
    check("validate", told.document)
    assert told.code == 2
    assert told.document["faults"] == [] and told.document["errors"]


@pytest.mark.parametrize("command", ["validate HEAD", "status", "explain web"])
def test_nothing_of_the_machines_own_configuration_is_run(
    command: str, fleet: ServedFleet, bait: dict[str, str]
) -> None:
    told = fleet.cli(*command.split(), variables=bait)
    assert told.code == 0, told.err
    ssh = {**bait, "RECONCILER_REPO": "ssh://git@127.0.0.1:9/x.git", "RECONCILER_HOME": "dev-1"}
    assert cli(*command.split(), variables=ssh).code in (2, 3)


def test_nothing_of_a_repositorys_own_configuration_is_run(
    bait: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "it-ran"
    work = tmp_path / "work"
    work.mkdir()

    def git(*arguments: str) -> None:
        who = {f"GIT_{w}_{k}": "a@b" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
        environment = {"PATH": os.environ["PATH"], "HOME": str(work), **who}
        subprocess.run(["git", *arguments], cwd=work, env=environment, check=True, timeout=30)

    git("init", "--quiet", "--initial-branch=main")
    (work / "fleet.yaml").write_text("environments: [{name: dev, clusters: [{name: dev-1}]}]\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "x")
    for name in ("post-checkout", "pre-receive", "post-merge", "reference-transaction"):
        hook = work / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
        hook.chmod(0o755)
    config = work / ".git" / "config"
    config.write_text(
        config.read_text()
        + f"[core]\n\tsshCommand = touch {canary}\n\tfsmonitor = touch {canary}\n"
        + f'[filter "x"]\n\tsmudge = touch {canary}\n\trequired = true\n'
        + f"[include]\n\tpath = {tmp_path}/.gitconfig\n"
    )
    (work / ".gitattributes").write_text("* filter=x\n")
    monkeypatch.chdir(work)
    assert cli("validate", "HEAD", variables=bait).code == 0
    variables = {**bait, "RECONCILER_REPO": str(work)}
    told = cli("validate", "HEAD", variables=variables)
    assert told.code == 0, told.err
