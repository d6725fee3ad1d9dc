"""Where a setting comes from: the file, then the environment, then flags; the later wins, at every place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import click
import pytest
import yaml
from click.testing import CliRunner

from reconciler.cli.opening import settings_from, settings_options
from reconciler.config.reading import PLACES, variable
from reconciler.config.settings import Settings
from tests.house.generated import settings_fields

FIELDS = dict(settings_fields())
URL = "/env"


@click.command()
@settings_options
def look(**flags: Any) -> Settings:
    return settings_from(flags)


FLAGS = {name: param.opts[0] for param in look.params if (name := param.name) in PLACES}


def read(
    folder: Path, file: Mapping[str, Any], variables: Mapping[str, str], *arguments: str
) -> Settings:
    """Returns the settings of a command that is run like this."""
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(dict(file)))
    kept = {name: None for name in os.environ if name.startswith("RECONCILER_")}
    done = CliRunner().invoke(
        look,
        ["--config", str(path), *arguments],
        env={**kept, **variables},
        standalone_mode=False,
        catch_exceptions=False,
    )
    assert isinstance(done.return_value, Settings)
    return done.return_value


def at(settings: Settings, place: str) -> str:
    """Returns a setting as it is written in a file; within a part that is left out there is none."""
    found: Any = settings
    for part in place.split("."):
        found = getattr(found, part) if found is not None else None
    return str(found.value if isinstance(found, Enum) else found)


def candidates(place: str) -> tuple[str, str, str]:
    """Returns a value for each of the three, none of them what the one before says; the file's is no default."""
    kind, default = FIELDS[place].annotation, FIELDS[place].default
    choices = tuple(kind) if isinstance(kind, type) and issubclass(kind, Enum) else get_args(kind)
    if not all(isinstance(choice, str) for choice in choices) or not choices:
        return "of-the-file", "of-the-environment", "of-the-flag"
    first, second, *_ = sorted(map(str, choices), key=lambda choice: choice == default)
    return first, second, first


def nested(place: str, value: str) -> dict[str, Any]:
    """Returns a settings file with one setting, and the least that any needs."""
    tree: dict[str, Any] = {"repo": {"url": URL}}
    *heads, last = place.split(".")
    inner = tree
    for head in heads:
        inner = inner.setdefault(head, {})
    inner[last] = value
    return tree


@pytest.mark.parametrize("flag", PLACES)
def test_the_later_place_wins(flag: str, tmp_path: Path) -> None:
    place = ".".join(PLACES[flag])
    of_file, of_environment, of_flag = candidates(place)
    file, variables = nested(place, of_file), {variable(flag): of_environment}
    assert at(read(tmp_path, file, {}), place) == of_file
    assert at(read(tmp_path, file, variables), place) == of_environment
    least = {} if place == "repo.url" else {"repo": {"url": URL}}
    assert at(read(tmp_path, least, variables), place) == of_environment
    if flag in FLAGS:
        assert at(read(tmp_path, file, variables, FLAGS[flag], of_flag), place) == of_flag
        assert at(read(tmp_path, file, {}, FLAGS[flag], of_flag), place) == of_flag


@pytest.mark.parametrize("flag", PLACES)
def test_what_is_given_at_one_place_leaves_its_neighbours_alone(flag: str, tmp_path: Path) -> None:
    place = ".".join(PLACES[flag])
    _, given, _ = candidates(place)
    was = read(tmp_path, {"repo": {"url": URL}}, {})
    now = read(tmp_path, {"repo": {"url": URL}}, {variable(flag): given})
    others = {other for other in FIELDS if other != place and "<" not in other}
    assert {o: at(now, o) for o in others} == {o: at(was, o) for o in others}


def test_every_flag_of_the_settings_has_its_place() -> None:
    assert {param.name for param in look.params} - {"config"} == set(FLAGS)


def test_the_file_itself_may_be_named_by_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("repo: {url: /of-the-other}")
    done = CliRunner().invoke(look, [], env={"RECONCILER_CONFIG": str(path)}, standalone_mode=False)
    assert done.return_value.repo.url == "/of-the-other"
