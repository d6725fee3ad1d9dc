"""A client that follows its files, whenever they are written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from kubernetes.client import ApiClient

from reconciler.adapters.kube.following import Followed, Made
from reconciler.errors import InvalidInput


class Files:
    """Files that somebody writes just after they were read.

    Attributes:
        read: What was read each time; the first file says which others there are.
        after_read: Is done once, after the next time they are read.
    """

    def __init__(self, folder: Path) -> None:
        self.first, self.second = folder / "first", folder / "second"
        self.read: list[str] = []
        self.after_read: Callable[[], object] = lambda: None

    def make(self) -> Made:
        text = self.first.read_text()
        if text == "bad":
            raise InvalidInput("first", "it cannot be read", "it is bad")
        files = (self.first, self.second) if "second" in text else (self.first,)
        self.read.append(" ".join(file.read_text() for file in files))
        after, self.after_read = self.after_read, lambda: None
        after()
        return Made(ApiClient(), files)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    found = Files(tmp_path)
    found.first.write_text("one")
    found.second.write_text("a")
    return found


def test_what_is_written_as_it_is_read_at_the_start_is_read(files: Files) -> None:
    files.after_read = lambda: files.first.write_text("another")
    followed = Followed(files.make, name="dev-1")
    followed()
    assert files.read[-1] == "another"


def test_what_is_written_as_a_change_is_read_is_read_the_next_time(files: Files) -> None:
    followed = Followed(files.make, name="dev-1")
    files.first.write_text("changed")
    files.after_read = lambda: files.first.write_text("changed again")
    followed()
    followed()
    assert files.read[-1] == "changed again"


def test_what_a_change_names_is_read_again_when_it_is_written_just_then(files: Files) -> None:
    followed = Followed(files.make, name="dev-1")
    files.first.write_text("with second")
    files.after_read = lambda: files.second.write_text("b")
    followed()
    followed()
    assert files.read[-1] == "with second b"


def test_a_file_that_comes_to_be_named_is_followed_from_then_on(files: Files) -> None:
    followed = Followed(files.make, name="dev-1")
    files.first.write_text("with second")
    followed()
    files.second.write_text("bb")
    followed()
    assert files.read[-1] == "with second bb"


def test_files_are_read_once_while_nothing_changes(files: Files) -> None:
    for file in (files.first, files.second):
        os.utime(file, (1, 1))
    files.first.write_text("with second")
    os.utime(files.first, (2, 2))
    followed = Followed(files.make, name="dev-1")
    client = followed()
    assert followed() is client and len(files.read) == 1


def test_a_change_that_cannot_be_used_is_looked_at_once(files: Files) -> None:
    followed = Followed(files.make, name="dev-1")
    client = followed()
    files.first.write_text("bad")
    assert followed() is client and followed() is client
    files.first.write_text("good again")
    assert followed() is not client
