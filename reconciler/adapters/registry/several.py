"""The registries that the operator names, each asked in its own way; no other is asked for anything."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.adapters.registry.client import OciRegistry, RegistryAccess
from reconciler.adapters.registry.names import read_repository
from reconciler.errors import InvalidInput
from reconciler.model.answers import NotKnown
from reconciler.model.registry import TagDigest, Tags

_ADDRESS = re.compile(r"[a-z0-9]([-a-z0-9.]{0,252}[a-z0-9])?(:[0-9]{1,5})?")
_LOOPBACK = ("127.0.0.1", "localhost")


class Registries:
    """The Registry port over several registries.

    Args:
        accesses: By address, as image names begin: `registry.example.com:5000`.

    Raises:
        InvalidInput: An address is none, or what is to be used for it cannot be.
    """

    def __init__(self, accesses: Mapping[str, RegistryAccess]) -> None:
        self._by_host = {_host(name): OciRegistry(access) for name, access in accesses.items()}

    def tags(self, repository: str) -> Tags | NotKnown:
        """As the port has it."""
        found = self._of(repository)
        return found if isinstance(found, NotKnown) else found.tags(repository)

    def digest(self, repository: str, tag: str) -> TagDigest | NotKnown:
        """As the port has it."""
        found = self._of(repository)
        return found if isinstance(found, NotKnown) else found.digest(repository, tag)

    def _of(self, repository: str) -> OciRegistry | NotKnown:
        try:
            host = read_repository(repository, plain_http=()).host
        except InvalidInput as error:
            return NotKnown("InvalidInput", str(error))
        found = self._by_host.get(host)
        if found is None:
            why = f"{repository}: its registry is not asked: `registries` of the settings does not name {host}"
            return NotKnown("Refused", why)
        return found


def plain_http_of(address: str) -> frozenset[str]:
    """Returns what may be asked without TLS; only this machine itself may.

    Raises:
        InvalidInput: It is another machine.
    """
    if address.rpartition(":")[0] not in _LOOPBACK and address not in _LOOPBACK:
        why = "a password would go in the clear"
        raise InvalidInput(f"registries.{address}.plain_http", "it is refused", why, "use https")
    return frozenset({address})


def _host(address: str) -> str:
    try:
        host = read_repository(f"{address}/x", plain_http=()).host
    except InvalidInput:
        host = ""
    host = host if _ADDRESS.fullmatch(address) else ""
    # What cannot be the beginning of an image's name would be read as Docker Hub's.
    if not host or (host != address and address not in ("docker.io", "index.docker.io")):
        why = "it is no registry's address, as images' names begin"
        raise InvalidInput(f"registries.{address}", "it cannot be asked", why, "host or host:port")
    return host
