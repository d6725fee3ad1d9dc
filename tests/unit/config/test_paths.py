"""A path of the settings that no call would take is refused with the settings, and not where it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.config.reading import read_settings
from reconciler.config.settings import PATH_BYTES_MAX
from reconciler.errors import InvalidInput

PLACES = (
    *(("repo", f"{name}_file") for name in ("token", "ssh_key", "known_hosts", "allowed_signers")),
    ("repo", "ca_file"),
    ("repo", "path"),
    ("kubeconfig",),
    ("state_dir",),
    ("clusters", "dev-1", "kubeconfig"),
)

BAD = {
    "NUL": "/a\0b",
    "a line break": "/a\nb",
    "more than a path may have": "a/" * PATH_BYTES_MAX,
    "half a character": "/a\ud800",
}


def read(folder: Path, place: tuple[str, ...], value: str) -> Any:
    tree: dict[str, Any] = {"repo": {"url": "https://example.com/env.git"}}
    at = tree
    for step in place[:-1]:
        at = at.setdefault(step, {})
    at[place[-1]] = value
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(tree))
    return read_settings(file, environment={}, flags={})


@pytest.mark.parametrize("title", BAD)
@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_what_is_no_path_is_refused(tmp_path: Path, place: tuple[str, ...], title: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, place, BAD[title])
    assert place[-1] in str(caught.value)
    assert "\0" not in str(caught.value)


def test_a_path_of_any_language_is_one(tmp_path: Path) -> None:
    settings = read(tmp_path, ("kubeconfig",), "/srv/größe/設定 1")
    assert settings.kubeconfig == Path("/srv/größe/設定 1")
