"""Which entry a retry means, and which pins it takes back: those that the commit of that entry changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.cli.committing import Files
from reconciler.cli.retrying import BACK_MAX, _newest, _pinned_again, _same
from reconciler.errors import InvalidInput
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.names import CommitId
from reconciler.model.release import Part
from reconciler.schema.edit import add_entry
from reconciler.shell.runner import VirtualClock
from tests.fakes.facts import BEFORE, DEV, STAGING, V2, V3, entry, rejection
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import env_repo, pin, pins

PATH = "quarantine/web.yaml"
STAGING_PIN, PROD_PIN = "environments/staging/web.yaml", "environments/prod/web.yaml"
LATER = BEFORE + timedelta(hours=1)


class Repo:
    """A branch on which 2.0.0 was merged, and rejected in staging.

    Args:
        root: The subfolder that is the env repo.
    """

    def __init__(self, root: str = "") -> None:
        self.git = MemoryGit(VirtualClock())
        self.root = root
        self.merge({**env_repo(), **pins("1.0.0")})
        self.asked = self.merge(pins("2.0.0"))

    def merge(self, edits: dict[str, str]) -> CommitId:
        prefix = f"{self.root}/" if self.root else ""
        return self.git.merge({prefix + path: text for path, text in edits.items()})

    def reject(self, back: tuple[str, ...] = (STAGING_PIN, PROD_PIN), **changes: object) -> None:
        """Commits as the daemon does: an entry, and the pins that it takes back."""
        self.entry = replace(entry(rejection(V2, STAGING)), commit=self.asked, **changes)  # type: ignore[arg-type]
        old = self.files().read(PATH)
        text = add_entry(PATH, old, self.entry).decode()
        self.revert = self.merge({PATH: text, **dict.fromkeys(back, pin("1.0.0"))})

    def files(self) -> Files:
        return Files(self.git, self.git.fetch(), self.root)

    def pinned_again(self) -> dict[str, str]:
        """Returns the pins that a retry changes, and with which version."""
        found = _pinned_again(self.files(), PATH, self.entry)
        assert found.trailers["Commit"] == self.revert
        assert found.trailers["To"] == self.entry.revision
        return {path: octets.decode() for path, octets in found.files.items()}


@pytest.mark.parametrize("root", ["", "env"])
def test_the_pins_are_what_they_were_before_the_commit_that_wrote_the_entry(root: str) -> None:
    repo = Repo(root)
    repo.reject()
    repo.merge({"README.md": "somebody's own business"})
    repo.merge({PATH: f"{(repo.files().read(PATH) or b'').decode()}# looked at\n"})
    assert repo.pinned_again() == {STAGING_PIN: pin("2.0.0"), PROD_PIN: pin("2.0.0")}


def test_a_later_entry_of_the_same_file_is_another_commits() -> None:
    repo = Repo()
    repo.reject(rejected_at="2026-01-01T10:00:00Z")
    repo.merge(pins("2.0.0"))
    repo.reject()
    assert set(repo.pinned_again()) == {STAGING_PIN, PROD_PIN}
    first, revert = repo.entry, repo.revert
    repo.reject(back=(), rejected_at="2026-01-01T11:00:00Z")
    repo.entry, repo.revert = first, revert
    assert set(repo.pinned_again()) == {STAGING_PIN, PROD_PIN}


@pytest.mark.parametrize("back", [(), (PROD_PIN,)])
def test_a_pin_that_the_commit_left_alone_is_left_alone_where_it_still_asks_for_it(
    back: tuple[str, ...],
) -> None:
    repo = Repo()
    repo.reject(back=back)
    assert set(repo.pinned_again()) == set(back)
    repo.merge({STAGING_PIN: pin("2.0.1")})
    with pytest.raises(InvalidInput, match=r"something else than 2\.0\.0"):
        repo.pinned_again()
    # No pin can choose what it is rendered by.
    repo.entry = replace(repo.entry, part=Part.RENDERER)
    assert set(repo.pinned_again()) == set(back)


def test_a_pin_that_is_gone_or_was_changed_since_is_not_made_anew() -> None:
    repo = Repo()
    repo.reject()
    repo.merge({PROD_PIN: pin("0.9.0")})
    assert set(repo.pinned_again()) == {STAGING_PIN}
    repo.git.merge({STAGING_PIN: None})
    with pytest.raises(InvalidInput, match="there is no such pin any more"):
        repo.pinned_again()


def test_an_entry_from_long_ago_is_lifted_by_hand() -> None:
    repo = Repo()
    repo.reject()
    for number in range(BACK_MAX):
        repo.merge({PATH: f"{(repo.files().read(PATH) or b'').decode()}# {number}\n"})
    with pytest.raises(InvalidInput, match=f"none of the last {BACK_MAX} of the file"):
        repo.pinned_again()


def entries() -> tuple[QuarantineEntry, ...]:
    older, in_dev = entry(rejection(V2, STAGING)), entry(rejection(V3, DEV))
    newer = entry(rejection(V3, STAGING, rejected_at=LATER))
    return newer, older, in_dev


def test_the_newest_of_the_environment_is_meant_and_all_that_hold_the_same_there() -> None:
    newer, older, in_dev = entries()
    assert _newest(PATH, (newer, older, in_dev), "staging") is newer
    assert _newest(PATH, (older, newer, in_dev), "dev") is in_dev
    renamed = replace(older, revision=V3.id)
    assert _same((newer, older, in_dev), newer, "staging") == {V3.id}
    assert _same((newer, older, renamed), older, "staging") == {V2.id, V3.id}
    assert _same((older,), older, "dev") == frozenset()
    for where, why in [("prod", "was rejected in staging"), ("mars", "rejected in mars")]:
        with pytest.raises(InvalidInput, match=why):
            _newest(PATH, (newer, older), where)
