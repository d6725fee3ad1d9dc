"""Who we are to a registry: the entries of a docker config file, read at every use."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from reconciler.adapters.http.secrets import read_file
from reconciler.errors import InvalidInput

_WHAT = "docker config"

_DOCKER_HUB = "https://index.docker.io/v1/"
"""What every tool calls Docker Hub in this file. Source: `distribution/reference` and docker/cli's config."""

HUB_HOST = "registry-1.docker.io"


def basic_of(path: Path, host: str) -> str | None:
    """Returns the value of a Basic header for a registry, or None: nobody, since the file has no entry.

    Args:
        path: A file as `docker login` and Kubernetes' `.dockerconfigjson` have it.
        host: The registry, with its port where it has one.

    Raises:
        InvalidInput: The file cannot be read, or its entry not used; nothing of it is quoted.
    """
    entry = _entry(path, host)
    if entry is None:
        return None
    if entry.get("identitytoken") or entry.get("registrytoken"):
        raise _bad(
            path, host, "an identity token is not supported; give a user name and a password"
        )
    auth, username, password = entry.get("auth"), entry.get("username"), entry.get("password")
    if isinstance(auth, str) and auth:
        return _checked(path, host, auth)
    if isinstance(username, str) and isinstance(password, str) and username:
        return base64.b64encode(f"{username}:{password}".encode()).decode()
    raise _bad(path, host, "it has neither `auth` nor `username` and `password`")


def _entry(path: Path, host: str) -> Mapping[str, Any] | None:
    try:
        config = orjson.loads(read_file(path, _WHAT))
    except orjson.JSONDecodeError:
        # Its own text quotes what stands there.
        raise InvalidInput(str(path), f"the {_WHAT} cannot be read", "it is no JSON") from None
    auths = config.get("auths", {}) if isinstance(config, dict) else None
    if not isinstance(auths, dict):
        raise InvalidInput(str(path), f"the {_WHAT} cannot be used", "it has no `auths`")
    names = [
        host,
        f"https://{host}",
        f"https://{host}/",
        f"https://{host}/v1/",
        f"https://{host}/v2/",
    ]
    if host == HUB_HOST:
        names += [_DOCKER_HUB, "docker.io", "index.docker.io"]
    found = next((auths[name] for name in names if name in auths), None)
    if found is not None and not isinstance(found, dict):
        raise _bad(path, host, "it is no mapping")
    return found or None


def _checked(path: Path, host: str, auth: str) -> str:
    try:
        pair = base64.b64decode(auth, validate=True)
    except (binascii.Error, ValueError):
        raise _bad(path, host, "its `auth` is no base64") from None
    if b":" not in pair:
        raise _bad(path, host, "its `auth` holds no user name and password")
    return base64.b64encode(pair).decode()


def _bad(path: Path, host: str, why: str) -> InvalidInput:
    return InvalidInput(str(path), f"the entry of {host} cannot be used", why)
