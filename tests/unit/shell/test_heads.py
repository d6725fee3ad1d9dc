"""HEAD is followed only forward, and what was accepted outlives the process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.errors import Conflict, InvalidInput, ReconcilerError, Unreachable
from reconciler.model.env_repo import Snapshot
from reconciler.model.events import Event, EventKind
from reconciler.model.names import CommitId
from reconciler.model.reasons import Reason
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.accepted import AcceptedHead
from reconciler.shell.heads import Heads, LastAccepted
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.cluster import SimulatedCluster
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import env_repo, pins

NAMESPACE = "reconciler-system"
BROKEN = {"fleet.yaml": "environments: ["}


class Home:
    """A branch, a home cluster, and the daemons that follow the one and remember in the other."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.git = MemoryGit(self.clock)
        self.first = self.git.merge(env_repo(), "the env repo")
        self.cluster = SimulatedCluster("home", clock=self.clock)
        self.cluster.client().create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        self.events: list[Event] = []
        self.word: str | None = None
        self.may_write = True
        self.vouch: Callable[[CommitId | None, Snapshot], None] = lambda accepted, now: None
        self.changes = 0

    def daemon(self) -> Heads:
        """Starts a daemon's Heads; it knows nothing yet."""
        return Heads(
            self.git,
            self.git,
            read=lambda commit: read_snapshot(self.git, commit),
            vouch=self._vouch,
            accepted=self.accepted(),
            accept_history=lambda: self.word,
            poll_s=lambda: 15.0,
            clock=self.clock,
            on_change=self._changed,
            on_event=self.events.append,
        )

    def accepted(self) -> AcceptedHead:
        return AcceptedHead(self.cluster.client(), NAMESPACE, may_write=lambda: self.may_write)

    def remembered(self) -> CommitId | None:
        last = self.accepted().load()
        return last.commit if last else None

    def rewrite(self) -> CommitId:
        """Force-pushes a branch with the same files and no history."""
        commit = self.git.orphan()
        self.git.branches["main"] = commit
        return commit

    def told(self) -> list[EventKind]:
        return [event.kind for event in self.events]

    def _vouch(self, accepted: CommitId | None, now: Snapshot) -> None:
        self.vouch(accepted, now)

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
def home() -> Home:
    return Home()


def followed(heads: Heads) -> CommitId | None:
    heads.step()
    snapshot = heads.head.snapshot
    return snapshot.commit if snapshot else None


def test_a_new_head_is_remembered_before_it_is_followed(home: Home) -> None:
    heads = home.daemon()
    assert followed(heads) == home.first == home.remembered()
    second = home.git.merge({"README.md": "hello"})

    def down(verb: str, kind: str) -> None:
        raise Unreachable(kind, f"cannot {verb}", "the home is down")

    home.cluster.faults.before = down
    assert followed(heads) == home.first
    assert "the home is down" in heads.head.error
    home.cluster.faults.before = lambda verb, kind: None
    assert followed(heads) == second == home.remembered()


def test_the_same_head_costs_nothing_but_the_fetch(home: Home) -> None:
    heads = home.daemon()
    heads.step()
    changes = home.changes

    def nothing(verb: str, kind: str) -> None:
        raise AssertionError(f"{verb} {kind}")

    home.cluster.faults.before = nothing
    heads.step()
    assert home.changes == changes
    assert home.told() == [EventKind.FETCHED]


def test_a_rewritten_branch_is_refused_and_told_once(home: Home) -> None:
    heads = home.daemon()
    heads.step()
    rewritten = home.rewrite()
    assert followed(heads) == home.first
    assert followed(heads) == home.first
    assert heads.head.halted is Reason.HISTORY_REWRITTEN
    assert f"repo.accept_history: {rewritten}" in heads.head.error
    assert home.told() == [EventKind.FETCHED, EventKind.HEAD_REFUSED]
    assert home.remembered() == home.first


def test_a_rewritten_branch_is_refused_by_a_new_process_too(home: Home) -> None:
    home.daemon().step()
    home.rewrite()
    heads = home.daemon()
    assert followed(heads) == home.first  # What is asked for stays known where the mirror has it.
    assert heads.head.halted is Reason.HISTORY_REWRITTEN


def test_a_branch_set_back_to_an_older_commit_is_refused(home: Home) -> None:
    heads = home.daemon()
    heads.step()
    second = home.git.merge({"README.md": "hello"})
    heads.step()
    home.git.branches["main"] = home.first
    assert followed(heads) == second
    assert heads.head.halted is Reason.HISTORY_REWRITTEN


