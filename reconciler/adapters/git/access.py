"""How the env repo is reached: the settings of this adapter, and every limit it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BLOB_BYTES_MAX = 2 * 1024 * 1024
"""Ten times the largest manifest seen in the wild (a CRD bundle); more is no configuration."""

RECEIVED_BYTES_MAX = 1024 * 1024 * 1024
"""A GiB of history is decades of pins; more in one fetch is a mistake or an attack."""

MEMORY_BYTES_MAX = 1024 * 1024 * 1024
"""What unpacking may take, so that a small pack that swells kills its own process alone."""

TREE_ENTRIES_MAX = 100_000
"""Files and folders in one listing; trees that name each other swell to any number."""

TREE_DEPTH_MAX = 64
"""Folders inside folders; a filesystem path of 4 KiB holds few more."""

TREE_BYTES_MAX = 16 * 1024 * 1024
"""One folder's own object; TREE_ENTRIES_MAX entries of ordinary names fit."""

COMMIT_BYTES_MAX = 1024 * 1024
"""One commit object; its message is read into every log line that names it."""

LOG_COMMITS_MAX = 10_000
"""Commits looked at for one log of a path, so that an old path does not read all history."""

PATH_BYTES_MAX = 4096
"""Linux's own limit for a path; a longer one could not be written out by a renderer."""

MESSAGE_CHARACTERS_MAX = 500
"""The remote's words in a result; a hook may print a novel."""

PACKS_MAX = 500
"""Each fetch leaves a pack and each lookup walks them all; past this the mirror is cloned anew."""

BRANCH_PREFIX = "reconciler/"
"""Where the daemon's own branches live on the remote."""


@dataclass(frozen=True, slots=True)
class GitAccess:
    """Where the env repo is and with what it is reached; credentials are files, read at every use.

    Attributes:
        url: https, ssh, a scp-like address, an absolute local path, or http to loopback.
        branch: The branch people merge into.
        mirror_dir: The bare mirror; its siblings `<name>.new`, `.lock` and `.home` are ours too.
        token_file: Holds the token for http and https.
        username: Goes with the token, and with the ssh key where the URL names no user.
        ssh_key_file: An unencrypted private key.
        ssh_known_hosts_file: Host keys in OpenSSH's format; without it no ssh host is trusted.
        ca_file: Certificates trusted instead of the system's.
        author_name: Author and committer of our commits.
        author_email: That author's address.
        timeout_s: How long one fetch or push may take in all.
        received_bytes_max: How much one fetch may bring.
        memory_bytes_max: How much memory one exchange may take to unpack it.
    """

    url: str
    branch: str
    mirror_dir: Path
    token_file: Path | None = None
    username: str = "git"
    ssh_key_file: Path | None = None
    ssh_known_hosts_file: Path | None = None
    ca_file: Path | None = None
    author_name: str = "reconciler"
    author_email: str = "reconciler@localhost"
    timeout_s: float = 20.0
    received_bytes_max: int = RECEIVED_BYTES_MAX
    memory_bytes_max: int = MEMORY_BYTES_MAX
