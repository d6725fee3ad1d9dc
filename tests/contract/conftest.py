"""Every front of a cluster, in memory, over HTTP and the real control plane; and every way to a Git server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PLANES
from tests.contract.git_ways import ServedWorld, served_world
from tests.contract.kube_fronts import REAL, Front, memory, real
from tests.contract.kube_fronts import http as over_http
from tests.forges.gitea import Gitea, serve_gitea
from tests.gitservers.served import PUSHABLE, Way
from tests.registries.distribution import Distribution, serve_registry


@pytest.fixture(params=["memory", "http", REAL])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    if request.param == "real":
        yield real(request.getfixturevalue(PLANES)["dev-1"], tmp_path)
        return
    with (memory if request.param == "memory" else over_http)(tmp_path) as made:
        yield made


@pytest.fixture
def space(front: Front) -> str:
    """A namespace of the test's own, since a real cluster outlives it."""
    name = f"contract-{uuid.uuid4().hex[:8]}"
    front.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture(params=PUSHABLE)
def pushable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedWorld]:
    """Every way that takes pushes."""
    with served_world(request.param, tmp_path) as world:
        yield world


@pytest.fixture
def http(tmp_path: Path) -> Iterator[ServedWorld]:
    """One way, where the way makes no difference."""
    with served_world(Way.HTTP, tmp_path) as world:
        yield world


@pytest.fixture
def local(tmp_path: Path) -> Iterator[ServedWorld]:
    """A mirror's own troubles need no server."""
    with served_world(Way.LOCAL, tmp_path) as world:
        yield world


@pytest.fixture(scope="session")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gitea]:
    """One server for all of its tests: each has a repository of its own."""
    with serve_gitea(tmp_path_factory.mktemp("gitea")) as server:
        yield server


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    """One registry for all of its tests: each has repositories of its own."""
    with serve_registry(tmp_path_factory.mktemp("registry")) as server:
        yield server
