"""What only a real server and a real mirror can show of the Git adapter."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import OperatorError, ReconcilerError
from reconciler.ports.git import PushOutcome
from tests.contract.git_ways import ServedWorld, served_world
from tests.gitservers.served import PUSHABLE, Way

pytestmark = pytest.mark.git_server


@pytest.fixture(params=tuple(Way))
def any_way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedWorld]:
    """Every way, the local path among them."""
    with served_world(request.param, tmp_path) as world:
        yield world


def test_links_and_submodules_keep_their_modes(any_way: ServedWorld) -> None:
    git = any_way.served.repository.git
    link = git("hash-object", "-w", "--stdin", stdin=b"/etc/passwd")
    listing = f"120000 blob {link}\tlink\n160000 commit {any_way.first}\tmodule\n"
    tree = git("mktree", "--missing", stdin=listing.encode())
    git("update-ref", "refs/heads/main", git("commit-tree", tree, "-m", "links"))
    head = any_way.repo.fetch()
    modes = {entry.path: entry.mode for entry in any_way.repo.tree(head, "")}
    assert modes == {"link": 0o120000, "module": 0o160000}


def test_a_tag_named_like_the_branch_is_not_the_branch(any_way: ServedWorld) -> None:
    any_way.served.repository.git("update-ref", "refs/tags/main", any_way.first)
    second = any_way.people.commit({"x": b"1"})
    assert any_way.repo.fetch() == second


def test_a_push_goes_to_the_branch_and_not_to_a_tag_of_its_name(pushable: ServedWorld) -> None:
    git = pushable.served.repository.git
    git("update-ref", "refs/tags/main", pushable.first)
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert pushable.people.tip() == commit
    assert git("rev-parse", "refs/tags/main") == pushable.first


def test_a_repo_that_is_not_there_is_an_operators_error(any_way: ServedWorld) -> None:
    path = any_way.served.repository.path
    path.rename(path.with_name("gone"))
    with pytest.raises(OperatorError):
        any_way.repo.fetch()


def test_reads_work_in_threads_that_fetches_do_not_know(any_way: ServedWorld) -> None:
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
    with served_world(Way.LOCAL, tmp_path) as world:
        commit = world.repo.commit(world.repo.fetch(), {"x": b"1"}, "x")
        with pytest.raises(OperatorError, match="silently erase"):
            world.repo.push(commit, "main")
        assert world.people.tip() == world.first


def test_what_is_pushed_is_sound(pushable: ServedWorld) -> None:
    edits = {"environments/dev/web.yaml": b"b\n", "quarantine/web.yaml": b"q\n"}
    commit = pushable.repo.commit(pushable.repo.fetch(), edits, "x")
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert pushable.served.repository.git("fsck", "--strict") == ""


def test_a_hooks_words_come_without_control_characters(pushable: ServedWorld) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    pushable.people.on_pre_receive(lambda: "main is \x1b[31mprotected\x07")
    result = pushable.repo.push(commit, "main")
    assert result.outcome is PushOutcome.REFUSED
    assert "protected" in result.message
    assert result.message.isprintable()


@pytest.mark.parametrize("way", PUSHABLE)
def test_who_may_read_and_not_push_is_told_so(way: Way, tmp_path: Path) -> None:
    with served_world(way, tmp_path) as world:
        commit = world.repo.commit(world.repo.fetch(), {"y": b"1"}, "y")
        world.served.repository.git("config", "http.receivepack", "false")
        if world.served.http is None:

            def refuse(service: str) -> None:
                raise PermissionError("this key may only read")

            world.served.before_refs(
                lambda service: refuse(service) if "receive" in service else None
            )
        with pytest.raises(ReconcilerError):
            world.repo.push(commit, "main")
        world.served.before_refs(None)
        assert world.people.tip() == world.first
