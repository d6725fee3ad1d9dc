"""The ports `History` and `Remote`, the same checks over every way to a real Git server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.git.repository import GitRepository, open_repository
from reconciler.errors import InvalidInput, OperatorError
from reconciler.model.names import BlobId, CommitId
from reconciler.ports.git import History, PushOutcome, Remote
from tests.gitservers.served import PUSHABLE, Served, Way, serve

pytestmark = pytest.mark.git_server

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class StoppedClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """Returns NOW."""
        return NOW

    def monotonic_s(self) -> float:
        """Returns nothing that moves."""
        return 0.0


@dataclass(frozen=True)
class World:
    """A served repository with one commit, and the adapter over it."""

    served: Served
    repo: GitRepository
    first: str

    def another(self, folder: Path) -> GitRepository:
        """Returns a second adapter with a mirror of its own."""
        access = replace(self.served.access, mirror_dir=folder / "another" / "mirror")
        return open_repository(access, clock=StoppedClock())


def _world(way: Way, folder: Path) -> Iterator[World]:
    with serve(way, folder) as served:
        first = served.repository.commit({"environments/dev/web.yaml": b"a\n", "README.md": b"r\n"})
        yield World(served, open_repository(served.access, clock=StoppedClock()), first)


@pytest.fixture(params=tuple(Way))
def any_way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Every way, the local path among them."""
    yield from _world(request.param, tmp_path)


