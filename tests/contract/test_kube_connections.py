"""Connections and credentials of the kube adapter: shared, read again, never quoted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.kube.client import KubeClient
from reconciler.adapters.kube.connections import POOL_CONNECTIONS, Allowances, from_kubeconfig
from reconciler.cli.opening import cluster_client
from reconciler.config.settings import Settings
from reconciler.errors import (
    Denied,
    InvalidInput,
    ReconcilerError,
    Refused,
    Unreachable,
)
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Change
from reconciler.simulated.faults import Reset
from tests.contract.kube_fronts import Object, config_map, listing, meeting, simulated, watching
from tests.ports import free_port


def test_more_watches_than_are_kept_connections_run_side_by_side(tmp_path: Path) -> None:
    count = POOL_CONNECTIONS + 8
    with simulated(tmp_path) as made:
        version = made.api.list(
            "v1", "ConfigMap", namespace=None, label_selector=""
        ).resource_version
        seen: list[Change] = []

        def follow() -> None:
            for event in made.api.watch(
                "v1",
                "ConfigMap",
                namespace=None,
                label_selector="",
                resource_version=version,
                timeout_s=30,
            ):
                if event.change is Change.ADDED:
                    seen.append(event.change)
                    return

        threads = [threading.Thread(target=follow) for _ in range(count)]
        for thread in threads:
            thread.start()
        made.api.create(config_map("one"))
        for thread in threads:
            thread.join(20)
        assert len(seen) == count
        # What the watches leave behind does not take the place of connections that can be used.
        assert made.api.get(ObjectRef("v1", "ConfigMap", "default", "one")) is not None


def test_requests_share_a_connection_after_any_number_of_watches(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        for _ in range(3):
            watching(made, timeout_s=0.1)()
        before = made.server.connections
        for _ in range(20):
            listing(made)()
        assert made.server.connections - before <= 1


def test_a_cluster_is_reached_by_the_context_that_settings_name_for_it(tmp_path: Path) -> None:
    with simulated(tmp_path, token="a-token") as made:
        tree = json.loads(made.kubeconfig.read_text())
        good = tree["current-context"]
        # A context of the cluster's own name, which leads to where nobody answers.
        tree["contexts"].append({"name": "prod-1", "context": {"cluster": "away", "user": good}})
        away = f"http://127.0.0.1:{free_port()}"
        tree["clusters"].append({"name": "away", "cluster": {"server": away}})
        made.kubeconfig.write_text(json.dumps(tree))
        made.api.create(config_map("here"))
        ref = ObjectRef("v1", "ConfigMap", "default", "here")

        def client(**more: str) -> KubeClient:
            chosen = {"kubeconfig": str(made.kubeconfig), **more}
            given = {"repo": {"url": "/env"}, "clusters": {"prod-1": chosen}}
            return cluster_client(Settings.model_validate(given), "prod-1")

        assert client(context=good).get(ref) is not None
        with pytest.raises(Unreachable, match="prod-1"):
            client().get(ref)
        with pytest.raises(InvalidInput, match="context elsewhere"):
            client(context="elsewhere").get(ref)


# Credentials.


def test_a_token_is_read_again_when_the_kubeconfig_changes(tmp_path: Path) -> None:
    with simulated(tmp_path, token="first-token") as made:
        listing(made)()
        made.server.token = "second-token"
        with pytest.raises(Denied):
            listing(made)()
        rewrite(made.kubeconfig, lambda user: user.update(token="second-token"))
        listing(made)()


EXEC = """\
#!/bin/sh
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status":' \
  '{"token": "'"$(cat TOKEN)"'", "expirationTimestamp": "2020-01-01T00:00:00Z"}}'