def test_a_branch_that_is_put_back_is_followed_again(home: Home) -> None:
    heads = home.daemon()
    heads.step()
    home.rewrite()
    heads.step()
    home.git.branches["main"] = home.first
    later = home.git.merge({"README.md": "hello"})
    assert followed(heads) == later
    assert heads.head.halted is None
    assert heads.head.error == ""


def test_the_operators_word_accepts_the_commit_it_names_and_what_came_after(home: Home) -> None:
    heads = home.daemon()
    heads.step()
    home.word = home.rewrite()
    later = home.git.merge({"README.md": "merged before the daemon saw the word"})
    assert followed(heads) == later == home.remembered()
    assert heads.head.halted is None


@pytest.mark.parametrize("word", ["0" * 40, "main", "", "abcdef1"])
def test_another_word_accepts_nothing(word: str, home: Home) -> None:
    heads = home.daemon()
    heads.step()
    home.rewrite()
    home.word = word
    assert followed(heads) == home.first
    assert heads.head.halted is Reason.HISTORY_REWRITTEN


@pytest.mark.parametrize("is_new_process", [False, True], ids=["same process", "new process"])
def test_a_word_that_was_used_does_not_accept_the_next_rewrite(
    is_new_process: bool, home: Home
) -> None:
    heads = home.daemon()
    heads.step()
    home.word = home.rewrite()
    later = home.git.merge({"README.md": "hello"})
    assert followed(heads) == later
    # Somebody throws the later commit away; the word is still in the operator's file.
    home.git.branches["main"] = CommitId(home.word)
    heads = home.daemon() if is_new_process else heads
    assert followed(heads) == later
    assert heads.head.halted is Reason.HISTORY_REWRITTEN


def test_a_word_that_another_daemon_used_lets_us_follow_the_same_rewrite(home: Home) -> None:
    one, two = home.daemon(), home.daemon()
    one.step()
    two.step()
    home.word = home.rewrite()
    assert followed(two) == home.word
    later = home.git.merge({"README.md": "hello"})
    assert followed(one) == later == home.remembered()
    # The word is used up for both.
    home.rewrite()
    assert followed(one) == later
    assert one.head.halted is Reason.HISTORY_REWRITTEN


def test_a_broken_fleet_keeps_the_last_accepted_commit(home: Home) -> None:
    heads = home.daemon()
    heads.step()
    home.git.merge(BROKEN)
    assert followed(heads) == home.first
    assert "fleet.yaml" in heads.head.error
    assert heads.head.halted is None
    assert home.remembered() == home.first


def test_a_broken_fleet_keeps_the_last_accepted_commit_over_a_restart(home: Home) -> None:
    home.daemon().step()
    home.git.merge(BROKEN)
    heads = home.daemon()
    assert followed(heads) == home.first
    assert "fleet.yaml" in heads.head.error
    mended = home.git.merge(env_repo())
    assert followed(heads) == mended == home.remembered()


def test_with_nothing_accepted_before_a_broken_fleet_asks_for_nothing(home: Home) -> None:
    home.git.merge(BROKEN)
    heads = home.daemon()
    assert followed(heads) is None
    assert "fleet.yaml" in heads.head.error