@pytest.fixture(params=PUSHABLE)
def pushable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Every way that takes pushes."""
    yield from _world(request.param, tmp_path)


def test_the_adapter_is_both_ports(any_way: World) -> None:
    history: History = any_way.repo
    remote: Remote = any_way.repo
    head = remote.fetch()
    assert history.resolve(head) == any_way.first


def test_a_fetch_returns_the_branch_and_then_what_was_merged_since(any_way: World) -> None:
    assert any_way.repo.fetch() == any_way.first
    second = any_way.served.repository.commit({"environments/dev/web.yaml": b"b\n"})
    head = any_way.repo.fetch()
    assert head == second
    assert any_way.repo.is_ancestor(CommitId(any_way.first), head)
    assert not any_way.repo.is_ancestor(head, CommitId(any_way.first))


def test_a_tree_lists_modes_and_blobs_below_a_folder(any_way: World) -> None:
    head = any_way.repo.fetch()
    (entry,) = any_way.repo.tree(head, "environments")
    assert (entry.path, entry.mode) == ("dev/web.yaml", 0o100644)
    assert any_way.repo.blob(BlobId(entry.blob)) == b"a\n"
    assert any_way.repo.tree(head, "no/such/folder") == ()
    assert any_way.repo.tree(head, "README.md") == ()


def test_links_and_submodules_keep_their_modes(any_way: World) -> None:
    git = any_way.served.repository.git
    link = git("hash-object", "-w", "--stdin", stdin=b"/etc/passwd")
    listing = f"120000 blob {link}\tlink\n160000 commit {any_way.first}\tmodule\n"
    tree = git("mktree", "--missing", stdin=listing.encode())
    git("update-ref", "refs/heads/main", git("commit-tree", tree, "-m", "links"))
    head = any_way.repo.fetch()
    modes = {entry.path: entry.mode for entry in any_way.repo.tree(head, "")}
    assert modes == {"link": 0o120000, "module": 0o160000}


def test_a_rewritten_branch_is_followed_so_that_the_shell_can_judge_it(any_way: World) -> None:
    any_way.repo.fetch()
    rewritten = any_way.served.repository.commit({"new": b"1"}, orphan=True)
    head = any_way.repo.fetch()
    assert head == rewritten
    assert not any_way.repo.is_ancestor(CommitId(any_way.first), head)
    assert any_way.repo.commit_facts(head).parents == ()


def test_a_tag_named_like_the_branch_is_not_the_branch(any_way: World) -> None:
    any_way.served.repository.git("update-ref", "refs/tags/main", any_way.first)
    second = any_way.served.repository.commit({"x": b"1"})
    assert any_way.repo.fetch() == second


def test_an_empty_repo_and_a_missing_branch_are_told_apart(any_way: World, tmp_path: Path) -> None:
    git = any_way.served.repository.git
    git("branch", "-m", "main", "trunk")
    with pytest.raises(InvalidInput, match=r"branch main is not there: it has trunk"):
        any_way.repo.fetch()
    git("update-ref", "-d", "refs/heads/trunk")
    with pytest.raises(InvalidInput, match=r"the repo is empty"):
        any_way.another(tmp_path).fetch()


def test_a_deleted_branch_is_an_error_and_the_last_commit_stays_readable(any_way: World) -> None:
    head = any_way.repo.fetch()
    any_way.served.repository.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(InvalidInput):
        any_way.repo.fetch()
    assert any_way.repo.tree(head, "") != ()


def test_a_repo_that_is_not_there_is_an_operators_error(any_way: World) -> None:
    any_way.served.repository.path.rename(any_way.served.repository.path.with_name("gone"))
    with pytest.raises(OperatorError):
        any_way.repo.fetch()


def test_a_log_is_first_parent_and_can_be_narrowed_to_a_path(any_way: World) -> None:
    repository = any_way.served.repository
    repository.commit({"environments/prod/web.yaml": b"p\n"}, message="prod")
    last = repository.commit({"environments/dev/web.yaml": b"b\n"}, message="dev")
    head = any_way.repo.fetch()
    told = [facts.message.strip() for facts in any_way.repo.log(head, path=None, most=2)]
    assert told == ["dev", "prod"]
    touching = any_way.repo.log(head, path="environments/dev/web.yaml", most=9)
    assert [facts.commit for facts in touching] == [last, any_way.first]
    assert touching[0].author == "A Person <person@example.com>"


def test_reads_work_in_threads_that_fetches_do_not_know(any_way: World) -> None:
    head = any_way.repo.fetch()
    seen: list[int] = []
    threads = [
        threading.Thread(target=lambda: seen.append(len(any_way.repo.tree(head, ""))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [2] * 4


def test_a_push_to_a_local_path_is_refused_before_anything_is_tried(tmp_path: Path) -> None:
    (world,) = _world(Way.LOCAL, tmp_path)
    head = world.repo.fetch()
    commit = world.repo.commit(head, {"x": b"1"}, "x")
    with pytest.raises(OperatorError, match="silently erase"):
        world.repo.push(commit, "main")
    assert world.served.repository.tip() == world.first


def test_a_push_lands_with_author_time_and_message(pushable: World) -> None:
    head = pushable.repo.fetch()
    message = "Revert web\n\nReconciler-Action: revert\n"
    commit = pushable.repo.commit(head, {"environments/dev/web.yaml": b"b\n", "q/w": b"1"}, message)
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    repository = pushable.served.repository
    assert repository.tip() == commit
    assert repository.read("environments/dev/web.yaml") == "b"
    assert repository.git("fsck", "--strict") == ""
    facts = pushable.repo.commit_facts(commit)
    assert (facts.at, facts.message) == (NOW, message)
    assert facts.author == "reconciler <reconciler@localhost>"
    assert pushable.repo.fetch() == commit


def test_a_push_that_already_landed_is_landed_again(pushable: World) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    later = pushable.served.repository.commit({"y": b"2"})
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert pushable.served.repository.tip() == later


def test_another_writer_between_fetch_and_push_wins(pushable: World) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    theirs = pushable.served.repository.commit({"y": b"2"})
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.MOVED
    assert pushable.served.repository.tip() == theirs


def test_another_writer_while_our_push_is_under_way_wins(pushable: World) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    theirs: list[str] = []

    def write() -> None:
        theirs.append(pushable.served.repository.commit({"y": b"2"}))

    assert pushable.served.hooks is not None
    pushable.served.hooks.pre_receive = write
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.MOVED
    assert pushable.served.repository.tip() == theirs[0]


def test_a_hooks_refusal_is_told_in_its_own_words(pushable: World) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    assert pushable.served.hooks is not None
    pushable.served.hooks.pre_receive = lambda: "main is \x1b[31mprotected\x07"
    result = pushable.repo.push(commit, "main")
    assert result.outcome is PushOutcome.REFUSED
    assert "hook declined" in result.message
    assert "main is" in result.message
    assert result.message.isprintable()
    assert pushable.served.repository.tip() == pushable.first


def test_a_branch_for_a_person_is_made_and_later_seen_and_pruned(pushable: World) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    assert pushable.repo.push(commit, "reconciler/revert-1").outcome is PushOutcome.LANDED
    assert pushable.served.repository.tip("reconciler/revert-1") == commit
    pushable.repo.fetch()
    pushable.served.repository.git("update-ref", "-d", "refs/heads/reconciler/revert-1")
    assert pushable.repo.fetch() == pushable.first


def test_a_branch_that_people_deleted_is_not_made_again(pushable: World) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    pushable.served.repository.git("branch", "other", "main")
    pushable.served.repository.git("update-ref", "-d", "refs/heads/main")
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.MOVED
    assert pushable.served.repository.tip() == ""


def test_a_rewritten_branch_is_not_pushed_over(pushable: World) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    rewritten = pushable.served.repository.commit({"new": b"1"}, orphan=True)
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.MOVED
    assert pushable.served.repository.tip() == rewritten
