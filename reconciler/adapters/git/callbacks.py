"""What pygit2 asks in the middle of an exchange: credentials, trust, limits, the remote's words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pygit2
from pygit2.enums import CredentialType
from pygit2.remotes import PushUpdate, TransferProgress

from reconciler.adapters.git.access import MESSAGE_CHARACTERS_MAX
from reconciler.adapters.git.addresses import RemoteAddress, Transport
from reconciler.adapters.git.errors import clean
from reconciler.adapters.git.exchange import Request
from reconciler.adapters.git.host_keys import HostKeys
from reconciler.errors import Denied, InvalidInput

TOKEN_CHARACTERS_MAX = 16 * 1024
"""Longer than any signed token a forge gives out; a longer file is the wrong file."""


class ExchangeCallbacks(pygit2.RemoteCallbacks):
    """Answers pygit2's questions for one connection, and notes what the remote says.

    Args:
        request: The limits, and the files that hold the credentials.
        address: The remote that credentials are for.
        host_keys: The trusted ssh hosts.
        before_push: Sees what a push would replace, and may refuse by raising.
    """

    def __init__(
        self,
        request: Request,
        *,
        address: RemoteAddress,
        host_keys: HostKeys,
        before_push: Callable[[PushUpdate], None] | None = None,
    ) -> None:
        super().__init__()
        self._request = request
        self._address = address
        self._host_keys = host_keys
        self._before_push = before_push
        self._asked = 0
        self._said = ""
        self.rejection: str | None = None

    @property
    def remote_words(self) -> str:
        """The reason for a rejection, and what hooks printed."""
        return clean(": ".join(part for part in (self.rejection, self._said.strip()) if part))

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.Username | pygit2.UserPass | pygit2.Keypair:
        """Gives the credential once; asked again, it was refused."""
        user = username_from_url or self._address.user or self._request.username
        if allowed_types & CredentialType.USERNAME:
            return pygit2.Username(user)
        self._asked += 1
        if self._address.transport is Transport.SSH:
            return self._ssh_key(user, allowed_types)
        return self._token(url, allowed_types)

    def _ssh_key(self, user: str, allowed_types: CredentialType) -> pygit2.Keypair:
        key_file = self._request.ssh_key_file
        if key_file is None:
            raise self._denied("it asks for a key", "set repo.ssh_key_file")
        if self._asked > 1 or not allowed_types & CredentialType.SSH_KEY:
            raise self._denied(f"it refuses the key for {user}", "give this key access")
        if not Path(key_file).is_file():
            raise InvalidInput(f"repo.ssh_key_file {key_file}", "the key cannot be read", "no file")
        return pygit2.Keypair(user, None, key_file, "")

    def _token(self, url: str, allowed_types: CredentialType) -> pygit2.UserPass:
        if not self._is_for_remote(url):
            raise self._denied("it sends us to another host", "set repo.url to that address")
        token = read_token(self._request.token_file)
        if token is None:
            raise self._denied("it asks for a credential", "set repo.token_file")
        if self._asked > 1 or not allowed_types & CredentialType.USERPASS_PLAINTEXT:
            raise self._denied("it refuses the token", "give a token that may read and push")
        return pygit2.UserPass(self._request.username, token)

    def _is_for_remote(self, url: str) -> bool:
        asked, ours = urlsplit(url), urlsplit(self._address.text)
        default = {"http": 80, "https": 443}.get(asked.scheme)
        return (asked.scheme, asked.hostname, asked.port or default) == (
            ours.scheme,
            self._address.host,
            self._address.port,
        )

    def certificate_check(
        self,
        certificate: None,
        valid: bool,  # noqa: FBT001  # pygit2 calls it by position
        host: bytes,
    ) -> bool:
        """Accepts what libgit2 found valid: by the CA, or by our known_hosts. Nothing overrides it."""
        if valid:
            return True
        if self._address.transport is not Transport.SSH:
            raise self._denied(
                "its certificate is expired, for another host, or of an unknown CA",
                "renew it, or name the CA in repo.ca_file",
            )
        if self._host_keys.knows(self._address.host, self._address.port):
            raise self._denied(
                "its host key is not the known one: it was changed, or someone is in between",
                "compare the key with the server's owner, then put it into repo.known_hosts_file",
            )
        raise self._denied(
            "its host key is unknown", "put the key into repo.known_hosts_file after checking it"
        )

    def transfer_progress(self, stats: TransferProgress) -> None:
        """Ends a fetch that brings more than is allowed."""
        limit = self._request.received_bytes_max
        if stats.received_bytes > limit:
            raise InvalidInput(
                f"repo {self._address.text}",
                "the fetch was ended",
                f"the remote sent more than {limit} bytes",
                "take large files out of the repo and its history",
            )

    def sideband_progress(self, string: str) -> None:
        """Notes what the remote's hooks print."""
        self._said = (self._said + string)[: 4 * MESSAGE_CHARACTERS_MAX]

    def push_negotiation(self, updates: list[PushUpdate]) -> None:
        """Shows the one update of a push before anything is sent."""
        if self._before_push is not None:
            for update in updates:
                self._before_push(update)

    def push_update_reference(self, refname: str, message: str | None) -> None:
        """Notes the remote's no; libgit2 raises nothing for it."""
        if message is not None:
            self.rejection = message

    def _denied(self, why: str, fix: str) -> Denied:
        return Denied(f"repo {self._address.text}", "the remote is not usable", why, fix)


def read_token(path: str | None) -> str | None:
    """Returns the token in the file as it is now; None without a file.

    Raises:
        InvalidInput: The file cannot be read, is empty, or holds more than one line.
    """
    if path is None:
        return None
    try:
        with Path(path).open(encoding="utf-8") as file:
            token = file.read(TOKEN_CHARACTERS_MAX + 1).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _bad_token(path, type(error).__name__) from error
    if not token or not token.isprintable() or len(token) > TOKEN_CHARACTERS_MAX:
        raise _bad_token(path, "it is empty, longer than 16 KiB, or more than one line")
    return token


def _bad_token(path: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"repo.token_file {path}", "the token cannot be read", why, "put one token into the file"
    )
