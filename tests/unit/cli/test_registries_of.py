"""The registries of the settings: found wanting at the start, and none asked that is not named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.opening import registries_of
from reconciler.config.settings import Settings
from reconciler.errors import InvalidInput
from reconciler.model.answers import NotKnown

EXAMPLE = "registry.example.com"


def settings(**registries: dict[str, Any]) -> Settings:
    return Settings.model_validate({"repo": {"url": "/env"}, "registries": registries})


@pytest.mark.parametrize(
    "repository",
    [
        pytest.param("other.example.com/web", id="another registry"),
        pytest.param(f"{EXAMPLE}:5000/web", id="another port"),
        pytest.param(f"{EXAMPLE}.evil.example/web", id="a longer name"),
        pytest.param("web", id="Docker Hub"),
        pytest.param("..", id="no name at all"),
    ],
)
def test_a_registry_that_is_not_named_is_not_asked(repository: str) -> None:
    registries = registries_of(settings(**{EXAMPLE: {}}))
    for answer in (registries.tags(repository), registries.digest(repository, "1")):
        assert isinstance(answer, NotKnown) and answer.reason in ("Refused", "InvalidInput")
    assert isinstance(registries_of(settings()).tags(f"{EXAMPLE}/web"), NotKnown)


@pytest.mark.parametrize(
    "address", ["https://registry.example.com", "registry.example.com/team", "web", "", "a b", ".."]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        registries_of(settings(**{address: {}}))
    assert raised.value.object == f"registries.{address}" and raised.value.fix


@pytest.mark.parametrize("address", [EXAMPLE, f"{EXAMPLE}:5000", "127.0.0.1.example.com"])
def test_no_other_machine_is_asked_without_tls(address: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        registries_of(settings(**{address: {"plain_http": True}}))
    assert raised.value.object == f"registries.{address}.plain_http"


@pytest.mark.parametrize("address", ["127.0.0.1:5000", "localhost:5000", "localhost"])
def test_this_machine_may_be(address: str) -> None:
    registries_of(settings(**{address: {"plain_http": True}}))


def test_a_file_that_cannot_be_read_is_told_at_the_start(tmp_path: Path) -> None:
    for name in ("config_file", "ca_file"):
        with pytest.raises(InvalidInput) as raised:
            registries_of(settings(**{EXAMPLE: {name: str(tmp_path / "none")}}))
        assert str(tmp_path / "none") in str(raised.value)


def test_docker_hub_is_named_as_people_name_it() -> None:
    registries_of(settings(**{"docker.io": {}}))


def test_a_repository_is_looked_at_as_often_as_its_registry_says() -> None:
    given = settings(**{EXAMPLE: {"poll_s": 7}, "docker.io": {"poll_s": 8}})
    assert given.registry_poll_s(f"{EXAMPLE}/team/web") == 7
    assert given.registry_poll_s("docker.io/library/web") == 8
    assert given.registry_poll_s("other.example.com/web") == 300
