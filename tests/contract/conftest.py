"""Every front of a cluster: in memory, over HTTP, and the real control plane."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PLANES
from tests.contract.kube_fronts import Front, http, memory, real


@pytest.fixture(
    params=[
        "memory",
        "http",
        pytest.param("real", marks=[pytest.mark.cluster, pytest.mark.xdist_group("cluster")]),
    ]
)
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    if request.param == "real":
        yield real(request.getfixturevalue(PLANES)["dev-1"], tmp_path)
        return
    with (memory if request.param == "memory" else http)(tmp_path) as made:
        yield made


@pytest.fixture
def space(front: Front) -> str:
    """A namespace of the test's own, since a real cluster outlives it."""
    name = f"contract-{uuid.uuid4().hex[:8]}"
    front.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
