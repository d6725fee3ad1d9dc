"""The oldest Python that is promised is what the code is checked for, and the one of the image is promised."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from tests.install import dockerfile

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROMISED = SpecifierSet(PROJECT["project"]["requires-python"])


def named() -> list[str]:
    """Returns the versions that the classifiers name."""
    classifiers = "\n".join(PROJECT["project"]["classifiers"])
    return re.findall(r"^Programming Language :: Python :: (3\.\d+)$", classifiers, re.MULTILINE)


def test_the_oldest_python_is_the_same_for_all_who_check_for_it() -> None:
    (lowest,) = PROMISED
    assert lowest.operator == ">="
    assert PROJECT["tool"]["mypy"]["python_version"] == lowest.version
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{lowest.version.replace('.', '')}"
    assert named()[0] == lowest.version
    for page in ("README.md", "docs/install.md"):
        assert f"Python {lowest.version}" in (ROOT / page).read_text()


def test_every_python_that_is_named_is_promised_and_the_images_is_named() -> None:
    assert all(PROMISED.contains(version) for version in named())
    images = {
        instruction.text.removeprefix("python:").partition("-")[0]
        for instruction in dockerfile.read()
        if instruction.name == "FROM"
    }
    (image,) = images
    assert image in named()


def test_the_tests_run_on_a_python_that_is_promised() -> None:
    assert PROMISED.contains(".".join(map(str, sys.version_info[:3])))
