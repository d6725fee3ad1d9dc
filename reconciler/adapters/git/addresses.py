"""Which remote addresses and branch names are accepted, decided before any library sees them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import pygit2

from reconciler.errors import InvalidInput

_URL = "repo.url"
_BRANCH = "repo.branch"

_LENGTH_MAX = 2048
"""What browsers and proxies agree on; real addresses have a tenth of it."""

_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]|%(?:[01][0-9a-f]|7f)", re.IGNORECASE)
_HELPER = re.compile(r"[A-Za-z0-9+.-]+::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCP = re.compile(r"(?:(?P<user>[\w.-]+)@)?(?P<host>[\w.-]+):(?P<path>[^:].*)", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*|[0-9A-Fa-f:.]+")


class Transport(StrEnum):
    """The ways to a remote that are accepted."""

    HTTP = "http"
    HTTPS = "https"
    SSH = "ssh"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """An accepted address; it holds no credential, so it may be shown.

    Attributes:
        text: The address as pygit2 is given it.
        user: The user that an ssh address names, or "".
        port: The port, the scheme's own where the address names none; 0 for a local path.
    """

    text: str
    transport: Transport
    host: str = ""
    port: int = 0
    user: str = ""

    @property
    def can_push(self) -> bool:
        """A push to a local path is no compare-and-set and runs no hooks."""
        return self.transport is not Transport.LOCAL


def parse_address(text: str) -> RemoteAddress:
    """Returns the accepted address.

    Raises:
        InvalidInput: Anything else; the address is not repeated, since it may hold a credential.
    """
    if not text or len(text) > _LENGTH_MAX:
        raise _refused("it is empty or longer than 2048 characters")
    if _CONTROL.search(text):
        raise _refused("it holds a space or a control character")
    if text.startswith("-"):
        raise _refused("it begins with `-`, which programs take for an option")
    if _HELPER.match(text):
        raise _refused("it asks for a transport helper, which would run a program")
    if text.startswith("/"):
        return RemoteAddress(text, Transport.LOCAL)
    if scheme := _SCHEME.match(text):
        return _parse_url(text, scheme.group(1).lower())
    if scp := _SCP.fullmatch(text):
        return _parse_scp(text, scp)
    raise _refused("it is neither https, ssh, user@host:path nor an absolute path")


def check_branch(branch: str) -> None:
    """Raises InvalidInput for a name that Git would refuse or take for an option."""
    # libgit2 reads a name up to its first NUL, and calls that much of it valid.
    if (
        branch.startswith("-")
        or not branch.isprintable()
        or not pygit2.reference_is_valid_name(f"refs/heads/{branch}")
    ):
        raise InvalidInput(
            _BRANCH,
            "this is no branch name",
            f"Git refuses {branch[:100]!r}",
            "name the branch that people merge into, for example main",
        )


def _parse_url(text: str, scheme: str) -> RemoteAddress:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refused("its host or port cannot be read") from None
    if scheme == "file":
        raise _refused("file:// is not taken", "give the absolute path itself; it can be read only")
    if parts.password is not None or (scheme != "ssh" and parts.username is not None):
        raise _refused("it holds a credential", "put the token into a file: repo.token_file")
    if parts.query or parts.fragment:
        raise _refused("it holds a query or a fragment, where tokens hide")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise _refused("its host cannot be read")
    if not parts.path.strip("/"):
        raise _refused("it names no repo on that host")
    match scheme:
        case "https":
            return RemoteAddress(text, Transport.HTTPS, host, port or 443)
        case "http":
            if not _is_loopback(host):
                raise _refused("plain http sends tokens and pins in the clear", "use https")
            return RemoteAddress(text, Transport.HTTP, host, port or 80)
        case "ssh":
            return _ssh_address(text, parts, host, port)
        case _:
            raise _refused(f"{scheme}:// is not taken", "use https or ssh")


def _ssh_address(text: str, parts: SplitResult, host: str, port: int | None) -> RemoteAddress:
    user = parts.username or ""
    if user.startswith("-") or parts.path.lstrip("/").startswith("-"):
        raise _refused("its user or path begins with `-`, which programs take for an option")
    return RemoteAddress(text, Transport.SSH, host, port or 22, user)


def _parse_scp(text: str, scp: re.Match[str]) -> RemoteAddress:
    user, host, path = scp.group("user") or "", scp.group("host"), scp.group("path")
    if user.startswith("-") or host.startswith("-") or path.startswith("-"):
        raise _refused("its user, host or path begins with `-`, which programs take for an option")
    return RemoteAddress(text, Transport.SSH, host, 22, user)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _refused(
    why: str, fix: str = "give an https or ssh address, or an absolute path"
) -> InvalidInput:
    return InvalidInput(_URL, "this address is refused", why, fix)
