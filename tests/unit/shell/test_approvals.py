"""Who pinned a revision and who approved it, as commits of the branch tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.names import CommitId, RevisionId
from reconciler.ports.git import CommitFacts
from reconciler.shell.approvals import Approvals
from reconciler.shell.pin_writers import LOOKED_MAX
from reconciler.shell.runner import VirtualClock
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import pin

ADA, BOB, EVE = (f"{name} <{name}@example.com>" for name in ("ada", "bob", "eve"))
PIN = "environments/dev/web.yaml"
REVISION = RevisionId("sha256:" + "1" * 64)
APPROVED = f"approved: {{revision: '{REVISION}', by: x}}\n"
ASKED, ASKED_NEW = pin("1.0.0"), pin("2.0.0")


def told(*commits: tuple[str, str], git: MemoryGit | None = None) -> tuple[str | None, str | None]:
    """Returns who asked and who approved, after commits of the pin by some people."""
    git = git or MemoryGit(VirtualClock())
    for author, text in commits:
        head = git.merge({PIN: text, "README.md": f"{author}{text}"}, author=author)
    found = Approvals(git, "").of(head, PIN, REVISION)
    assert found.revision == REVISION
    return found.asked_by, found.approved_by


@pytest.mark.parametrize(
    ("commits", "who"),
    [
        pytest.param([(ADA, ASKED), (BOB, ASKED + APPROVED)], (ADA, BOB), id="one after the other"),
        pytest.param([(ADA, ASKED + APPROVED)], (ADA, ADA), id="both in one"),
        pytest.param(
            [(ADA, ASKED), (BOB, ASKED + APPROVED), (EVE, ASKED_NEW + APPROVED)],
            (EVE, BOB),
            id="the release was changed since",
        ),
        pytest.param(
            [(ADA, ASKED), (BOB, ASKED + APPROVED), (EVE, ASKED + "values: {a: 1}\n" + APPROVED)],
            (EVE, BOB),
            id="the values were changed since",
        ),
        pytest.param(
            [
                (ADA, ASKED),
                (BOB, ASKED + APPROVED),
                (EVE, f"# note\n{ASKED}paused: true\n{APPROVED}"),
            ],
            (ADA, BOB),
            id="neither note nor pause is a word on it",
        ),
        pytest.param(
            [(ADA, ASKED), (BOB, ASKED + APPROVED), (EVE, ASKED), (EVE, ASKED + APPROVED)],
            (ADA, EVE),
            id="it was taken back and given by another",
        ),
        pytest.param(
            [(ADA, ASKED), (BOB, "nonsense"), (EVE, ASKED + APPROVED)],
            (EVE, EVE),
            id="who mends a broken pin has changed it",
        ),
    ],
)
def test_it_is_told(commits: list[tuple[str, str]], who: tuple[str, str]) -> None:
    assert told(*commits) == who


def test_whoever_asked_too_long_ago_is_not_known() -> None:
    notes = [(EVE, f"# {number}\n{ASKED}{APPROVED}") for number in range(LOOKED_MAX)]
    assert told((ADA, ASKED), (BOB, ASKED + APPROVED), *notes[1:]) == (None, BOB)
    assert told((ADA, ASKED), (BOB, ASKED + APPROVED), *notes) == (None, None)


def test_what_cannot_be_read_is_not_known() -> None:
    git = MemoryGit(VirtualClock())
    git.unreadable.add(git.merge({PIN: ASKED}, author=ADA))
    assert told((BOB, ASKED + APPROVED), git=git) == (None, None)


class Merged(MemoryGit):
    """A history whose newest commit is a merge of another branch."""

    def log(self, head: CommitId, *, path: str | None, most: int) -> tuple[CommitFacts, ...]:
        found: Any = super().log(head, path=path, most=most)
        if head != self.branches["main"]:
            return tuple(found)
        parents = (*found[0].parents, self.branches["theirs"])
        return (replace(found[0], parents=parents), *found[1:])


def test_who_merges_only_lets_in() -> None:
    git = Merged(VirtualClock())
    git.merge({PIN: ASKED}, author=ADA)
    git.merge({PIN: ASKED + APPROVED}, branch="theirs", author=BOB)
    assert told((ADA, ASKED + APPROVED), git=git) == (ADA, BOB)


GONE = "release: absent\nreason: it is over\n"


def since(git: MemoryGit) -> CommitId | None:
    return Approvals(git, "").of(git.fetch(), PIN, REVISION, absent=True).asked_since


def test_a_word_on_absence_counts_only_from_when_it_was_asked_for_last() -> None:
    git = MemoryGit(VirtualClock())
    git.merge({PIN: GONE}, author=ADA)
    git.merge({PIN: GONE + APPROVED}, author=BOB)
    git.merge({PIN: "# note\n" + GONE + APPROVED}, author=EVE)
    assert since(git) is None
    git.merge({PIN: ASKED + APPROVED}, author=ADA)
    newest = git.merge({PIN: GONE + APPROVED}, author=ADA)
    assert since(git) == newest
    assert Approvals(git, "").of(newest, PIN, REVISION).asked_since is None, "of a release it stays"
    anew = APPROVED.replace("}", f", asked_in: '{newest}'}}")
    git.merge({PIN: GONE + anew}, author=BOB)
    assert since(git) is None
    git = MemoryGit(VirtualClock())
    git.merge({PIN: GONE + APPROVED}, author=ADA)
    assert since(git) is None, "in one commit it is about that; whose word it is says who made it"


def test_a_word_on_absence_that_is_merged_later_is_no_younger_for_it() -> None:
    git = Merged(VirtualClock())
    git.merge({PIN: GONE + APPROVED}, branch="theirs", author=BOB)
    git.merge({PIN: ASKED}, author=ADA)
    newest = git.merge({PIN: GONE}, author=ADA)
    git.merge({PIN: GONE + APPROVED}, author=ADA)
    assert since(git) == newest


def test_what_the_branch_had_before_is_not_merged_again() -> None:
    git = Merged(VirtualClock())
    git.branches["theirs"] = git.merge({PIN: GONE + APPROVED}, author=BOB)
    git.merge({PIN: ASKED}, author=BOB)
    git.merge({PIN: GONE + APPROVED}, author=ADA)
    found = Approvals(git, "").of(git.fetch(), PIN, REVISION, absent=True)
    assert (found.asked_by, found.approved_by) == (ADA, ADA), "a merge in name only"
