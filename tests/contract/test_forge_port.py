"""What every forge does, the fake and a real Gitea."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import Refused
from reconciler.model.answers import NotKnown
from reconciler.model.forge import (
    CommitStatus,
    Protection,
    PullRequest,
    PullRequestState,
    Statuses,
    StatusState,
)
from reconciler.model.names import CommitId
from tests.contract.forges import ForgeWorld, memory_forge, real_forge
from tests.forges.gitea import Gitea

OURS = "reconciler/revert-5f1c"
"""A branch as ours are named, with a slash."""


@pytest.fixture(params=["memory", pytest.param("real", marks=pytest.mark.xdist_group("gitea"))])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ForgeWorld]:
    if request.param == "memory":
        yield memory_forge()
        return
    gitea: Gitea = request.getfixturevalue("gitea")
    yield real_forge(gitea.repo(), tmp_path)


def test_a_commit_that_no_check_has_seen_has_no_statuses(world: ForgeWorld) -> None:
    commit = world.people.commit("main")
    assert world.forge.statuses(commit) == Statuses(commit, ())


def test_a_commit_that_is_not_there_is_not_known(world: ForgeWorld) -> None:
    assert isinstance(world.forge.statuses(CommitId("1" * 40)), NotKnown)


def test_each_check_has_its_newest_word(world: ForgeWorld) -> None:
    commit = world.people.commit("main")
    world.people.says(commit, "unit", "pending")
    world.people.says(commit, "build", "failure")
    world.people.says(commit, "unit", "success")
    assert world.forge.statuses(commit) == Statuses(
        commit,
        (
            CommitStatus("build", StatusState.FAILURE),
            CommitStatus("unit", StatusState.SUCCESS),
        ),
    )


@pytest.mark.parametrize("state", sorted(set(StatusState) - {StatusState.UNKNOWN}))
def test_every_state_is_told(state: StatusState, world: ForgeWorld) -> None:
    commit = world.people.commit("main")
    world.people.says(commit, "ci", state)
    assert world.forge.statuses(commit) == Statuses(commit, (CommitStatus("ci", state),))


def test_checks_fill_more_than_a_page(world: ForgeWorld) -> None:
    commit = world.people.commit("main")
    names = [f"check-{i:03}" for i in range(60)]
    for name in names:
        world.people.says(commit, name, "success")
    found = world.forge.statuses(commit)
    assert isinstance(found, Statuses)
    assert [check.context for check in found.checks] == names


def test_a_free_branch_lets_us_push(world: ForgeWorld) -> None:
    world.people.commit("main")
    assert world.forge.protection("main") == Protection(
        "main", is_protected=False, can_push=True, can_merge=True
    )


@pytest.mark.parametrize("branch", ["main", "release/1.x"])
def test_what_protects_a_branch_is_told(branch: str, world: ForgeWorld) -> None:
    world.people.commit(branch)
    world.people.protect(branch, ("unit",))
    assert world.forge.protection(branch) == Protection(
        branch, is_protected=True, can_push=False, can_merge=True, required_checks=("unit",)
    )


def test_what_protects_a_branch_that_is_not_there_is_not_known(world: ForgeWorld) -> None:
    assert isinstance(world.forge.protection("nowhere"), NotKnown)


@pytest.mark.parametrize("base", ["main", "release/1.x"])
def test_a_pull_request_is_opened_once(base: str, world: ForgeWorld) -> None:
    world.people.commit(base)
    head = world.people.commit(OURS)
    assert world.forge.pull_request_of(OURS, base) is None
    opened = world.forge.pull_request(OURS, base, "Revert web", "It crashed.")
    assert (opened.branch, opened.base, opened.head) == (OURS, base, head)
    assert opened.state is PullRequestState.OPEN
    assert world.forge.pull_request(OURS, base, "Another title", "") == opened
    assert world.forge.pull_request_of(OURS, base) == opened


def test_a_pull_request_into_another_branch_is_another(world: ForgeWorld) -> None:
    world.people.commit("main")
    world.people.commit("release")
    world.people.commit(OURS)
    first = world.forge.pull_request(OURS, "main", "t", "b")
    assert world.forge.pull_request_of(OURS, "release") is None
    assert world.forge.pull_request(OURS, "release", "t", "b").number != first.number


def test_one_that_was_merged_is_told(world: ForgeWorld) -> None:
    world.people.commit("main")
    world.people.commit(OURS)
    opened = world.forge.pull_request(OURS, "main", "t", "b")
    world.people.close(opened.number, merged=True)
    found = world.forge.pull_request_of(OURS, "main")
    assert isinstance(found, PullRequest)
    assert (found.number, found.state) == (opened.number, PullRequestState.MERGED)


def test_one_that_a_person_closed_is_told_and_can_be_asked_for_again(world: ForgeWorld) -> None:
    world.people.commit("main")
    world.people.commit(OURS)
    first = world.forge.pull_request(OURS, "main", "t", "b")
    world.people.close(first.number, merged=False)
    found = world.forge.pull_request_of(OURS, "main")
    assert isinstance(found, PullRequest) and found.state is PullRequestState.CLOSED
    second = world.forge.pull_request(OURS, "main", "t", "b")
    assert second.number != first.number
    assert world.forge.pull_request_of(OURS, "main") == second
    assert world.forge.pull_request(OURS, "main", "t", "b") == second


def test_a_branch_that_is_not_there_has_no_pull_request(world: ForgeWorld) -> None:
    assert world.forge.pull_request_of("nowhere", "main") is None
    with pytest.raises(Refused):
        world.forge.pull_request("nowhere", "main", "t", "b")


def test_a_branch_with_nothing_to_merge_gets_one_all_the_same(world: ForgeWorld) -> None:
    world.people.commit(OURS)
    first = world.forge.pull_request(OURS, "main", "t", "b")
    world.people.close(first.number, merged=True)
    world.people.commit("main")
    second = world.forge.pull_request(OURS, "main", "t", "b")
    assert (second.state, second.number == first.number) == (PullRequestState.OPEN, False)


def test_what_is_open_is_listed_by_the_branch_it_would_go_to(world: ForgeWorld) -> None:
    world.people.commit("main")
    world.people.commit("release")
    assert world.forge.open_pull_requests("main") == ()
    branches = [f"reconciler/promote-web.staging-{i:012x}" for i in range(3)]
    for branch in branches:
        world.people.commit(branch)
    first, second, third = [world.forge.pull_request(b, "main", "t", "b") for b in branches]
    world.forge.pull_request(branches[0], "release", "t", "b")
    assert world.forge.open_pull_requests("main") == (first, second, third)
    world.people.close(second.number, merged=False)
    world.people.close(third.number, merged=True)
    assert world.forge.open_pull_requests("main") == (first,)


def test_one_can_be_closed_and_then_stays_so(world: ForgeWorld) -> None:
    world.people.commit("main")
    world.people.commit(OURS)
    opened = world.forge.pull_request(OURS, "main", "t", "b")
    world.forge.close_pull_request(opened.number)
    world.forge.close_pull_request(opened.number)
    found = world.forge.pull_request_of(OURS, "main")
    assert isinstance(found, PullRequest) and found.state is PullRequestState.CLOSED


def test_one_that_was_merged_or_is_not_there_cannot_be_closed(world: ForgeWorld) -> None:
    world.people.commit("main")
    world.people.commit(OURS)
    opened = world.forge.pull_request(OURS, "main", "t", "b")
    world.people.close(opened.number, merged=True)
    for number in (opened.number, 999):
        with pytest.raises(Refused):
            world.forge.close_pull_request(number)
