"""Pins as they were: read once for all of them, and then only what was merged since."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from reconciler.errors import Unreachable
from reconciler.model.names import BlobId, CommitId, EnvironmentName, ServiceName
from reconciler.ports.git import CommitFacts
from reconciler.shell.branch_walk import CHANGES_MAX, Allowance, Branch, Walk
from reconciler.shell.pin_history import IN_TURN_MAX, PINS_MAX, NotReadYet, PinHistory
from reconciler.shell.runner import SeededRunner, VirtualClock
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import env_repo, pin, pins

WEB, DEV = ServiceName("web"), EnvironmentName("dev")
PIN = "environments/dev/web.yaml"
MANY = 40
ENOUGH = 10_000


class CountingGit(MemoryGit):
    """Counts what is read of it.

    Attributes:
        reads: Commits, folders and files.
        fails: Whether nothing can be read.
    """

    reads = 0
    fails = False

    def folder(self, commit: CommitId, path: str) -> Mapping[str, str]:
        self._count()
        return super().folder(commit, path)

    def commit_facts(self, commit: CommitId) -> CommitFacts:
        self._count()
        return super().commit_facts(commit)

    def blob(self, blob: BlobId) -> bytes:
        self._count()
        return super().blob(blob)

    def _count(self) -> None:
        self.reads += 1
        if self.fails:
            raise Unreachable("git", "it cannot be read", "the disk is slow")


@pytest.fixture
def git() -> CountingGit:
    made = CountingGit(VirtualClock())
    made.merge(env_repo())
    return made


def versions(histories: PinHistory, head: CommitId) -> list[str]:
    return [former.pin.version for former in histories.of(head, DEV, WEB).pins]


def changed(git: MemoryGit, number: int) -> CommitId:
    """Merges one of the things that people merge, a third of it about the pin."""
    cases: tuple[Callable[[], CommitId], ...] = (
        lambda: git.merge({PIN: pin(f"1.0.{number}")}),
        lambda: git.merge({"README.md": str(number)}),
        lambda: git.merge({PIN: "release: ["}),
    )
    return cases[number % len(cases)]()


def many(git: MemoryGit, version: str) -> CommitId:
    """Pins as many services in each of three environments."""
    names = [f"environments/{e}/s{n}.yaml" for e in ("dev", "staging", "prod") for n in range(MANY)]
    return git.merge(dict.fromkeys(names, pin(version)))


def look_at_all(histories: PinHistory, head: CommitId) -> None:
    for environment in ("dev", "staging", "prod"):
        for number in range(MANY):
            histories.of(head, EnvironmentName(environment), ServiceName(f"s{number}"))


def walked(git: MemoryGit, known: Branch | None = None, most: int = ENOUGH) -> Branch:
    head = git.branches["main"]
    branch = Walk(git, "environments", head, known, most).go(Allowance(ENOUGH))
    assert branch is not None
    return branch


@pytest.mark.parametrize("at_once", [1, 2, 7, 70])
def test_what_has_grown_is_what_is_read_whole(git: MemoryGit, at_once: int) -> None:
    kept = PinHistory(git, "")
    for number in range(130):
        head = changed(git, number)
        if number % at_once == 0:
            whole = PinHistory(git, "").of(head, DEV, WEB)
            grown = kept.of(head, DEV, WEB)
            assert grown.pins == whole.pins and grown.cut == whole.cut


def test_it_is_newest_first_and_has_an_end(git: MemoryGit) -> None:
    kept = PinHistory(git, "")
    assert kept.of(git.branches["main"], DEV, WEB).cut is None
    for number in range(PINS_MAX + 10):
        head = git.merge({PIN: pin(f"1.0.{number}")})
        assert versions(kept, head)[0] == f"1.0.{number}"
    story = kept.of(head, DEV, WEB)
    assert len(story.pins) == PINS_MAX and story.cut == story.pins[-1].commit


def test_edits_of_values_do_not_use_it_up(git: MemoryGit) -> None:
    kept = PinHistory(git, "")
    first = git.merge({PIN: pin("1.1.0")})
    back = git.merge({PIN: pin("1.0.0")})
    for number in range(2 * PINS_MAX):
        head = git.merge({PIN: pin("1.0.0") + f"values: {{replicas: {2 + number % 3}}}\n"})
        kept.of(head, DEV, WEB)
    for histories in (kept, PinHistory(git, "")):
        story = histories.of(head, DEV, WEB)
        assert [one.commit for one in story.pins][:2] == [back, first] and story.cut is None


def test_what_is_kept_of_one_pin_has_an_end_and_says_so(git: MemoryGit) -> None:
    made = [git.merge({PIN: pin("1.0.0") + f"# {number}\n"}) for number in range(CHANGES_MAX + 5)]
    story = PinHistory(git, "").of(made[-1], DEV, WEB)
    assert story.cut == made[5] and [one.commit for one in story.pins] == [made[5]]


def test_a_branch_that_was_rewritten_is_read_anew(git: MemoryGit) -> None:
    kept = PinHistory(git, "")
    assert versions(kept, git.merge({PIN: pin("1.0.0")}))[0] == "1.0.0"
    other = git.merge({PIN: pin("2.0.0")}, orphan=True)
    assert versions(kept, other) == ["2.0.0"]
    assert not kept.is_after(other, other)


def test_the_first_look_reads_each_commit_once_for_all_pins(git: CountingGit) -> None:
    many(git, "1.0.0")
    commits = 100
    for number in range(commits):
        head = git.merge({f"environments/dev/s{number % MANY}.yaml": pin(f"1.0.{number}")})
    git.reads = 0
    look_at_all(PinHistory(git, ""), head)
    # A commit, the list of environments and one of these for each commit; a file for each pin it has changed.
    assert git.reads <= 4 * (commits + 5) + 3 * MANY


def test_a_commit_costs_what_it_changes(git: CountingGit) -> None:
    kept = PinHistory(git, "")
    look_at_all(kept, many(git, "1.0.0"))
    for edits, most in (({"README.md": "new"}, 3), ({"environments/dev/s1.yaml": pin("2.0.0")}, 6)):
        head = git.merge(edits)
        git.reads = 0
        look_at_all(kept, head)
        assert git.reads <= most


def test_what_takes_long_is_read_behind_the_scenes_and_whoever_asked_is_woken(
    git: CountingGit,
) -> None:
    clock = VirtualClock()
    runner = SeededRunner(clock, 1)
    kept, woken = PinHistory(git, ""), list[str]()
    kept.start(runner, woken.append)
    for number in range(3 * IN_TURN_MAX):
        head = git.merge({PIN: pin(f"1.0.{number}")})
    git.reads = 0
    for _ in range(5):
        with pytest.raises(NotReadYet):
            kept.of(head, DEV, WEB, waits=False)
    # However often it is asked for within one HEAD.
    assert git.reads <= IN_TURN_MAX + 5
    assert runner.run_until(lambda: woken == [WEB], limit_s=5)
    assert kept.of(head, DEV, WEB, waits=False) == PinHistory(git, "").of(head, DEV, WEB)
    # What is merged next is little, and known in the same turn.
    head = git.merge({PIN: pin("2.0.0")})
    assert kept.of(head, DEV, WEB, waits=False).pins[0].commit == head


def test_a_walk_is_ended_though_head_moves_on(git: CountingGit) -> None:
    kept = PinHistory(git, "")
    for number in range(20 * IN_TURN_MAX):
        head = git.merge({PIN: pin(f"1.0.{number}")})
    for number in range(100):
        try:
            kept.of(head, DEV, WEB, waits=False)
        except NotReadYet:
            head = git.merge({PIN: pin(f"2.0.{number}")})
            kept.step()
        else:
            break
    assert number < 90


def test_it_goes_on_where_a_read_has_failed(git: CountingGit) -> None:
    kept = PinHistory(git, "")
    many(git, "1.0.0")
    head = git.merge({PIN: pin("1.1.0")})
    git.fails = True
    with pytest.raises(Unreachable):
        kept.of(head, DEV, WEB)
    git.fails = False
    assert kept.of(head, DEV, WEB) == PinHistory(git, "").of(head, DEV, WEB)


def test_a_walk_ends_at_its_limit_with_every_pin_as_it_stands_there(git: MemoryGit) -> None:
    git.merge(pins("1.0.0"))
    made = [git.merge({PIN: pin(f"1.0.{number}")}) for number in range(9)]
    branch = walked(git, most=3)
    assert branch.cut == made[-3]
    assert [commit for commit, _ in branch.changes[DEV, WEB]] == made[-1:-4:-1]
    # One that nothing has changed since is there, too.
    assert [c for c, _ in branch.changes[EnvironmentName("prod"), WEB]] == [made[-3]]


def test_what_can_never_be_read_ends_it_like_the_limit(git: MemoryGit) -> None:
    made = [git.merge({PIN: pin(f"1.0.{number}")}) for number in range(5)]
    git.unreadable.add(made[1])
    assert walked(git).cut == made[2]


def test_what_has_not_changed_is_kept_as_it_is(git: MemoryGit) -> None:
    prod = EnvironmentName("prod")
    git.merge(pins("1.0.0"))
    known = walked(git)
    git.merge({PIN: pin("1.1.0")})
    grown = walked(git, known)
    assert grown.changes[prod, WEB] is known.changes[prod, WEB]
    assert len(grown.changes[DEV, WEB]) == len(known.changes[DEV, WEB]) + 1
