"""Programs that tests need: found, installed by apt where that can be, or named as missing."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
APT_TIMEOUT_S = 300
"""A cold package list and a browser's download fit; a mirror that hangs does not."""


def require(package: str, binary: str) -> Path:
    """Returns the path of a program, installing its Debian package when we are root there.

    Args:
        package: The Debian package.
        binary: The program's name.
    """
    found = shutil.which(binary, path=SYSTEM_PATH)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(package)
        found = shutil.which(binary, path=SYSTEM_PATH)
    if found is None:
        missing = f"{binary} is missing: install the package {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return Path(found)


def _install(package: str) -> None:
    """Installs under a lock, since several test processes may ask at once; starts no service."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with (Path(tempfile.gettempdir()) / "reconciler-tests-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(
                ["apt-get", "-qq", *command],
                env=environment,
                timeout=APT_TIMEOUT_S,
                check=False,
                capture_output=True,
            )
