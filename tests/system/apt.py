"""Programs that tests need: found, installed by apt where that can be, or named as missing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.lacking import lacks

SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by Debian's packages before they start a service.

Source: Debian policy manual, 9.3.3.1, "Managing the links"; invoke-rc.d(8).
"""

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
        lacks(f"{binary} is missing: install the package {package}")
    return Path(found)


def _install(package: str) -> None:
    """Installs under a lock, since several test processes may ask at once; starts no service."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    locked = Path(tempfile.gettempdir()) / "reconciler-tests-apt.lock"
    with locked.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with no_services():
            _apt_get(package, environment)


def _apt_get(package: str, environment: dict[str, str]) -> None:
    for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
        # What is missing after it is told as that, however it ended.
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                ["apt-get", "-qq", *command],
                env=environment,
                timeout=APT_TIMEOUT_S,
                check=False,
                capture_output=True,
            )


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """Sees to it that what is installed meanwhile starts nothing; a rule that is there already stays."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
