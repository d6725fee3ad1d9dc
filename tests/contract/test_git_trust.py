"""Who is trusted with what: host keys, certificates and tokens, read anew at every exchange, and told to nobody."""

from __future__ import annotations

import logging
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.git.access import GitAccess
from reconciler.adapters.git.repository import GitRepository, open_repository
from reconciler.errors import Denied, InvalidInput, ReconcilerError
from reconciler.ports.git import PushOutcome
from tests.contract.git_ways import ServedWorld, StoppedClock, served_world
from tests.gitservers.certificates import Authority
from tests.gitservers.http import GitHttpServer
from tests.gitservers.repositories import BareRepository
from tests.gitservers.served import TOKEN, Way
from tests.gitservers.ssh import GitSshServer, make_key

pytestmark = pytest.mark.git_server


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[tuple[GitSshServer, GitAccess]]:
    """An sshd, and the access that it grants."""
    repository = BareRepository(tmp_path / "env.git")
    repository.commit({"x": b"1"})
    with GitSshServer(repository.path, tmp_path / "ssh") as server:
        yield (
            server,
            GitAccess(
                server.url,
                "main",
                tmp_path / "state" / "mirror",
                ssh_key_file=server.key_file,
                ssh_known_hosts_file=server.known_hosts_file,
            ),
        )


def opened(access: GitAccess, **changes: object) -> GitRepository:
    return open_repository(replace(access, **changes), clock=StoppedClock())  # type: ignore[arg-type]


def refused(repo: GitRepository, words: str, kind: type[ReconcilerError] = Denied) -> None:
    with pytest.raises(kind, match=words):
        repo.fetch()


# ssh.


def test_a_host_without_a_known_hosts_file_is_refused(
    ssh: tuple[GitSshServer, GitAccess],
) -> None:
    refused(opened(ssh[1], ssh_known_hosts_file=None), "host key is unknown")


