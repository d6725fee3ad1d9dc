"""Which clusters are trusted, and what a kubeconfig may do: what an operator allows, and nothing else."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.simulated.behaviour import Fate
from tests.gitservers.certificates import Authority, Certificate
from tests.install.fleet import settings_for
from tests.system.daemon import DaemonProcess
from tests.system.documents import check
from tests.system.kubeconfigs import Edit, port_of, spoiled
from tests.system.served import TOKENS, ServedFleet, Told, cli
from tests.tls import TlsFront, tls_front

pytestmark = pytest.mark.xdist_group("cluster-trust")

BAD = "prod-3"
TOKEN = TOKENS[BAD]
"""What the demo's fleet lets in there."""


@pytest.fixture(scope="module")
def fleet() -> Iterator[ServedFleet]:
    """A fleet to which the way is changed."""
    with ServedFleet() as served:
        yield served


# What a kubeconfig may do.

ALLOWANCES = ("exec", "auth_provider", "file_references", "insecure_tls")


def _program(canary: Path, answer: object) -> str:
    """Returns a program that tells on itself and gives a credential."""
    program = canary.with_name("credentials")
    program.write_text(f"#!/bin/sh\ntouch {canary}\necho '{json.dumps(answer)}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def _exec(user: dict[str, Any], cluster: dict[str, Any], canary: Path) -> None:
    del cluster
    version = "client.authentication.k8s.io/v1"
    status = {"token": user.pop("token")}
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    user["exec"] = {
        "apiVersion": version,
        "command": _program(canary, answer),
        "interactiveMode": "Never",
    }


def _auth_provider(user: dict[str, Any], cluster: dict[str, Any], canary: Path) -> None:
    del cluster
    credential = {"access_token": user.pop("token"), "token_expiry": "2099-01-31T00:00:00Z"}
    program = _program(canary, {"credential": credential})
    user["auth-provider"] = {"name": "gcp", "config": {"cmd-path": program}}


def _file_references(user: dict[str, Any], cluster: dict[str, Any], canary: Path) -> None:
    del cluster
    canary.with_name("token").write_text(user.pop("token"))
    user["tokenFile"] = "token"


@contextmanager
def asking(
    allowance: str, fleet: ServedFleet, folder: Path, name: str = BAD
) -> Iterator[tuple[Path, Path]]:
    """Gives a kubeconfig that asks for one allowance, and what comes to be where a program is run."""
    edits: dict[str, Edit] = {
        "exec": _exec,
        "auth_provider": _auth_provider,
        "file_references": _file_references,
    }
    if allowance in edits:
        yield spoiled(fleet, name, edits[allowance], folder)
        return
    with tls_front(port_of(fleet, name), Authority(folder / "ca").server("server")) as front:

        def insecure(user: dict[str, Any], cluster: dict[str, Any], canary: Path) -> None:
            del user, canary
            cluster.update({"server": front.url, "insecure-skip-tls-verify": True})

        yield spoiled(fleet, name, insecure, folder)


def _for_all(kubeconfig: Path, allow: dict[str, bool]) -> dict[str, Any]:
    return {"kubeconfig": str(kubeconfig), "kubeconfig_allow": allow}


def _for_one(kubeconfig: Path, allow: dict[str, bool]) -> dict[str, Any]:
    return {"clusters": {BAD: {"kubeconfig": str(kubeconfig), "allow": allow}}}


Said = Callable[[Path, dict[str, bool]], dict[str, Any]]
"""Where in the settings an operator says what is allowed."""


def status(fleet: ServedFleet, folder: Path, settings: dict[str, Any]) -> Told:
    """Returns what `status` says; the other clusters are reached as ever."""
    usual = settings_for(fleet)
    named = {} if "kubeconfig" in settings else usual["clusters"]
    whole = {**usual, **settings, "clusters": {**named, **settings.get("clusters", {})}}
    file = folder / "settings.yaml"
    file.write_text(json.dumps({**whole, "state_dir": str(folder / "state")}))
    told = cli("status", "--config", str(file), "-o", "json")
    check("status", told.document)
    return told


@pytest.mark.parametrize("said", [_for_all, _for_one])
@pytest.mark.parametrize("allowance", ALLOWANCES)
def test_what_the_operator_allows_is_done_and_nothing_allows_it_but_its_own_name(
    allowance: str, said: Said, fleet: ServedFleet, tmp_path: Path
) -> None:
    with asking(allowance, fleet, tmp_path) as (kubeconfig, canary):
        others = {name: name != allowance for name in ALLOWANCES}
        told = status(fleet, tmp_path, said(kubeconfig, others))
        assert told.code == 3
        (error,) = told.document["errors"]
        assert error["object"] == f"cluster {BAD}" and f"(allow.{allowance})" in error["why"]
        assert not canary.exists()
        told = status(fleet, tmp_path, said(kubeconfig, {allowance: True}))
        assert (told.code, told.document["errors"]) == (0, []), told.err
        assert canary.exists() == (allowance in ("exec", "auth_provider"))
    assert TOKEN not in told.out + told.err


def test_a_daemon_does_its_main_job_by_what_the_operator_allows(tmp_path: Path) -> None:
    members = ("staging-1", "prod-1", "prod-2", "prod-3")
    with ServedFleet() as fleet, ExitStack() as stack:
        settings = settings_for(fleet)
        canaries = {}
        for allowance, name in zip(ALLOWANCES, members, strict=True):
            (folder := tmp_path / name).mkdir()
            asked = asking(allowance, fleet, folder, name)
            kubeconfig, canaries[allowance] = stack.enter_context(asked)
            allow = {allowance: True}
            settings["clusters"][name] = {"kubeconfig": str(kubeconfig), "allow": allow}
        with DaemonProcess(tmp_path / "daemon", settings) as daemon:
            daemon.wait_ready()
            fleet.merge("1.9.0", Fate.READY, "good")
            daemon.until(lambda: daemon.is_proven("web", "prod", "1.9.0"), "it is proven in all")
            assert daemon.status()["errors"] == []
            for name in members:
                assert daemon.metric("reconciler_cluster_reachable", cluster=name) == 1
            assert canaries["exec"].exists() and canaries["auth_provider"].exists()
            log = daemon.log.read_text()
            assert not [name for name in members if TOKENS[name] in log]


# Which server is trusted.


def _shown(front: TlsFront, authority: Path) -> Edit:
    """Returns what leads to a front, and trusts an authority alone."""

    def edit(user: dict[str, Any], cluster: dict[str, Any], canary: Path) -> None:
        del user, canary
        named = base64.b64encode(authority.read_bytes()).decode()
        cluster.update({"server": front.url, "certificate-authority-data": named})

    return edit


def _of_another_authority(folder: Path) -> tuple[Certificate, Path]:
    return Authority(folder / "ca").server("server"), Authority(folder / "other").ca_file


def _expired(folder: Path) -> tuple[Certificate, Path]:
    certificate = Authority(folder / "ca").server("server", expired=True)
    return certificate, certificate.ca_file


def _of_another_host(folder: Path) -> tuple[Certificate, Path]:
    certificate = Authority(folder / "ca").server("server", name="DNS:prod-9.example.com")
    return certificate, certificate.ca_file


@pytest.mark.parametrize(
    ("shown", "why", "fix"),
    [
        (_of_another_authority, "issuer certificate", "check that the certificate authority"),
        (_expired, "has expired", "renew"),
        (_of_another_host, "not valid for '127.0.0.1'", "give the address"),
    ],
)
def test_a_cluster_that_is_not_trusted_is_told_and_learns_no_token(
    shown: Callable[[Path], tuple[Certificate, Path]],
    why: str,
    fix: str,
    fleet: ServedFleet,
    tmp_path: Path,
) -> None:
    certificate, authority = shown(tmp_path)
    with tls_front(port_of(fleet, BAD), certificate) as front:
        kubeconfig, _ = spoiled(fleet, BAD, _shown(front, authority), tmp_path)
        told = status(fleet, tmp_path, _for_all(kubeconfig, {}))
        assert told.code == 3
        (error,) = told.document["errors"]
        assert error["object"] == f"cluster {BAD}"
        assert why in error["why"] and fix in f"{error['why']} {error['fix']}"
        assert front.connections and not front.heard


def test_a_daemon_tells_no_token_to_a_cluster_of_another_authority_and_joins_it_once_it_is_named(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "ca")
    with (
        ServedFleet() as fleet,
        tls_front(port_of(fleet, BAD), authority.server("server")) as front,
    ):
        other = Authority(tmp_path / "other").ca_file
        kubeconfig, _ = spoiled(fleet, BAD, _shown(front, other), tmp_path)
        settings = {**settings_for(fleet), "clusters": {}, "kubeconfig": str(kubeconfig)}
        settings["repo"] = {"url": fleet.repo_url, "poll_s": 0.3}
        with DaemonProcess(tmp_path / "daemon", settings) as daemon:
            daemon.wait_ready()
            fleet.merge("1.9.0", Fate.READY, "good")
            daemon.until(lambda: daemon.is_proven("web", "staging", "1.9.0"), "the others go on")
            document = daemon.status()
            check("status", document)
            (error,) = document["errors"]
            assert error["object"] == f"cluster {BAD}" and "not trusted" in str(error)
            assert daemon.metric("reconciler_cluster_reachable", cluster=BAD) == 0
            told = daemon.logged("ClusterUnreachable", cluster=BAD)
            assert told and all("not trusted" in line["message"] for line in told)
            assert front.connections and not front.heard
            spoiled(fleet, BAD, _shown(front, authority.ca_file), tmp_path)
            daemon.until(
                lambda: daemon.is_proven("web", "prod", "1.9.0"),
                "it takes part once its authority is named",
            )
            assert daemon.status()["errors"] == []
            assert TOKEN.encode() in bytes(front.heard)
            assert TOKEN not in daemon.log.read_text()
