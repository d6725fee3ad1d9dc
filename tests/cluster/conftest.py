"""What most tests of this folder begin from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fleet import Fleet, fleet
from tests.controlplane.cluster import ControlPlane
from tests.gitservers.served import Way

GOOD = "1.0.0"


@pytest.fixture
def proven(
    planes: dict[str, ControlPlane], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Fleet]:
    """A fleet on which a first release is proven everywhere; over http, unless a test names the way."""
    with fleet(planes, tmp_path, way=getattr(request, "param", Way.HTTP)) as made:
        made.start_with(GOOD)
        yield made
