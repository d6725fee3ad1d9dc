"""A path of the settings that no call would take is refused with the settings, and not where it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.config.reading import read_settings
from reconciler.errors import InvalidInput
from tests.settings_paths import BAD, PLACES, written


def read(folder: Path, place: tuple[str, ...], value: str) -> Any:
    return read_settings(written(folder, place, value), environment={}, flags={})


@pytest.mark.parametrize("title", BAD)
@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_what_is_no_path_is_refused(tmp_path: Path, place: tuple[str, ...], title: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path, place, BAD[title])
    assert place[-1] in str(caught.value)
    assert "\0" not in str(caught.value)


def test_a_path_of_any_language_is_one(tmp_path: Path) -> None:
    settings = read(tmp_path, ("kubeconfig",), "/srv/größe/設定 1")
    assert settings.kubeconfig == Path("/srv/größe/設定 1")
