"""The forge of the settings: found wanting at the start, and not at the first question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.forge.gitea import Gitea
from reconciler.cli.opening import forge_of
from reconciler.config.reading import read_settings
from reconciler.config.settings import Settings
from reconciler.errors import InvalidInput

PAGE = "https://git.example.com/team/env"
CANARY = "canary-token"


def settings(folder: Path, **changes: Any) -> Settings:
    """Returns settings with a forge; None takes a field out."""
    token = folder / "token"
    token.write_text(f"{CANARY}\n")
    forge = {"kind": "gitea", "url": PAGE, "token_file": str(token), **changes}
    given = {name: value for name, value in forge.items() if value is not None}
    return Settings.model_validate({"repo": {"url": "/env"}, "forge": given})


def test_without_one_in_the_settings_there_is_none() -> None:
    assert forge_of(Settings.model_validate({"repo": {"url": "/env"}})) is None


def test_the_page_of_the_repo_leads_to_its_api(tmp_path: Path) -> None:
    forge = forge_of(settings(tmp_path, url=f"{PAGE}.git", timeout_s=3))
    assert isinstance(forge, Gitea)
    assert (forge.root.origin.host, forge.root.target) == (
        "git.example.com",
        "/api/v1/repos/team/env",
    )
    assert CANARY not in repr(forge)


@pytest.mark.parametrize(
    "url",
    [
        "git.example.com/team/env",
        "http://git.example.com/team/env",
        "https://git.example.com/env",
        f"https://me:{CANARY}@git.example.com/team/env",
        "https://git.example.com/../env",
        "https://git.example.com/team/env\n",
        "ssh://git@git.example.com/team/env.git",
    ],
)
def test_an_address_that_is_no_repositorys_page_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        forge_of(settings(tmp_path, url=url))
    assert raised.value.object == "forge.url" and raised.value.fix
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("token_file", None, "No such file"),
        ("token_file", b"", "it holds nothing"),
        ("token_file", b"two\nlines", "a line break"),
        ("token_file", b"\xff\xfe", "it is no text"),
        ("token_file", b"x" * (64 * 1024 + 1), "over 65536 bytes"),
        ("ca_file", None, "no certificate that can be read"),
        ("ca_file", b"no certificate", "no certificate that can be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_setting(
    name: str, text: bytes | None, why: str, tmp_path: Path
) -> None:
    file = tmp_path / "given"
    if text is not None:
        file.write_bytes(text)
    with pytest.raises(InvalidInput) as raised:
        forge_of(settings(tmp_path, **{name: str(file)}))
    assert raised.value.object == f"forge.{name} {file}"
    assert why in raised.value.why and raised.value.fix


@pytest.mark.parametrize("field", ["kind", "url", "token_file"])
def test_nothing_that_it_needs_has_a_default(field: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"forge\.{field}\n +Field required"):
        settings(tmp_path, **{field: None})


@pytest.mark.parametrize(
    "line",
    ["kind: github", "timeout_s: 0", "timeout_s: 100000", "token: secret-canary", "kind: [gitea]"],
)
def test_a_wrong_field_is_refused_by_name_and_without_its_value(line: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    given = {"kind": "gitea", "url": PAGE, "token_file": "/token"}
    rest = "".join(f"  {k}: {v}\n" for k, v in given.items() if not line.startswith(f"{k}:"))
    file.write_text(f"repo: {{url: /env}}\nforge:\n{rest}  {line}\n")
    with pytest.raises(InvalidInput) as raised:
        read_settings(file, environment={}, flags={})
    assert f"forge.{line.partition(':')[0]}: " in raised.value.why
    assert "canary" not in str(raised.value)
