"""Whose word a skip in a pin is: that of who signed the commit that wrote it, or what that merged as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core.identity import absence
from reconciler.errors import InvalidInput
from reconciler.model.env_repo import Pin
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.model.skips import Vouched
from reconciler.ports.git import CommitFacts
from reconciler.schema.services import pin_at
from reconciler.shell.pin_writers import LOOKED_MAX
from reconciler.shell.runner import VirtualClock
from reconciler.shell.skips import NOBODY_MAY, Skips
from tests.fakes.facts import V2, V3
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import ByAuthor, pin

KIM, LEE, EVE = (f"{name} <{name}@example.com>" for name in ("kim", "lee", "eve"))
PRINCIPALS = {KIM: "kim@example.com", LEE: "lee@example.com, lee@home.example.com"}
PIN = "environments/dev/web.yaml"
PLAIN = pin("2.0.0")
SKIP = f"skip: {{gates: [soak], revision: '{V2.id}', reason: it burns, by: x}}\n"


class Merged(MemoryGit):
    """A history whose newest commit is a merge of another branch, where there is one."""

    def log(self, head: CommitId, *, path: str | None, most: int) -> tuple[CommitFacts, ...]:
        found: Any = super().log(head, path=path, most=most)
        if head != self.branches["main"] or "theirs" not in self.branches:
            return tuple(found)
        parents = (*found[0].parents, self.branches["theirs"])
        return (replace(found[0], parents=parents), *found[1:])


def vouched(*commits: tuple[str, str], git: MemoryGit | None = None) -> Vouched | None:
    """Returns whose word the skip is, after commits of the pin by some people."""
    git = git or MemoryGit(VirtualClock())
    for author, text in commits:
        git.merge({PIN: text, "README.md": f"{author}{text}"}, author=author)
    return Skips(git, "", ByAuthor(git, PRINCIPALS)).of(git.fetch(), read(git), V2)


def read(git: MemoryGit) -> Pin:
    found = pin_at(git, git.fetch(), EnvironmentName("dev"), ServiceName("web"), root="")
    assert found is not None
    return found


def signers(*commits: tuple[str, str], git: MemoryGit | None = None) -> tuple[str, ...]:
    found = vouched(*commits, git=git)
    assert found is not None
    assert bool(found.why_nobody) is not bool(found.signers)
    return found.signers


def test_it_is_the_word_of_who_signed_the_commit_that_wrote_it() -> None:
    assert vouched((KIM, PLAIN)) is None
    assert signers((KIM, PLAIN + SKIP)) == ("kim@example.com",)
    assert signers((LEE, PLAIN + SKIP)) == ("lee@example.com", "lee@home.example.com")
    assert signers((KIM, PLAIN), (EVE, PLAIN + SKIP)) == ()
    assert signers((KIM, PLAIN + SKIP), (EVE, f"# note\n{PLAIN}{SKIP}")) == ("kim@example.com",)
    assert signers((EVE, PLAIN + SKIP), (KIM, f"# note\n{PLAIN}{SKIP}")) == (), "she wrote none"
    taken_back = ((KIM, PLAIN + SKIP), (EVE, PLAIN), (EVE, PLAIN + SKIP))
    assert signers(*taken_back) == (), "a word is not given twice"
    wider = SKIP.replace("[soak]", "[soak, freeze]")
    assert signers((KIM, PLAIN + SKIP), (EVE, PLAIN + wider)) == ()


def test_of_a_merge_what_it_merged_as_it_is_counts_as_well() -> None:
    git = Merged(VirtualClock())
    git.merge({PIN: PLAIN}, author=LEE)
    git.merge({PIN: PLAIN + SKIP}, branch="theirs", author=KIM)
    assert signers((EVE, PLAIN + SKIP), git=git) == ("kim@example.com",)
    wider = PLAIN + SKIP.replace("[soak]", "[soak, freeze]")
    assert signers((EVE, wider), git=git) == (), "another one than was merged"
    both = signers((LEE, PLAIN + SKIP), git=git)
    assert both == ("kim@example.com", "lee@example.com", "lee@home.example.com")


def test_nobodys_word_says_why() -> None:
    git = MemoryGit(VirtualClock())
    head = git.merge({PIN: PLAIN + SKIP}, author=EVE)
    unsigned = vouched(git=git)
    assert unsigned is not None
    assert unsigned.why_nobody == f"none of the allowed signers has signed {head}, which wrote it"
    nobody = Skips(git, "", None).of(head, read(git), V2)
    assert nobody is not None and (nobody.signers, nobody.why_nobody) == ((), NOBODY_MAY)
    other = Skips(git, "", ByAuthor(git, PRINCIPALS)).of(head, read(git), V3)
    assert other is not None and other.signers == ()

    class Broken:
        def signer_of(self, commit: CommitId) -> str | None:
            raise InvalidInput("allowed_signers", "the signers cannot be read", "it is gone")

    broken = Skips(git, "", Broken()).of(head, read(git), V2)
    assert broken is not None and "who wrote it cannot be told" in broken.why_nobody
    notes = [(EVE, f"# {number}\n{PLAIN}{SKIP}") for number in range(LOOKED_MAX)]
    old = vouched((KIM, PLAIN + SKIP), *notes)
    assert old is not None and "a commit too old to be looked for" in old.why_nobody


def test_a_skip_of_absence_counts_only_from_when_it_was_asked_for_last() -> None:
    gone, nothing = "release: absent\nreason: it is over\n", absence(CommitId("c" * 40))
    skip = SKIP.replace(V2.id, nothing.id)
    git = MemoryGit(VirtualClock())

    def told() -> Vouched:
        found = Skips(git, "", ByAuthor(git, PRINCIPALS)).of(git.fetch(), read(git), nothing)
        assert found is not None
        return found

    git.merge({PIN: gone + skip}, author=KIM)
    assert told().signers == ("kim@example.com",)
    git.merge({PIN: PLAIN + skip}, author=EVE)
    newest = git.merge({PIN: gone + skip}, author=EVE)
    assert told().signers == ()
    assert told().why_nobody == f"it was written before {newest} asked for absence"
    git.merge({PIN: gone + skip.replace("it burns", "once more")}, author=KIM)
    assert told().signers == ("kim@example.com",)