def test_the_users_own_known_hosts_is_not_asked(
    ssh: tuple[GitSshServer, GitAccess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "known_hosts").write_text(ssh[0].known_hosts_file.read_text())
    monkeypatch.setenv("HOME", str(home))
    refused(opened(ssh[1], ssh_known_hosts_file=None), "host key is unknown")


def test_an_unknown_host_key_is_refused_before_our_key_is_shown(
    ssh: tuple[GitSshServer, GitAccess],
) -> None:
    ssh[1].ssh_known_hosts_file.write_text("")  # type: ignore[union-attr]
    refused(opened(ssh[1]), "host key is unknown")
    assert ssh[0].hooks.calls == []


def test_a_changed_host_key_is_told_apart_from_an_unknown_one(
    ssh: tuple[GitSshServer, GitAccess], tmp_path: Path
) -> None:
    server, access = ssh
    other = make_key(tmp_path / "other_host_key")
    server.known_hosts_file.write_text(server.known_hosts_line(other))
    refused(opened(access), "not the known one")


def test_the_host_key_of_another_port_is_no_key_of_this_one(
    ssh: tuple[GitSshServer, GitAccess],
) -> None:
    server, access = ssh
    line = server.known_hosts_file.read_text()
    server.known_hosts_file.write_text(line.replace(f"]:{server.port}", "]:1"))
    refused(opened(access), "host key is unknown")


def test_a_hashed_name_is_known(ssh: tuple[GitSshServer, GitAccess]) -> None:
    server, access = ssh
    subprocess.run(
        ["ssh-keygen", "-q", "-H", "-f", str(server.known_hosts_file)],
        check=True,
        capture_output=True,
    )
    assert "127.0.0.1" not in server.known_hosts_file.read_text()
    opened(access).fetch()


def test_a_known_key_of_another_kind_than_the_hosts_first_is_found(tmp_path: Path) -> None:
    repository = BareRepository(tmp_path / "env.git")
    first = repository.commit({"x": b"1"})
    with GitSshServer(repository.path, tmp_path / "ssh", more_host_keys=("ecdsa",)) as server:
        server.known_hosts_file.write_text(
            server.known_hosts_line(tmp_path / "ssh" / "host_key_ecdsa")
        )
        access = GitAccess(
            server.url,
            "main",
            tmp_path / "state" / "mirror",
            ssh_key_file=server.key_file,
            ssh_known_hosts_file=server.known_hosts_file,
        )
        assert opened(access).fetch() == first


def test_a_key_that_the_server_does_not_know_is_refused(
    ssh: tuple[GitSshServer, GitAccess], tmp_path: Path
) -> None:
    refused(opened(ssh[1], ssh_key_file=make_key(tmp_path / "stranger")), "refuses the key")


def test_without_a_key_the_operator_is_told_which_setting_is_missing(
    ssh: tuple[GitSshServer, GitAccess],
) -> None:
    refused(opened(ssh[1], ssh_key_file=None), r"repo\.ssh_key_file")


def test_a_key_file_that_is_not_there_is_named(
    ssh: tuple[GitSshServer, GitAccess], tmp_path: Path
) -> None:
    missing = tmp_path / "gone"
    refused(opened(ssh[1], ssh_key_file=missing), str(missing), InvalidInput)


def test_ssh_files_are_read_again_at_every_exchange(
    ssh: tuple[GitSshServer, GitAccess], tmp_path: Path
) -> None:
    server, access = ssh
    key_file, known_hosts_file = tmp_path / "key", tmp_path / "hosts"
    repo = opened(access, ssh_key_file=key_file, ssh_known_hosts_file=known_hosts_file)
    key_file.write_text(make_key(tmp_path / "stranger").read_text())
    key_file.chmod(0o600)
    known_hosts_file.write_text(server.known_hosts_file.read_text())
    refused(repo, "refuses the key")
    key_file.write_text(server.key_file.read_text())
    head = repo.fetch()
    assert repo.fetch() == head  # Its process waits for the next one.
    known_hosts_file.write_text("")
    refused(repo, "host key is unknown")
    known_hosts_file.write_text(server.known_hosts_file.read_text())
    commit = repo.commit(head, {"y": b"1"}, "y")
    assert repo.push(commit, "main").outcome is PushOutcome.LANDED


def test_no_program_of_the_users_ssh_configuration_runs(
    ssh: tuple[GitSshServer, GitAccess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = tmp_path / "owned"
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text(f"Host *\n  ProxyCommand touch {owned}\n")
    (home / ".gitconfig").write_text(
        f"[core]\n\tsshCommand = touch {owned}\n[credential]\n\thelper = !touch {owned}\n"
        f'[url "ext::touch {owned}"]\n\tinsteadOf = {ssh[0].url}\n'
    )
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {owned}")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.sshCommand")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch {owned}")
    opened(ssh[1]).fetch()
    assert not owned.exists()


# https.


@contextmanager
def https(
    folder: Path, *, expired: bool = False, name: str = "IP:127.0.0.1"
) -> Iterator[GitAccess]:
    """Serves over https; the access trusts the CA that signed the server."""
    repository = BareRepository(folder / "env.git")
    repository.commit({"x": b"1"})
    certificate = Authority(folder / "ca").server("server", expired=expired, name=name)
    with GitHttpServer(repository.path, certificate=certificate) as server:
        mirror = folder / "state" / "mirror"
        yield GitAccess(server.url, "main", mirror, ca_file=certificate.ca_file)


def test_a_certificate_of_an_unknown_ca_is_refused(tmp_path: Path) -> None:
    with https(tmp_path) as access:
        refused(opened(access, ca_file=None), "certificate")


def test_a_certificate_of_another_ca_is_refused(tmp_path: Path) -> None:
    with https(tmp_path) as access:
        refused(opened(access, ca_file=Authority(tmp_path / "other").ca_file), "certificate")


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    with https(tmp_path, expired=True) as access:
        refused(opened(access), "certificate")


@pytest.mark.parametrize("name", ["IP:10.0.0.1", "DNS:git.example.com"])
def test_a_certificate_for_another_host_is_refused(name: str, tmp_path: Path) -> None:
    with https(tmp_path, name=name) as access:
        refused(opened(access), "certificate|SSL error")


def test_a_ca_file_that_is_replaced_counts_at_the_next_exchange(tmp_path: Path) -> None:
    with https(tmp_path) as access:
        ours = tmp_path / "ours.pem"
        repo = opened(access, ca_file=ours)
        ours.write_bytes(Authority(tmp_path / "other").ca_file.read_bytes())
        refused(repo, "certificate")
        assert access.ca_file is not None
        ours.write_bytes(access.ca_file.read_bytes())
        assert repo.fetch() == repo.fetch(), "the second by a process that waits for the next one"
        ours.write_bytes(Authority(tmp_path / "third").ca_file.read_bytes())
        refused(repo, "certificate")


def test_git_configuration_cannot_switch_the_check_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[http]\n\tsslVerify = false\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")
    with https(tmp_path) as access:
        refused(opened(access, ca_file=None), "certificate")


# Tokens.


@pytest.fixture(params=[Way.HTTP, Way.HTTPS])
def tokened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedWorld]:
    """A server that lets the holder of a token in."""
    with served_world(request.param, tmp_path) as world:
        yield world


def test_a_token_is_read_again_at_every_exchange(tokened: ServedWorld) -> None:
    server, token_file = tokened.served.http, tokened.served.access.token_file
    assert server is not None and token_file is not None
    head = tokened.repo.fetch()
    tokened.repo.fetch()  # Whose process waits for the next one.
    server.token = "rotated"
    refused(tokened.repo, "refuses the token")
    token_file.write_text("rotated\n")
    assert tokened.repo.fetch() == head
    commit = tokened.repo.commit(head, {"y": b"1"}, "y")
    assert tokened.repo.push(commit, "main").outcome is PushOutcome.LANDED


def test_without_a_token_the_operator_is_told_which_setting_is_missing(
    tokened: ServedWorld,
) -> None:
    refused(tokened.with_access(token_file=None), r"repo\.token_file")


def test_a_token_file_that_is_gone_is_named(tokened: ServedWorld) -> None:
    token_file = tokened.served.access.token_file
    assert token_file is not None
    token_file.unlink()
    refused(tokened.repo, str(token_file), InvalidInput)


def test_a_token_is_not_sent_to_another_host(tokened: ServedWorld, tmp_path: Path) -> None:
    server = tokened.served.http
    assert server is not None
    heard: list[bytes] = []
    with _listener(heard) as port:
        server.status = 302
        server.location = f"http://127.0.0.1:{port}/env.git/info/refs?service=git-upload-pack"
        refused(tokened.repo, "another host|redirect")
    assert b"uthorization" not in b"".join(heard)


@contextmanager
def _listener(heard: list[bytes]) -> Iterator[int]:
    """Asks whoever comes for a credential, and notes what they send."""
    stopping = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def serve() -> None:
            while not stopping.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(2)
                    heard.append(connection.recv(65536))
                    connection.sendall(
                        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=git\r\n"
                        b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                    )

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stopping.set()
            thread.join()


def _is_refused(world: ServedWorld) -> None:
    assert world.served.http is not None
    world.served.http.token = "another"


def _is_printed_back(world: ServedWorld) -> None:
    world.people.on_pre_receive(lambda: f"I was given {TOKEN} and git:{TOKEN}@host")


def _is_unavailable(world: ServedWorld) -> None:
    assert world.served.http is not None
    world.served.http.status = 500


def _is_gone(world: ServedWorld) -> None:
    world.served.repository.path.rename(world.served.repository.path.with_name("gone"))


@pytest.mark.parametrize("fail", [_is_refused, _is_printed_back, _is_unavailable, _is_gone])
def test_no_token_is_in_an_error_a_result_a_log_or_the_mirror(
    fail: Callable[[ServedWorld], None],
    tokened: ServedWorld,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    commit = tokened.repo.commit(tokened.repo.fetch(), {"y": b"1"}, "y")
    fail(tokened)
    told: list[str] = []
    for attempt in (tokened.repo.fetch, lambda: tokened.repo.push(commit, "main")):
        try:
            told.append(repr(attempt()))
        except ReconcilerError as error:
            told += [str(error), repr(error), repr(error.__cause__)]
    out, err = capfd.readouterr()
    assert TOKEN not in "".join([*told, caplog.text, out, err, repr(tokened.repo)])
    mirror = tokened.served.access.mirror_dir.parent
    held = [p for p in mirror.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]
    assert held == []


def test_no_token_is_in_a_command_line_or_an_environment(tokened: ServedWorld) -> None:
    """Both are there for every user of the machine to read."""
    seen: list[bytes] = []

    def look(service: str) -> None:
        del service
        for process in Path("/proc").glob("[0-9]*"):
            try:
                line = (process / "cmdline").read_bytes()
                if b"exchange_process" in line:
                    seen.append(line + (process / "environ").read_bytes())
            except OSError:
                continue

    tokened.served.before_refs(look)
    tokened.repo.fetch()
    assert seen and not any(TOKEN.encode() in one for one in seen)
