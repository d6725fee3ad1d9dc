"""An API server's certificate is checked before it is told anything, and the answer says what to do."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kubernetes.config import incluster_config
from structlog.testing import capture_logs

from reconciler.adapters.kube import connections
from reconciler.adapters.kube.client import KubeClient
from reconciler.adapters.kube.connections import Allowances, from_kubeconfig, in_cluster
from reconciler.errors import Denied, InvalidInput, Unreachable
from tests.contract.kube_fronts import REQUEST_S, Object, simulated
from tests.gitservers.certificates import Authority, Certificate
from tests.tls import TlsFront, tls_front

TOKEN = "canary-token-of-a-cluster"

ELSEWHERE = "DNS:prod-9.example.com"


def good(folder: Path) -> tuple[Certificate, Path | None]:
    certificate = Authority(folder / "ca").server("server")
    return certificate, certificate.ca_file


def named_itself(folder: Path) -> tuple[Certificate, Path | None]:
    certificate = Authority(folder / "ca").server("server")
    return certificate, certificate.certificate_file


def of_another_authority(folder: Path) -> tuple[Certificate, Path | None]:
    certificate = Authority(folder / "ca").server("server")
    return certificate, Authority(folder / "other").ca_file


def of_an_authority_that_nobody_named(folder: Path) -> tuple[Certificate, Path | None]:
    return Authority(folder / "ca").server("server"), None


def expired(folder: Path) -> tuple[Certificate, Path | None]:
    certificate = Authority(folder / "ca").server("server", expired=True)
    return certificate, certificate.ca_file


def for_another_name(folder: Path) -> tuple[Certificate, Path | None]:
    certificate = Authority(folder / "ca").server("server", name=ELSEWHERE)
    return certificate, certificate.ca_file


def for_another_address(folder: Path) -> tuple[Certificate, Path | None]:
    certificate = Authority(folder / "ca").server("server", name="IP:127.0.0.2")
    return certificate, certificate.ca_file


Shown = Callable[[Path], tuple[Certificate, Path | None]]
"""Returns the certificate that a server shows, and the authority that a kubeconfig names."""

BAD: list[tuple[Shown, str, str]] = [
    (of_another_authority, "unable to get local issuer certificate", "check that the certificate"),
    (of_an_authority_that_nobody_named, "issuer certificate", "check that the certificate"),
    (expired, "certificate has expired", "renew the server's certificate"),
    (for_another_name, "certificate is not valid for '127.0.0.1'", "give the address"),
    (for_another_address, "certificate is not valid for '127.0.0.1'", "give the address"),
]
"""What is shown, why it is not trusted, and what helps."""


@contextmanager
def served(folder: Path, shown: Shown) -> Iterator[tuple[TlsFront, Path, Path | None]]:
    """Serves a simulated cluster by TLS; gives its front, a kubeconfig of it, and the authority named."""
    certificate, authority = shown(folder)
    with simulated(folder, token=TOKEN) as made:
        port = urlsplit(made.server.url).port
        assert port is not None
        with tls_front(port, certificate) as front:
            tree = json.loads(made.kubeconfig.read_text())
            cluster = tree["clusters"][0]["cluster"]
            cluster["server"] = front.url
            if authority is not None:
                octets = base64.b64encode(authority.read_bytes())
                cluster["certificate-authority-data"] = octets.decode()
            made.kubeconfig.write_text(json.dumps(tree))
            yield front, made.kubeconfig, authority


def opened(kubeconfig: Path, *, allow: Allowances = Allowances()) -> KubeClient:  # noqa: B008
    return from_kubeconfig(
        kubeconfig, "http", name="prod-1", allow=allow, request_timeout_s=REQUEST_S
    )


def listing(api: KubeClient) -> object:
    return api.list("v1", "ConfigMap", namespace=None, label_selector="")


def refused(api: KubeClient, front: TlsFront, why: str, fix: str) -> None:
    """The server is not trusted, and has learned nothing."""
    with pytest.raises(Denied) as caught:
        listing(api)
    error = caught.value
    assert error.object == "ConfigMap of v1 on prod-1"
    assert error.why.startswith("the server's certificate is not trusted: ") and why in error.why
    assert fix in error.fix
    assert front.connections > 0
    assert bytes(front.heard) == b""


def test_a_server_that_is_trusted_is_told_the_token(tmp_path: Path) -> None:
    with served(tmp_path, good) as (front, kubeconfig, _):
        assert listing(opened(kubeconfig))
        assert f"authorization: Bearer {TOKEN}".encode() in bytes(front.heard)


def test_where_none_is_named_the_machines_own_authorities_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, of_an_authority_that_nobody_named) as (front, kubeconfig, _):
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca" / "ca.pem"))
        assert listing(opened(kubeconfig))
        assert f"authorization: Bearer {TOKEN}".encode() in bytes(front.heard)


def test_what_is_named_is_trusted_though_another_has_signed_it_as_kubectl_has_it(
    tmp_path: Path,
) -> None:
    with served(tmp_path, named_itself) as (front, kubeconfig, _):
        assert listing(opened(kubeconfig))
        front.show(Authority(tmp_path / "other").server("server"))
        with pytest.raises(Denied):
            listing(opened(kubeconfig))


@pytest.mark.parametrize(("shown", "why", "fix"), BAD, ids=[row[0].__name__ for row in BAD])
def test_a_server_that_is_not_trusted_is_told_nothing(
    shown: Shown, why: str, fix: str, tmp_path: Path
) -> None:
    with served(tmp_path, shown) as (front, kubeconfig, _):
        refused(opened(kubeconfig), front, why, fix)


@pytest.mark.parametrize(("shown", "why", "fix"), BAD, ids=[row[0].__name__ for row in BAD])
def test_what_an_operator_allows_is_not_done_where_nobody_asks_for_it(
    shown: Shown, why: str, fix: str, tmp_path: Path
) -> None:
    with served(tmp_path, shown) as (front, kubeconfig, _):
        refused(opened(kubeconfig, allow=Allowances(insecure_tls=True)), front, why, fix)


def test_a_certificate_goes_unchecked_where_file_and_operator_both_say_so(tmp_path: Path) -> None:
    with served(tmp_path, of_an_authority_that_nobody_named) as (front, kubeconfig, _):
        tree = json.loads(kubeconfig.read_text())
        tree["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
        kubeconfig.write_text(json.dumps(tree))
        # One that was written just now would be read twice.
        os.utime(kubeconfig, (1, 1))
        with pytest.raises(InvalidInput, match=r"allow\.insecure_tls"):
            opened(kubeconfig)
        assert bytes(front.heard) == b""
        with capture_logs() as told:
            api = opened(kubeconfig, allow=Allowances(insecure_tls=True))
            listing(api)
            listing(api)
        (line,) = told
        assert (line["event"], line["cluster"]) == ("certificate-unchecked", "prod-1")


def test_the_token_follows_once_the_server_shows_what_is_trusted(tmp_path: Path) -> None:
    with served(tmp_path, expired) as (front, kubeconfig, _):
        api = opened(kubeconfig)
        refused(api, front, "expired", "renew")
        front.show(Authority(tmp_path / "new").server("server"))
        refused(api, front, "issuer", "check that the certificate")
        tree = json.loads(kubeconfig.read_text())
        authority = (tmp_path / "new" / "ca.pem").read_bytes()
        named = base64.b64encode(authority).decode()
        tree["clusters"][0]["cluster"]["certificate-authority-data"] = named
        kubeconfig.write_text(json.dumps(tree))
        assert listing(api)


def test_an_authority_that_is_no_certificate_is_told_before_anybody_is_asked(
    tmp_path: Path,
) -> None:
    with served(tmp_path, good) as (front, kubeconfig, _):
        tree = json.loads(kubeconfig.read_text())
        named = base64.b64encode(b"no certificate").decode()
        tree["clusters"][0]["cluster"]["certificate-authority-data"] = named
        kubeconfig.write_text(json.dumps(tree))
        with pytest.raises(InvalidInput, match="its certificates or key cannot be read"):
            opened(kubeconfig)
        assert front.connections == 0


# A certificate in the place of a token.


def test_a_certificate_of_a_kubeconfig_is_shown_to_the_server(tmp_path: Path) -> None:
    with served(tmp_path, good) as (front, kubeconfig, _):
        authority = Authority(tmp_path / "clients")
        front.ask_for_one_of(authority.ca_file)
        # What the server says of it may be lost with the connection that it closes.
        with pytest.raises((Denied, Unreachable)):
            listing(opened(kubeconfig))
        shown = authority.server("client")
        show(kubeconfig, shown.certificate_file, shown.key_file)
        assert listing(opened(kubeconfig))


def test_a_key_that_needs_a_password_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    with served(tmp_path, good) as (_, kubeconfig, _):
        shown = Authority(tmp_path / "clients").server("client")
        locked = tmp_path / "locked.pem"
        subprocess.run(
            [
                *("openssl", "pkey", "-in", shown.key_file, "-out", locked),
                *("-aes256", "-passout", "pass:a-password"),
            ],
            check=True,
            capture_output=True,
        )
        show(kubeconfig, shown.certificate_file, locked)
        with pytest.raises(InvalidInput, match="its certificates or key cannot be read"):
            opened(kubeconfig)


def show(kubeconfig: Path, certificate: Path, key: Path) -> None:
    """Puts a client's certificate into a kubeconfig."""
    tree = json.loads(kubeconfig.read_text())
    files = {"client-certificate-data": certificate, "client-key-data": key}
    octets = {name: base64.b64encode(file.read_bytes()) for name, file in files.items()}
    tree["users"][0]["user"].update({name: data.decode() for name, data in octets.items()})
    kubeconfig.write_text(json.dumps(tree))