"""

PROVIDER = """\
#!/bin/sh
echo '{"credential": {"access_token": "'"$(cat TOKEN)"'", "token_expiry": "2020-01-01T00:00:00Z"}}'
"""


def run_by_exec(program: Path) -> Object:
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": str(program), "interactiveMode": "Never"}}


def run_by_a_provider(program: Path) -> Object:
    keys = {"token-key": "{.credential.access_token}", "expiry-key": "{.credential.token_expiry}"}
    return {"auth-provider": {"name": "gcp", "config": {"cmd-path": str(program), **keys}}}


@pytest.mark.parametrize(
    ("script", "user"), [(EXEC, run_by_exec), (PROVIDER, run_by_a_provider)], ids=["exec", "gcp"]
)
def test_credentials_that_ran_out_are_got_anew_though_no_file_has_changed(
    script: str, user: Callable[[Path], Object], tmp_path: Path
) -> None:
    with simulated(tmp_path, token="first-token") as made:
        token, program = tmp_path / "token", tmp_path / "program"
        token.write_text("first-token")
        program.write_text(script.replace("TOKEN", str(token)))
        program.chmod(0o755)
        tree = json.loads(made.kubeconfig.read_text())
        tree["users"][0]["user"] = user(program)
        made.kubeconfig.write_text(json.dumps(tree))
        allow = Allowances(exec=True, auth_provider=True)
        context = tree["current-context"]
        api = from_kubeconfig(
            made.kubeconfig, context, name="renewed", allow=allow, request_timeout_s=5.0
        )
        api.list("v1", "ConfigMap", namespace=None, label_selector="")
        made.server.token = "second-token"
        token.write_text("second-token")
        api.list("v1", "ConfigMap", namespace=None, label_selector="")


def test_a_kubeconfig_that_is_broken_or_gone_leaves_what_was_read(tmp_path: Path) -> None:
    with simulated(tmp_path, token="a-token") as made:
        text = made.kubeconfig.read_text()
        for broken in ("", "{[", "{}", text.replace('"token"', '"exec"')):
            made.kubeconfig.write_text(broken)
            listing(made)()
        made.kubeconfig.unlink()
        listing(made)()
        made.server.token = "another"
        made.kubeconfig.write_text(text.replace("a-token", "another"))
        listing(made)()


def test_a_token_file_beside_the_kubeconfig_is_followed_and_its_line_break_is_no_part_of_it(
    tmp_path: Path,
) -> None:
    with simulated(tmp_path, token="first-token") as made:
        (tmp_path / "first").write_text("first-token\n")
        (tmp_path / "second").write_text("second-token\n")
        (tmp_path / "token").symlink_to("first")
        rewrite(made.kubeconfig, lambda user: (user.pop("token"), user.update(tokenFile="token")))
        api = from_kubeconfig(
            made.kubeconfig,
            "http",
            name="http",
            allow=Allowances(file_references=True),
            request_timeout_s=5,
        )
        assert api.kind("v1", "ConfigMap")
        made.server.token = "second-token"
        # As a mounted Secret is replaced: a link is put in the place of a link.
        (tmp_path / "new").symlink_to("second")
        (tmp_path / "new").replace(tmp_path / "token")
        assert api.list("v1", "ConfigMap", namespace=None, label_selector="").resource_version


def test_a_file_whose_name_no_path_has_is_refused(tmp_path: Path) -> None:
    with simulated(tmp_path, token="a-token") as made:
        rewrite(made.kubeconfig, lambda user: (user.pop("token"), user.update(tokenFile="a\0b")))
        with pytest.raises(InvalidInput, match="tokenFile"):
            from_kubeconfig(
                made.kubeconfig,
                "http",
                name="http",
                allow=Allowances(file_references=True),
                request_timeout_s=5,
            )


def test_a_token_that_cannot_be_sent_is_refused_and_not_quoted(tmp_path: Path) -> None:
    with simulated(tmp_path, token="a-token") as made:
        rewrite(made.kubeconfig, lambda user: user.update(token="canary\ncanary"))
        with pytest.raises(InvalidInput) as caught:
            listing(made)()
        told: BaseException | None = caught.value
        while told is not None:
            assert "canary" not in str(told)
            told = told.__cause__


def rewrite(kubeconfig: Path, edit: Callable[[Object], object]) -> None:
    tree = json.loads(kubeconfig.read_text())
    edit(tree["users"][0]["user"])
    kubeconfig.write_text(json.dumps(tree))


def test_a_number_that_no_api_server_takes_is_refused(tmp_path: Path) -> None:
    with simulated(tmp_path) as made:
        wrong = {**config_map("one"), "data": {"x": 2**70}}
        with pytest.raises(Refused):
            made.api.apply(wrong, force=False, dry_run=False)


def test_how_far_the_servers_clock_is_off_is_known(tmp_path: Path) -> None:
    with simulated(tmp_path, skew_s=3600) as made:
        assert made.api.skew_s is None
        listing(made)()
        assert made.api.skew_s == pytest.approx(3600, abs=5)


def test_every_error_of_ours_has_a_cause_that_a_person_can_read(tmp_path: Path) -> None:
    with meeting(tmp_path, Reset) as made, pytest.raises(ReconcilerError) as caught:
        listing(made)()
    assert "ConfigMap on http: cannot be listed: " in str(caught.value)
