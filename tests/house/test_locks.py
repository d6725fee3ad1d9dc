"""The locks hold what pyproject.toml asks for, in versions that it allows and by their hashes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())

LOCKS = ("run", "dev", "pip", "build")

HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def locked(lock: str) -> Iterator[tuple[Requirement, int]]:
    """Yields what a lock names, each with how many hashes it has; a name may come more than once."""
    text = (ROOT / "locks" / f"{lock}.txt").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            named, *_ = line.partition("--hash=")
            yield Requirement(named), len(HASH.findall(line))


def versions(lock: str) -> dict[str, set[str]]:
    """Returns the versions that a lock has of each package."""
    found: dict[str, set[str]] = {}
    for requirement, _ in locked(lock):
        (exact,) = requirement.specifier
        assert exact.operator == "==", requirement
        found.setdefault(canonicalize_name(requirement.name), set()).add(exact.version)
    return found


def group(name: str) -> list[str]:
    """Returns what a dependency group asks for, with the groups that it includes."""
    asked: list[str] = []
    for entry in PROJECT["dependency-groups"][name]:
        asked += [entry] if isinstance(entry, str) else group(entry["include-group"])
    return asked


RUN: list[str] = PROJECT["project"]["dependencies"]

ASKED = {
    "run": RUN,
    "dev": [*RUN, *group("dev")],
    "pip": group("pip"),
    "build": [*PROJECT["build-system"]["requires"], *group("build")],
}
"""What each lock is for."""


@pytest.mark.parametrize(
    ("lock", "asked"), [(lock, asked) for lock in LOCKS for asked in dict.fromkeys(ASKED[lock])]
)
def test_what_is_asked_for_is_locked_in_a_version_that_is_allowed(lock: str, asked: str) -> None:
    requirement = Requirement(asked)
    found = versions(lock).get(canonicalize_name(requirement.name))
    assert found, "run `make lock`"
    for version in found:
        assert requirement.specifier.contains(version), f"{version}: run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_everything_locked_has_hashes(lock: str) -> None:
    names = [requirement.name for requirement, hashes in locked(lock) if not hashes]
    assert not names
    assert len(versions(lock)) >= len({Requirement(asked).name for asked in ASKED[lock]})


def test_the_tests_run_on_what_is_installed() -> None:
    run, dev = versions("run"), versions("dev")
    assert run == {name: dev.get(name) for name in run}


def test_every_group_is_in_a_lock_and_every_lock_is_made() -> None:
    asked = {text for texts in ASKED.values() for text in texts}
    for name in PROJECT["dependency-groups"]:
        assert asked >= set(group(name))
    assert {file.stem for file in (ROOT / "locks").iterdir()} == set(LOCKS)
    made = re.findall(r"-o locks/(\w+)\.txt", (ROOT / "Makefile").read_text())
    assert sorted(made) == sorted(LOCKS)