# In a Pod.


@pytest.mark.parametrize(
    ("shown", "why", "fix"),
    [row for row in BAD if row[0] is not of_an_authority_that_nobody_named],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_in_a_pod_the_server_is_checked_as_well(
    shown: Shown, why: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, shown) as (front, _, authority):
        assert authority is not None
        refused(_in_a_pod(front, authority, tmp_path, monkeypatch), front, why, fix)


def test_in_a_pod_a_server_that_is_trusted_is_told_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, good) as (front, _, authority):
        assert authority is not None
        assert listing(_in_a_pod(front, authority, tmp_path, monkeypatch))
        assert TOKEN.encode() in bytes(front.heard)


def test_in_a_pod_a_new_token_is_used_from_the_next_request_on_and_the_former_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, good) as (front, _, authority):
        assert authority is not None
        api = _in_a_pod(front, authority, tmp_path, monkeypatch)
        assert listing(api)
        front.heard.clear()
        # As the kubelet does it: by a file that takes the place of the other.
        (tmp_path / "new").write_text("the-next-token")
        (tmp_path / "new").replace(tmp_path / "token")
        # The server knows the former one alone, and would let it in.
        with pytest.raises(Denied):
            listing(api)
        assert b"the-next-token" in bytes(front.heard)
        assert TOKEN.encode() not in bytes(front.heard)


