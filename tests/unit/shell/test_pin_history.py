"""Pins as they were: read whole once, and then only what was merged since."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.shell.pin_history import PINS_MAX, RECENT_MAX, PinHistory
from reconciler.shell.runner import VirtualClock
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import env_repo, pin

WEB, DEV = ServiceName("web"), EnvironmentName("dev")
PIN = "environments/dev/web.yaml"


@pytest.fixture
def git() -> MemoryGit:
    made = MemoryGit(VirtualClock())
    made.merge(env_repo())
    return made


def versions(histories: PinHistory, head: CommitId) -> list[str]:
    return [former.pin.version for former in histories.of(head, DEV, WEB)]


def changed(git: MemoryGit, number: int) -> CommitId:
    """Merges one of the things that people merge, a third of it about the pin."""
    cases: tuple[Callable[[], CommitId], ...] = (
        lambda: git.merge({PIN: pin(f"1.0.{number}")}),
        lambda: git.merge({"README.md": str(number)}),
        lambda: git.merge({PIN: "release: ["}),
    )
    return cases[number % len(cases)]()


@pytest.mark.parametrize("at_once", [1, 2, 7, RECENT_MAX + 5])
def test_what_has_grown_is_what_is_read_whole(git: MemoryGit, at_once: int) -> None:
    kept = PinHistory(git, "")
    for number in range(2 * RECENT_MAX):
        head = changed(git, number)
        if number % at_once == 0:
            # What is remembered may reach further back.
            whole = versions(PinHistory(git, ""), head)
            assert versions(kept, head)[: len(whole)] == whole


def test_it_is_newest_first_and_has_an_end(git: MemoryGit) -> None:
    kept = PinHistory(git, "")
    for number in range(PINS_MAX + 10):
        head = git.merge({PIN: pin(f"1.0.{number}")})
        assert versions(kept, head)[0] == f"1.0.{number}"
    assert len(versions(kept, head)) == PINS_MAX


def test_a_branch_that_was_rewritten_is_read_anew(git: MemoryGit) -> None:
    kept = PinHistory(git, "")
    assert versions(kept, git.merge({PIN: pin("1.0.0")})) == ["1.0.0"]
    other = git.merge({PIN: pin("2.0.0")}, orphan=True)
    assert versions(kept, other) == ["2.0.0"]
    assert not kept.is_after(other, other)
