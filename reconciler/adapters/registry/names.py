"""Names of repositories and tags, read as a pin writes them, before anything is asked."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from reconciler.adapters.http.address import Origin, parse
from reconciler.adapters.registry.credentials import HUB_HOST
from reconciler.errors import InvalidInput

_PATH = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
"""Source: OCI distribution specification 1.1, "Pulling manifests"."""

LENGTH_MAX = 255

_HUB = frozenset({"docker.io", "index.docker.io"})


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry.

    Attributes:
        name: As people wrote it.
        host: The registry, with its port where it is written.
        path: Below `/v2/`.
    """

    name: str
    host: str
    origin: Origin
    path: str


def read_repository(name: str, *, plain_http: Collection[str]) -> Repository:
    """Returns a repository.

    Args:
        name: `registry.example.com:5000/team/web`; without a registry it is Docker Hub's.
        plain_http: Hosts, with their ports, that are spoken to without TLS.

    Raises:
        InvalidInput: It is no name of a repository.
    """
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, path = first, rest
    else:
        host, path = "docker.io", name
    if host in _HUB:
        host, path = HUB_HOST, path if "/" in path else f"library/{path}"
    address = parse(f"{'http' if host in plain_http else 'https'}://{host}/")
    # The host is bounded first, so that no long text is matched.
    if len(name) > LENGTH_MAX or isinstance(address, str) or not _PATH.fullmatch(path):
        raise InvalidInput(
            name[:LENGTH_MAX], "it is no image repository", "its name cannot be read"
        )
    return Repository(name, host, address.origin, path)


def check_tag(repository: str, tag: str) -> None:
    """Raises InvalidInput for what is no tag."""
    if not _TAG.fullmatch(tag):
        raise InvalidInput(repository, "it cannot have such a tag", f"{tag[:128]!r} is none")
