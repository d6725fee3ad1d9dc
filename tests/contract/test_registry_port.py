"""What every registry does, the fake and a real one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.adapters.registry.client import OciRegistry, RegistryAccess
from reconciler.model.answers import NotKnown
from reconciler.model.registry import TagDigest, Tags
from reconciler.ports.registry import Registry
from tests.fakes.memory_registry import MemoryRegistry
from tests.registries.distribution import DOCKER, DOCKER_LIST, Distribution


@dataclass(frozen=True, slots=True)
class RegistryWorld:
    """A repository that nobody has pushed to yet, and the port.

    Attributes:
        push: Pushes an image, made another by its text, under tags; returns its digest.
        delete: Deletes an image.
    """

    repository: str
    registry: Registry
    push: Callable[[list[str], str], str]
    delete: Callable[[str], None]


REAL = pytest.param("real", marks=pytest.mark.xdist_group("registry"))


@pytest.fixture(params=["memory", REAL])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RegistryWorld]:
    path = f"team/web-{uuid.uuid4().hex[:8]}"
    if request.param == "memory":
        fake, name = MemoryRegistry(), f"registry.example.com/{path}"
        yield RegistryWorld(
            name,
            fake,
            lambda tags, of: fake.push(name, tags, of),
            lambda digest: fake.delete(name, digest),
        )
        return
    server: Distribution = request.getfixturevalue("distribution")
    yield RegistryWorld(
        f"{server.host}/{path}",
        opened(server, tmp_path),
        lambda tags, of: server.push_image(path, tags, of=of),
        lambda digest: server.delete(path, digest),
    )


def opened(server: Distribution, folder: Path) -> OciRegistry:
    """Opens the adapter, which knows the registry's user."""
    config_file = server.config_file(folder)
    plain = frozenset({server.host})
    return OciRegistry(RegistryAccess(config_file, plain_http=plain, timeout_s=20.0))


def test_every_tag_is_listed_over_all_pages(world: RegistryWorld) -> None:
    tags = [f"1.{i}.0" for i in range(250)]
    world.push(tags, "one")
    assert world.registry.tags(world.repository) == Tags(world.repository, tuple(sorted(tags)))


def test_a_repository_that_is_not_there_has_no_list_of_tags(world: RegistryWorld) -> None:
    assert isinstance(world.registry.tags(world.repository), NotKnown)
    found = world.registry.digest(world.repository, "1.0.0")
    assert found == TagDigest(world.repository, "1.0.0", None)


def test_a_repository_whose_last_tag_is_gone_has_none(world: RegistryWorld) -> None:
    digest = world.push(["1.0.0"], "one")
    world.delete(digest)
    assert world.registry.tags(world.repository) == Tags(world.repository, ())


def test_a_tag_names_a_digest_until_it_is_moved(world: RegistryWorld) -> None:
    first = world.push(["1.0.0", "latest"], "one")
    second = world.push(["latest"], "two")
    assert first != second
    found = [world.registry.digest(world.repository, tag) for tag in ("1.0.0", "latest")]
    assert found == [
        TagDigest(world.repository, "1.0.0", first),
        TagDigest(world.repository, "latest", second),
    ]


def test_a_tag_that_is_not_there_names_nothing(world: RegistryWorld) -> None:
    world.push(["1.0.0"], "one")
    found = world.registry.digest(world.repository, "2.0.0")
    assert found == TagDigest(world.repository, "2.0.0", None)


@pytest.mark.xdist_group("registry")
def test_an_index_is_named_by_its_own_digest_and_not_by_an_image_of_it(
    distribution: Distribution, tmp_path: Path
) -> None:
    registry, name = opened(distribution, tmp_path), f"{distribution.host}/team/many"
    image = distribution.push_image("team/many", ["single"])
    index = distribution.push_index("team/many", "many", image)
    docker = distribution.push_image("team/many", ["docker"], kind=DOCKER)
    docker_list = distribution.push_index("team/many", "docker-list", docker, kind=DOCKER_LIST)
    expected = {"single": image, "many": index, "docker": docker, "docker-list": docker_list}
    assert len(set(expected.values())) == 4
    found = {tag: registry.digest(name, tag) for tag in expected}
    assert found == {tag: TagDigest(name, tag, digest) for tag, digest in expected.items()}


@pytest.mark.xdist_group("registry")
def test_who_is_not_known_gets_no_answer(distribution: Distribution, tmp_path: Path) -> None:
    distribution.push_image("team/web", ["1.0.0"])
    name, plain = f"{distribution.host}/team/web", frozenset({distribution.host})
    wrong = distribution.config_file(tmp_path, password="canary-wrong")
    for access in (RegistryAccess(None, plain_http=plain), RegistryAccess(wrong, plain_http=plain)):
        registry = OciRegistry(access)
        for found in (registry.tags(name), registry.digest(name, "1.0.0")):
            assert isinstance(found, NotKnown) and found.reason == "Denied", found
            assert "canary" not in repr(found)


@pytest.mark.xdist_group("registry")
def test_pages_of_a_registry_that_gives_fewer_are_all_read(
    distribution: Distribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.adapters.registry.client.PAGE_TAGS", 7)
    tags = [f"v{i}" for i in range(30)]
    distribution.push_image("team/paged", tags)
    name = f"{distribution.host}/team/paged"
    assert opened(distribution, tmp_path).tags(name) == Tags(name, tuple(sorted(tags)))


@pytest.mark.xdist_group("registry")
def test_a_registry_without_tls_is_asked_only_where_the_operator_says_so(
    distribution: Distribution, tmp_path: Path
) -> None:
    distribution.push_image("team/web", ["1.0.0"])
    config_file = distribution.config_file(tmp_path)
    registry = OciRegistry(RegistryAccess(config_file))
    found = registry.tags(f"{distribution.host}/team/web")
    assert isinstance(found, NotKnown) and found.reason == "Unreachable"
