"""A settings file, the environment and flags become one Settings; the later one wins."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from reconciler.config.settings import Settings
from reconciler.errors import InvalidInput

FILE_BYTES_MAX = 1 << 20
"""A settings file of a thousand clusters is a tenth of this."""

PLACES: Mapping[str, tuple[str, ...]] = {
    "repo": ("repo", "url"),
    "branch": ("repo", "branch"),
    "path": ("repo", "path"),
    "kubeconfig": ("kubeconfig",),
    "mode": ("mode",),
    "listen": ("listen",),
    "probes_listen": ("probes_listen",),
    "state_dir": ("state_dir",),
    "home": ("home",),
    "namespace": ("namespace",),
    "log_format": ("log_format",),
}
"""Where each flag, and the variable RECONCILER_<FLAG>, lands in the tree of settings."""


def variable(flag: str) -> str:
    """Returns the environment variable of a flag, given with `-` or `_` between its words."""
    return f"RECONCILER_{flag.replace('-', '_').upper()}"


def read_settings(
    file: Path | None, *, environment: Mapping[str, str], flags: Mapping[str, str | None]
) -> Settings:
    """Merges the three places a setting can come from.

    Args:
        file: The settings file, or None.
        environment: The process environment; only RECONCILER_<FLAG> is looked at.
        flags: By the names in PLACES; None means "not given".

    Raises:
        InvalidInput: The file is not there or not YAML, or a field is unknown or wrong; every
            fault is named.
    """
    tree = _file_tree(file) if file is not None else {}
    for flag, place in PLACES.items():
        value = flags.get(flag)
        if value is None:
            value = environment.get(variable(flag))
        if value is not None:
            _put(tree, place, value)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise InvalidInput(
            str(file or "settings"),
            "the settings are not right",
            faults,
            "see docs/settings.md; --repo or `repo: {url: …}` is the least that is needed",
        ) from error


def _file_tree(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise InvalidInput(
                str(file), "cannot read", f"over {FILE_BYTES_MAX} bytes", "shorten it"
            )
        tree = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise InvalidInput(
            str(file), "cannot read", error.strerror or "unreadable", "check --config"
        ) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        why = str(getattr(error, "problem", None) or "not YAML")
        raise InvalidInput(place, "cannot read", why, "correct the YAML") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise InvalidInput(str(file), "cannot read", "not a mapping", "see docs/settings.md")
    return tree


def _put(tree: dict[str, Any], place: tuple[str, ...], value: str) -> None:
    for key in place[:-1]:
        branch = tree.get(key)
        tree[key] = branch = dict(branch) if isinstance(branch, dict) else {}
        tree = branch
    tree[place[-1]] = value
