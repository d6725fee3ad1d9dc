"""Which ssh hosts are trusted: one known_hosts file, checked line by line, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import InvalidInput

KNOWN_HOSTS_BYTES_MAX = 1024 * 1024
"""Ten thousand hosts; a Git forge is a handful."""

_SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class HostKeys:
    """The lines of a known_hosts file that name hosts; wildcards match nothing (libssh2)."""

    lines: tuple[str, ...]

    def knows(self, host: str, port: int) -> bool:
        """Tells whether any line names the host, whatever its key."""
        name = host if port == _SSH_PORT else f"[{host}]:{port}"
        return any(_names(line.split()[0], name) for line in self.lines)

    def write_into(self, home: Path) -> None:
        """Puts the lines where libgit2 looks for them, `.ssh/known_hosts` below a home."""
        folder = home / ".ssh"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Replaced in one step: a push may read it while a fetch writes it.
        draft = folder / f"known_hosts.{id(self)}"
        draft.write_text("".join(f"{line}\n" for line in self.lines), encoding="ascii")
        draft.replace(folder / "known_hosts")


def read_host_keys(path: Path | None) -> HostKeys:
    """Reads a known_hosts file in OpenSSH's format; without a file no host is known.

    Raises:
        InvalidInput: It cannot be read, or holds a line that would be obeyed only in part.

    Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
    """
    if path is None:
        return HostKeys(())
    try:
        with path.open("rb") as file:
            content = file.read(KNOWN_HOSTS_BYTES_MAX + 1)
        text = content.decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"repo.known_hosts_file {path}",
            "the host keys cannot be read",
            type(error).__name__,
            "give a file in the format of ssh-keyscan",
        ) from error
    if len(content) > KNOWN_HOSTS_BYTES_MAX:
        raise InvalidInput(str(path), "the host keys are refused", "the file is over 1 MiB")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    return HostKeys(
        tuple(_checked(path, number, line) for number, line in lines if line and line[0] != "#")
    )


def _checked(path: Path, number: int, line: str) -> str:
    fields = line.split()
    if line.startswith("@"):
        raise InvalidInput(
            f"{path}:{number}",
            "this line is refused",
            f"libssh2 does not obey {fields[0][:40]}, so a revoked key would pass",
            "list the host's own key, and leave the marker out",
        )
    try:
        b64decode(fields[2], validate=True)
    except (IndexError, Base64Error):
        raise InvalidInput(
            f"{path}:{number}",
            "this line is no host key",
            "it is not `hosts keytype base64`",
            "take it from ssh-keyscan",
        ) from None
    return " ".join(fields[:3])


def _names(pattern: str, name: str) -> bool:
    if not pattern.startswith("|1|"):
        return name in pattern.split(",")
    try:
        _, _, salt, digest = pattern.split("|")
        made = hmac.new(b64decode(salt), name.encode(), hashlib.sha1).digest()
        return hmac.compare_digest(made, b64decode(digest))
    except (ValueError, Base64Error):
        return False
