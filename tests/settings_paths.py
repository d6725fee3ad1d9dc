"""Settings in which a path is none that any call would take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from reconciler.config.settings import PATH_BYTES_MAX

PLACES = (
    *(("repo", f"{name}_file") for name in ("token", "ssh_key", "known_hosts", "allowed_signers")),
    ("repo", "ca_file"),
    ("repo", "path"),
    ("forge", "token_file"),
    ("forge", "ca_file"),
    ("gates", "change-board", "secret_file"),
    ("gates", "change-board", "ca_file"),
    ("registries", "registry.example.com", "config_file"),
    ("registries", "registry.example.com", "ca_file"),
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


def written(folder: Path, place: tuple[str, ...], value: str) -> Path:
    """Writes a settings file that says one more thing."""
    tree: dict[str, Any] = {"repo": {"url": "https://example.com/env.git"}}
    at = tree
    for step in place[:-1]:
        at = at.setdefault(step, {})
    at[place[-1]] = value
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(tree))
    return file
