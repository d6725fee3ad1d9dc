"""The gates of the settings: found wanting at the start, and not when a release waits for one."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.gates.http_gate import HttpGate
from reconciler.cli.opening import gates_of
from reconciler.config.reading import read_settings
from reconciler.config.settings import Settings
from reconciler.errors import InvalidInput

URL = "https://gates.example.com/ask"
CANARY = base64.b64encode(b"canary-secret-of-thirty-two-byte").decode()


def settings(folder: Path, name: str = "board", **changes: Any) -> Settings:
    """Returns settings with a gate; None takes a field out."""
    secret = folder / "secret"
    secret.write_text(f"whsec_{CANARY}\n")
    gate = {"url": URL, "secret_file": str(secret), **changes}
    given = {key: value for key, value in gate.items() if value is not None}
    return Settings.model_validate({"repo": {"url": "/env"}, "gates": {name: given}})


def test_without_any_in_the_settings_there_are_none() -> None:
    assert gates_of(Settings.model_validate({"repo": {"url": "/env"}})) == {}


def test_each_is_found_by_its_name_and_asked_as_often_as_it_says(tmp_path: Path) -> None:
    ((name, (gate, poll_s)),) = gates_of(settings(tmp_path, poll_s=90)).items()
    assert isinstance(gate, HttpGate)
    assert (name, poll_s, gate.address.target) == ("board", 90, "/ask")
    assert CANARY not in repr(gate)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"url": "http://gates.example.com/ask"}, "gates.board.url"),
        ({"url": f"https://me:{CANARY}@gates.example.com/ask"}, "gates.board.url"),
        ({"url": "gates.example.com"}, "gates.board.url"),
        ({"secret_file": "/no/such/secret"}, "gates.board.secret_file /no/such/secret"),
        ({"ca_file": "/no/such/ca"}, "gates.board.ca_file /no/such/ca"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_setting(
    changes: dict[str, str], where: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput) as raised:
        gates_of(settings(tmp_path, **changes))
    assert raised.value.object == where and raised.value.fix
    assert CANARY not in str(raised.value)


def test_a_secret_that_is_too_short_is_named_and_not_told(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_text("canary12")
    with pytest.raises(InvalidInput, match=f"gates.board.secret_file {short}") as raised:
        gates_of(settings(tmp_path, secret_file=str(short)))
    assert "canary" not in str(raised.value) and "openssl rand" in raised.value.fix


@pytest.mark.parametrize("name", ["Board", "a/b", "-a", "", "a" * 41])
def test_a_name_that_no_policy_can_say_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gates"):
        settings(tmp_path, name)


@pytest.mark.parametrize("line", ["timeout_s: 0", "poll_s: -1", "secret: canary", "url: [a]"])
def test_a_wrong_field_is_refused_by_name_and_without_its_value(line: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    given = {"url": URL, "secret_file": "/secret"}
    rest = "".join(f"    {k}: {v}\n" for k, v in given.items() if not line.startswith(f"{k}:"))
    file.write_text(f"repo: {{url: /env}}\ngates:\n  board:\n{rest}    {line}\n")
    with pytest.raises(InvalidInput) as raised:
        read_settings(file, environment={}, flags={})
    assert f"gates.board.{line.partition(':')[0]}: " in raised.value.why
    assert "canary" not in str(raised.value)
