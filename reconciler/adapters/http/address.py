"""Which addresses are asked, decided before the library sees them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

_LENGTH_MAX = 4096
"""Twice what browsers and proxies agree on: a registry's next page carries the last tag."""

_PORTS = {"http": 80, "https": 443}

_UNPRINTABLE = re.compile(r"[^\x21-\x7e]")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who is asked: what a credential is for."""

    scheme: str
    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, where nobody listens in."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Address:
    """Who is asked for what.

    Attributes:
        target: Path and query, with a leading `/`.
    """

    origin: Origin
    target: str


def parse(text: str) -> Address | str:
    """Returns an address, or why it cannot be used; the text is not repeated, since it may hold a credential."""
    if not text or len(text) > _LENGTH_MAX:
        return f"it is empty or longer than {_LENGTH_MAX} characters"
    if _UNPRINTABLE.search(text):
        return "it holds a space or another character that no address has"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "its host or port cannot be read"
    if parts.scheme not in _PORTS:
        return "it is neither https nor http"
    if parts.username is not None or parts.password is not None:
        return "it holds a credential"
    if not _HOST.fullmatch(parts.hostname or ""):
        return "its host cannot be read"
    origin = Origin(parts.scheme, parts.hostname or "", port or _PORTS[parts.scheme])
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(origin, target)
