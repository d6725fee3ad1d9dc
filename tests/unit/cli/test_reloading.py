"""A settings file that changes while the daemon runs: what is taken over, and what is only told."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.cli import logs
from reconciler.cli.reloading import Reloading
from reconciler.config.settings import RELOADABLE, Settings
from reconciler.errors import InvalidInput
from reconciler.model.fleet import Mode

START: dict[str, Any] = {"repo": {"url": "/env", "poll_s": 15}, "mode": "observe"}


def merged(changes: dict[str, Any]) -> Settings:
    repo = {**START["repo"], **changes.pop("repo", {})}
    return Settings.model_validate({**START, **changes, "repo": repo})


class World:
    """A file that a test writes, and what follows it."""

    def __init__(self) -> None:
        self.now: Settings | InvalidInput = merged({})
        self.reloading = Reloading(merged({}), self._read)

    def _read(self) -> Settings:
        if isinstance(self.now, InvalidInput):
            raise self.now
        return self.now

    def look(self) -> tuple[bool, list[tuple[str, Any]]]:
        """Returns whether anything was taken over, and what was logged."""
        logs.configure("json", "info")
        with capture_logs() as logged:
            taken = self.reloading.look()
        return taken, [(line["event"], line.get("fields")) for line in logged]


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"mode": "enforce"}, "mode", Mode.ENFORCE),
        ({"log_level": "debug"}, "log_level", "debug"),
        ({"fuses": {"service_an_hour": 9}}, "fuses", 9),
        ({"repo": {"poll_s": 1}}, "repo.poll_s", 1.0),
        ({"repo": {"accept_history": "c" * 40}}, "repo.accept_history", "c" * 40),
    ],
)
def test_what_may_be_reloaded_counts_at_once(
    changes: dict[str, Any], field: str, value: object
) -> None:
    world = World()
    world.now = merged(changes)
    assert world.look() == (True, [("settings-reloaded", [field])])
    assert world.reloading.settings == world.now
    found: Any = world.reloading.settings
    for part in field.split("."):
        found = getattr(found, part)
    assert (found.service_an_hour if field == "fuses" else found) == value
    assert world.look() == (False, [])


def test_every_field_that_may_be_reloaded_has_its_case() -> None:
    assert {"mode", "fuses", "log_level", "repo.poll_s", "repo.accept_history"} == RELOADABLE


def test_what_needs_a_restart_is_told_once_and_does_not_count() -> None:
    world = World()
    world.now = merged({"repo": {"url": "/other", "poll_s": 1}, "namespace": "elsewhere"})
    taken, logged = world.look()
    assert taken and ("settings-need-restart", ["repo.url", "namespace"]) in logged
    assert world.reloading.settings.repo.url == "/env"
    assert world.reloading.settings.repo.poll_s == 1
    assert world.look() == (False, [])
    world.now = merged({"repo": {"poll_s": 1}})
    assert world.look() == (False, [])
    world.now = merged({"repo": {"poll_s": 1}, "namespace": "elsewhere"})
    assert world.look() == (False, [("settings-need-restart", ["namespace"])])


def test_a_file_that_cannot_be_read_changes_nothing_and_is_told_once() -> None:
    world = World()
    world.now = InvalidInput("settings.yaml", "cannot read", "not YAML")
    assert world.look() == (False, [("settings-refused", None)])
    assert world.look() == (False, [])
    assert world.reloading.settings == merged({})
    world.now = merged({"mode": "enforce"})
    assert world.look()[0]
