"""The ports `History` and `Remote`: the same checks over every way to a real server, and over the fake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import InvalidInput, OperatorError, TransientError
from reconciler.model.names import BlobId, CommitId
from reconciler.ports.git import History, PushOutcome, Remote
from tests.contract.git_ways import NOW, GitWorld, memory_world, served_world
from tests.gitservers.served import PUSHABLE, Way

pytestmark = pytest.mark.git_server

MEMORY = "memory"


def _world(way: str, folder: Path) -> Iterator[GitWorld]:
    if way == MEMORY:
        yield memory_world()
    else:
        with served_world(Way(way), folder) as world:
            yield world


@pytest.fixture(params=[*Way, MEMORY])
def any_way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GitWorld]:
    """Every way, the local path among them."""
    yield from _world(request.param, tmp_path)


@pytest.fixture(params=[*PUSHABLE, MEMORY])
def pushable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GitWorld]:
    """Every way that takes pushes."""
    yield from _world(request.param, tmp_path)


def test_one_adapter_is_both_ports(any_way: GitWorld) -> None:
    history: History = any_way.repo
    remote: Remote = any_way.repo
    assert history.resolve(remote.fetch()) == any_way.first


def test_a_fetch_returns_the_branch_and_then_what_was_merged_since(any_way: GitWorld) -> None:
    assert any_way.repo.fetch() == any_way.first
    second = any_way.people.commit({"environments/dev/web.yaml": b"b\n"})
    head = any_way.repo.fetch()
    assert head == second
    assert any_way.repo.is_ancestor(CommitId(any_way.first), head)
    assert any_way.repo.is_ancestor(head, head)
    assert not any_way.repo.is_ancestor(head, CommitId(any_way.first))


def test_a_tree_lists_modes_and_blobs_below_a_folder(any_way: GitWorld) -> None:
    head = any_way.repo.fetch()
    (entry,) = any_way.repo.tree(head, "environments")
    assert (entry.path, entry.mode) == ("dev/web.yaml", 0o100644)
    assert any_way.repo.blob(BlobId(entry.blob)) == b"a\n"
    assert any_way.repo.tree(head, "no/such/folder") == ()
    assert any_way.repo.tree(head, "README.md") == ()


def test_a_folder_lists_itself_alone_and_equal_ids_are_equal_contents(any_way: GitWorld) -> None:
    head = any_way.repo.fetch()
    top = any_way.repo.folder(head, "")
    assert top.keys() == {"README.md", "environments"}
    (entry,) = any_way.repo.tree(head, "environments/dev")
    assert any_way.repo.folder(head, "environments/dev") == {"web.yaml": entry.blob}
    assert any_way.repo.folder(head, "no/such/folder") == {}
    assert any_way.repo.folder(head, "README.md") == {}
    edited = any_way.repo.commit(head, {"README.md": b"another\n"}, "a change")
    after = any_way.repo.folder(edited, "")
    assert after["environments"] == top["environments"] and after["README.md"] != top["README.md"]
    edited = any_way.repo.commit(head, {"environments/dev/web.yaml": b"another\n"}, "a change")
    after = any_way.repo.folder(edited, "")
    assert after["environments"] != top["environments"] and after["README.md"] == top["README.md"]


def test_what_is_not_there_is_an_error_and_never_empty(any_way: GitWorld) -> None:
    any_way.repo.fetch()
    missing = CommitId("1" * 40)
    with pytest.raises(InvalidInput):
        any_way.repo.tree(missing, "")
    with pytest.raises(InvalidInput):
        any_way.repo.folder(missing, "")
    with pytest.raises(InvalidInput):
        any_way.repo.commit_facts(missing)
    with pytest.raises(InvalidInput):
        any_way.repo.log(missing, path=None, most=1)
    with pytest.raises(InvalidInput):
        any_way.repo.is_ancestor(missing, CommitId(any_way.first))
    with pytest.raises(InvalidInput):
        any_way.repo.blob(BlobId("1" * 40))
    assert any_way.repo.resolve("1" * 40) is None
    assert any_way.repo.resolve("HEAD") is None


def test_a_short_id_names_its_commit(any_way: GitWorld) -> None:
    head = any_way.repo.fetch()
    assert any_way.repo.resolve(head[:10]) == head


def test_a_rewritten_branch_is_followed_so_that_the_shell_can_judge_it(any_way: GitWorld) -> None:
    any_way.repo.fetch()
    rewritten = any_way.people.commit({"new": b"1"}, orphan=True)
    head = any_way.repo.fetch()
    assert head == rewritten
    assert not any_way.repo.is_ancestor(CommitId(any_way.first), head)
    assert any_way.repo.commit_facts(head).parents == ()


def test_a_missing_branch_is_an_operators_error_that_names_those_that_are_there(
    any_way: GitWorld,
) -> None:
    any_way.people.set_branch("trunk", any_way.first)
    any_way.people.set_branch("main", "")
    with pytest.raises(InvalidInput, match=r"branch main is not there: it has trunk"):
        any_way.repo.fetch()


def test_an_empty_repo_is_an_operators_error(any_way: GitWorld) -> None:
    any_way.people.set_branch("main", "")
    with pytest.raises(InvalidInput, match=r"the repo is empty"):
        any_way.repo.fetch()


def test_after_the_branch_was_deleted_the_last_commit_stays_readable(any_way: GitWorld) -> None:
    head = any_way.repo.fetch()
    any_way.people.set_branch("main", "")
    with pytest.raises(OperatorError):
        any_way.repo.fetch()
    assert any_way.repo.tree(head, "") != ()


def test_a_log_is_first_parent_and_can_be_narrowed_to_a_path(any_way: GitWorld) -> None:
    any_way.people.commit({"environments/prod/web.yaml": b"p\n"}, message="prod")
    last = any_way.people.commit({"environments/dev/web.yaml": b"b\n"}, message="dev")
    head = any_way.repo.fetch()
    told = [facts.message.strip() for facts in any_way.repo.log(head, path=None, most=2)]
    assert told == ["dev", "prod"]
    touching = any_way.repo.log(head, path="environments/dev/web.yaml", most=9)
    assert [facts.commit for facts in touching] == [last, any_way.first]
    assert touching[0].author == "A Person <person@example.com>"
    below = any_way.repo.log(head, path="environments/dev", most=9)
    assert [facts.commit for facts in below] == [last, any_way.first]


def test_edits_that_leave_the_tree_are_refused(any_way: GitWorld) -> None:
    head = any_way.repo.fetch()
    for path in ("../x", "/x", "a/../x", ".git/config", "a//b", ""):
        with pytest.raises(InvalidInput, match="refused"):
            any_way.repo.commit(head, {path: b"1"}, "x")
    with pytest.raises(InvalidInput, match="not there to delete"):
        any_way.repo.commit(head, {"nothing": None}, "x")


def test_a_commit_changes_what_it_names_and_deletes_by_none(any_way: GitWorld) -> None:
    head = any_way.repo.fetch()
    edits = {"environments/dev/web.yaml": None, "quarantine/web.yaml": b"q\n"}
    commit = any_way.repo.commit(head, edits, "x")
    assert [e.path for e in any_way.repo.tree(commit, "")] == ["README.md", "quarantine/web.yaml"]
    assert any_way.people.tip() == any_way.first


def test_a_push_lands_with_author_time_and_message(pushable: GitWorld) -> None:
    head = pushable.repo.fetch()
    message = "Revert web\n\nReconciler-Action: revert\n"
    commit = pushable.repo.commit(head, {"environments/dev/web.yaml": b"b\n", "q/w": b"1"}, message)
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert pushable.people.tip() == commit
    assert pushable.people.read("environments/dev/web.yaml") == "b"
    facts = pushable.repo.commit_facts(commit)
    assert (facts.at, facts.message, facts.parents) == (NOW, message, (head,))
    assert facts.author == "reconciler <reconciler@localhost>"
    assert pushable.repo.fetch() == commit


def test_a_push_that_already_landed_is_landed_again(pushable: GitWorld) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    later = pushable.people.commit({"y": b"2"})
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.LANDED
    assert pushable.people.tip() == later


def test_another_writer_between_fetch_and_push_wins(pushable: GitWorld) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    theirs = pushable.people.commit({"y": b"2"})
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.MOVED
    assert pushable.people.tip() == theirs


def test_another_writer_while_our_push_is_under_way_wins(pushable: GitWorld) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    theirs: list[str] = []

    def write() -> None:
        theirs.append(pushable.people.commit({"y": b"2"}))

    pushable.people.on_pre_receive(write)
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.MOVED
    assert pushable.people.tip() == theirs[0]


def test_a_hooks_refusal_is_told_in_its_own_words(pushable: GitWorld) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    pushable.people.on_pre_receive(lambda: "main is protected")
    result = pushable.repo.push(commit, "main")
    assert result.outcome is PushOutcome.REFUSED
    assert "hook declined" in result.message
    assert "main is protected" in result.message
    assert pushable.people.tip() == pushable.first


def test_a_branch_for_a_person_is_made_and_may_be_deleted_again(pushable: GitWorld) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    assert pushable.repo.push(commit, "reconciler/revert-1").outcome is PushOutcome.LANDED
    assert pushable.people.tip("reconciler/revert-1") == commit
    pushable.repo.fetch()
    pushable.people.set_branch("reconciler/revert-1", "")
    assert pushable.repo.fetch() == pushable.first


def test_a_branch_for_a_person_that_is_taken_is_left_as_it_is(pushable: GitWorld) -> None:
    head = pushable.repo.fetch()
    commit = pushable.repo.commit(head, {"x": b"1"}, "x")
    assert pushable.repo.push(commit, "reconciler/revert-1").outcome is PushOutcome.LANDED
    other = pushable.repo.commit(head, {"x": b"2"}, "made again by another process")
    assert pushable.repo.push(other, "reconciler/revert-1").outcome is PushOutcome.MOVED
    assert pushable.people.tip("reconciler/revert-1") == commit


def test_a_branch_that_people_deleted_is_not_made_again(pushable: GitWorld) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    pushable.people.set_branch("other", pushable.first)
    pushable.people.set_branch("main", "")
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.MOVED
    assert pushable.people.tip() == ""


def test_a_rewritten_branch_is_not_pushed_over(pushable: GitWorld) -> None:
    commit = pushable.repo.commit(pushable.repo.fetch(), {"x": b"1"}, "x")
    rewritten = pushable.people.commit({"new": b"1"}, orphan=True)
    assert pushable.repo.push(commit, "main").outcome is PushOutcome.MOVED
    assert pushable.people.tip() == rewritten


def test_a_commit_that_nobody_made_cannot_be_pushed(pushable: GitWorld) -> None:
    pushable.repo.fetch()
    with pytest.raises(TransientError):
        pushable.repo.push(CommitId("1" * 40), "main")
    assert pushable.people.tip() == pushable.first