def test_in_a_pod_a_token_that_is_gone_for_a_while_leaves_the_one_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _have_read_long_ago(monkeypatch)
    with served(tmp_path, good) as (front, _, authority):
        assert authority is not None
        api = _in_a_pod(front, authority, tmp_path, monkeypatch)
        for broken in (Path.unlink, lambda file: file.write_text("")):
            broken(tmp_path / "token")
            assert listing(api)
        (tmp_path / "token").write_text(TOKEN)
        assert listing(api)


def _have_read_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the library think that the minute is over after which it would read a token again by itself."""
    read = incluster_config.InClusterConfigLoader._read_token_file

    def read_long_ago(loader: incluster_config.InClusterConfigLoader) -> None:
        read(loader)  # type: ignore[no-untyped-call]
        loader.token_expires_at -= timedelta(hours=1)

    monkeypatch.setattr(incluster_config.InClusterConfigLoader, "_read_token_file", read_long_ago)


def _in_a_pod(
    front: TlsFront, authority: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> KubeClient:
    """Returns a client as a Pod has it, whose service account's files are where a test may write."""
    token = folder / "token"
    token.write_text(TOKEN)
    for module in (incluster_config, connections):
        monkeypatch.setattr(module, "SERVICE_TOKEN_FILENAME", str(token))
        monkeypatch.setattr(module, "SERVICE_CERT_FILENAME", str(authority))
    address = urlsplit(front.url)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(address.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(address.port))
    return in_cluster(name="prod-1", request_timeout_s=REQUEST_S)


# Names.


def test_nothing_is_run_but_what_was_looked_at(tmp_path: Path) -> None:
    """`1` and `"1"` are one name to one reader and two to another."""
    canary = tmp_path / "it-ran"
    program = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "touch",
        "args": [str(canary)],
        "interactiveMode": "Never",
    }
    with served(tmp_path, good) as (_, kubeconfig, _):
        tree: Object = json.loads(kubeconfig.read_text())
        (user,) = (one["user"] for one in tree["users"])
        tree["users"] = [{"name": "1", "user": {"exec": program}}, {"name": 1, "user": user}]
        tree["contexts"][0]["context"]["user"] = "1"
        kubeconfig.write_text(json.dumps(tree))
        assert listing(opened(kubeconfig))
    assert not canary.exists()
