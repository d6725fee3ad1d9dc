"""What the tests of this folder share: one install by the scripts of the image."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.install import dockerfile


@dataclass(frozen=True, slots=True)
class Installed:
    """One install.

    Attributes:
        prefix: Takes the place of the image's /opt/reconciler.
        wheel: What was built and installed.
        folder: Holds these, and may hold more; not under /tmp, which is a volume of the image.
    """

    prefix: Path
    wheel: Path
    folder: Path


@pytest.fixture(scope="session")
def installed() -> Iterator[Installed]:
    """The reconciler as the Dockerfile's steps install it into an empty place."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp", prefix="reconciler-install-"))
    try:
        folder.chmod(0o755)
        source, dist, prefix = folder / "src", folder / "dist", folder / "opt"
        dockerfile.build(source, dist, prefix)
        shutil.rmtree(source)
        (wheel,) = dist.glob("*.whl")
        yield Installed(prefix, wheel, folder)
    finally:
        shutil.rmtree(folder)