def test_a_failed_fetch_keeps_what_was_and_is_tried_again_soon(home: Home) -> None:
    heads = home.daemon()
    assert heads.step() == 15.0
    home.git.is_down = True
    waits = [heads.step() for _ in range(6)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    assert heads.head.snapshot is not None and "connection refused" in heads.head.error
    assert home.told() == [EventKind.FETCHED, EventKind.FETCH_FAILED]
    home.git.is_down = False
    assert heads.step() == 15.0
    assert heads.head.error == ""


def test_whoever_asks_for_a_fetch_is_told_that_it_failed(home: Home) -> None:
    heads = home.daemon()
    home.git.is_down = True
    with pytest.raises(ReconcilerError):
        heads.refresh()


@pytest.mark.parametrize(
    ("case", "break_"),
    [
        ("an empty repo", lambda git: git.branches.clear()),
        ("a branch that is gone", lambda git: git.branches.update(old=git.branches.pop("main"))),
    ],
)
def test_it_is_no_reason_to_forget_what_was_asked_for(
    case: str, break_: Callable[[MemoryGit], object], home: Home
) -> None:
    del case
    heads = home.daemon()
    heads.step()
    break_(home.git)
    assert followed(heads) == home.first
    assert heads.head.error


def test_a_head_that_cannot_be_read_is_told_as_that_and_not_as_a_rewritten_branch(
    home: Home,
) -> None:
    heads = home.daemon()
    heads.step()
    home.git.unreadable.add(home.git.merge({"README.md": "hello"}))
    assert followed(heads) == home.first
    assert heads.head.halted is None and "it is over the limit" in heads.head.error
    later = home.git.merge({"README.md": "again"})
    assert followed(heads) == later, "what is merged on top of it is followed as ever"


def test_in_observe_mode_nothing_is_remembered_and_a_rewrite_is_seen_all_the_same(
    home: Home,
) -> None:
    home.may_write = False
    heads = home.daemon()
    heads.step()
    assert home.remembered() is None
    home.rewrite()
    assert followed(heads) == home.first
    assert heads.head.halted is Reason.HISTORY_REWRITTEN


def test_two_daemons_that_accept_at_once_both_follow(home: Home) -> None:
    one, two = home.daemon(), home.daemon()
    one.step()
    two.step()
    second = home.git.merge({"README.md": "hello"})
    raced: list[str] = []

    def race(verb: str, kind: str) -> None:
        if verb == "update" and kind == "ConfigMap" and not raced:
            raced.append(verb)
            two.step()

    home.cluster.faults.before = race
    assert followed(one) == second
    assert raced and home.remembered() == second


def test_what_another_daemon_accepted_meanwhile_is_not_written_over(home: Home) -> None:
    one, two = home.daemon(), home.daemon()
    one.step()
    two.step()
    second = home.git.merge({"README.md": "hello"})
    third: list[CommitId] = []

    def race(verb: str, kind: str) -> None:
        if verb == "update" and kind == "ConfigMap" and not third:
            third.append(home.git.merge({"README.md": "again"}))
            two.step()

    home.cluster.faults.before = race
    assert followed(one) == third[0] == home.remembered(), f"{second} is behind by now"
    assert EventKind.HEAD_REFUSED not in home.told()


def test_what_another_daemon_accepted_after_our_fetch_is_no_rewritten_history(home: Home) -> None:
    one, two = home.daemon(), home.daemon()
    one.step()
    two.step()
    home.git.merge({"README.md": "hello"})
    third: list[CommitId] = []

    def race(verb: str, kind: str) -> None:
        if verb == "get" and kind == "ConfigMap" and not third:
            third.append(home.git.merge({"README.md": "again"}))
            two.step()

    home.cluster.faults.before = race
    assert followed(one) == third[0] == home.remembered()
    assert EventKind.HEAD_REFUSED not in home.told()


def test_a_daemon_that_lags_does_not_set_the_memory_back(home: Home) -> None:
    """A mirror behind a load balancer may answer with yesterday's branch."""
    home.daemon().step()
    second = home.git.merge({"README.md": "hello"})
    home.daemon().step()
    home.git.branches["main"] = home.first
    lagging = home.daemon()
    lagging.step()
    assert lagging.head.halted is Reason.HISTORY_REWRITTEN
    assert home.remembered() == second
    home.git.branches["main"] = second
    assert followed(lagging) == second


def test_what_is_remembered_is_written_by_compare_and_set(home: Home) -> None:
    accepted = home.accepted()
    accepted.save(LastAccepted(home.first))
    seen = accepted.load()
    assert seen is not None
    accepted.save(LastAccepted(CommitId("2" * 40), "", seen.version))
    with pytest.raises(Conflict):
        accepted.save(LastAccepted(CommitId("3" * 40), "", seen.version))
    with pytest.raises(Conflict):
        accepted.save(LastAccepted(CommitId("3" * 40)))
    assert home.remembered() == "2" * 40


def test_what_nobody_vouches_for_is_not_followed(home: Home) -> None:
    heads = home.daemon()
    followed(heads)
    asked: list[tuple[CommitId | None, CommitId]] = []

    def refuse(accepted: CommitId | None, now: Snapshot) -> None:
        asked.append((accepted, now.commit))
        raise InvalidInput(now.commit, "it is not followed", "nobody has signed it")

    home.vouch = refuse
    second = home.git.merge({"policies/line.yaml": env_repo()["policies/line.yaml"] + "# more\n"})
    assert followed(heads) == home.first == home.remembered()
    assert "nobody has signed it" in heads.head.error
    assert home.told()[-1] is EventKind.HEAD_REFUSED
    # Another daemon, or this one after a restart, asks against what the home remembers.
    assert followed(home.daemon()) == home.first
    assert asked == [(home.first, second)] * 2
    home.vouch = lambda accepted, now: None
    third = home.git.merge(pins("1"))
    assert followed(heads) == third
