"""What tests need of the kernel, and what a container or a user who is not root may not have."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.lacking import lacks
from tests.system.apt import SYSTEM_PATH


def require_containers() -> None:
    """Skips where no container can be made; in CI it fails."""
    programs = ("unshare", "setpriv", "chroot", "mount")
    missing = [name for name in programs if shutil.which(name, path=SYSTEM_PATH) is None]
    if missing:
        lacks(f"{', '.join(missing)} is missing")
    elif os.geteuid() != 0:
        lacks("a container can be made by root alone")
    elif not _unshares("--mount"):
        lacks("the kernel makes no mount namespace")


def require_mounts() -> None:
    """Skips where no file system can be mounted; in CI it fails."""
    if not _unshares("--mount", "mount", "-t", "tmpfs", "none", "/mnt"):
        lacks("only root may mount a disk, to fill it")


def require_network_namespaces() -> None:
    """Skips where a program cannot be kept off the network; in CI it fails."""
    if not (_unshares("--net") or _unshares("--user", "--net")):
        lacks("the kernel makes no network namespace")


def _unshares(*words: str) -> bool:
    found = shutil.which("unshare", path=SYSTEM_PATH)
    options = [word for word in words if word.startswith("--")]
    command = words[len(options) :] or ("true",)
    if found is None:
        return False
    done = subprocess.run([found, *options, "--", *command], capture_output=True, check=False)
    return done.returncode == 0
