"""What is Gitea's own: our push and its protected branch, forks, rights, and two who open at once."""

from __future__ import annotations

import threading
import urllib.error
from pathlib import Path

import pytest

from reconciler.adapters.git.access import GitAccess
from reconciler.adapters.git.repository import GitRepository, open_repository
from reconciler.errors import OperatorError, Refused, TransientError
from reconciler.model.answers import NotKnown
from reconciler.model.forge import Protection, PullRequest, PullRequestState, Statuses
from reconciler.ports.git import PushOutcome
from tests.contract.forges import RealForge, real_forge
from tests.contract.git_ways import StoppedClock
from tests.forges.gitea import BOT, OWNER, Gitea

pytestmark = pytest.mark.xdist_group("gitea")

OURS = "reconciler/revert-5f1c"


@pytest.fixture
def real(gitea: Gitea, tmp_path: Path) -> RealForge:
    return real_forge(gitea.repo(), tmp_path)


def ours(real: RealForge, folder: Path) -> GitRepository:
    """Returns our Git adapter over the repository, as the bot."""
    token_file = real.access.token_file
    access = GitAccess(
        f"{real.repo.url}.git", "main", folder / "mirror", token_file=token_file, username=BOT
    )
    return open_repository(access, clock=StoppedClock())


def test_a_revert_that_a_protected_branch_refuses_goes_in_by_a_pull_request(
    real: RealForge, tmp_path: Path
) -> None:
    real.people.protect("main", ())
    git = ours(real, tmp_path)
    commit = git.commit(git.fetch(), {"environments/dev/web.yaml": b"reverted\n"}, "Revert web")
    assert git.push(commit, "main").outcome is PushOutcome.REFUSED
    protection = real.forge.protection("main")
    assert isinstance(protection, Protection) and not protection.can_push
    assert git.push(commit, OURS).outcome is PushOutcome.LANDED
    opened = real.forge.pull_request(OURS, "main", "Revert web", "It crashed.")
    assert opened.head == commit
    assert opened.url == f"{real.repo.url}/pulls/{opened.number}"
    real.people.close(opened.number, merged=True)
    merged = real.forge.pull_request_of(OURS, "main")
    assert isinstance(merged, PullRequest) and merged.state is PullRequestState.MERGED
    assert git.is_ancestor(commit, git.fetch())


def test_a_free_branch_takes_our_push(real: RealForge, tmp_path: Path) -> None:
    git = ours(real, tmp_path)
    commit = git.commit(git.fetch(), {"a": b"1"}, "a")
    assert git.push(commit, "main").outcome is PushOutcome.LANDED
    real.people.says(commit, "ci", "success")
    assert isinstance(real.forge.statuses(commit), Statuses)


def test_a_pull_request_that_is_merged_stays_known_without_its_branch(real: RealForge) -> None:
    head = real.people.commit(OURS)
    opened = real.forge.pull_request(OURS, "main", "t", "b")
    real.people.close(opened.number, merged=True)
    real.repo.api("DELETE", f"/branches/{OURS}")
    found = real.forge.pull_request_of(OURS, "main")
    assert isinstance(found, PullRequest)
    assert (found.branch, found.head, found.state) == (OURS, head, PullRequestState.MERGED)


def test_a_forks_pull_request_is_not_ours(real: RealForge, gitea: Gitea) -> None:
    gitea.api("POST", f"/repos/{OWNER}/{real.repo.name}/forks", {}, user=BOT)
    fork = f"/repos/{BOT}/{real.repo.name}"
    content = {"content": "YQ==", "branch": "main", "new_branch": OURS}
    gitea.api("POST", f"{fork}/contents/x", content, user=BOT)
    theirs = {"head": f"{BOT}:{OURS}", "base": "main", "title": "theirs"}
    number = gitea.api("POST", f"/repos/{OWNER}/{real.repo.name}/pulls", theirs, user=BOT)["number"]
    assert real.forge.pull_request_of(OURS, "main") is None
    real.people.commit(OURS)
    first = real.forge.pull_request(OURS, "main", "ours", "")
    assert first.number != number
    # With one that is closed, the list of open ones is looked through, and theirs is in it.
    real.people.close(first.number, merged=False)
    found = real.forge.pull_request_of(OURS, "main")
    assert isinstance(found, PullRequest)
    assert (found.number, found.state) == (first.number, PullRequestState.CLOSED)


def test_two_who_open_at_once_open_one(real: RealForge) -> None:
    real.people.commit(OURS)
    together, found, errors = threading.Barrier(4), [], []

    def ask() -> None:
        together.wait(20)
        try:
            found.append(real.forge.pull_request(OURS, "main", "t", "b"))
        except (OperatorError, TransientError) as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found
    # Whoever got an error asks again, as the loop does.
    again = real.forge.pull_request(OURS, "main", "t", "b")
    assert [pull["number"] for pull in real.repo.api("GET", "/pulls?state=open")] == [again.number]
    assert all(isinstance(error, TransientError) for error in errors)


def test_a_token_that_is_wrong_knows_nothing(real: RealForge, tmp_path: Path) -> None:
    commit = real.people.commit("main")
    (tmp_path / "wrong").write_text("canary-wrong-token")
    forge = real.with_access(token_file=tmp_path / "wrong")
    for found in (
        forge.statuses(commit),
        forge.protection("main"),
        forge.pull_request_of("x", "main"),
    ):
        assert isinstance(found, NotKnown) and found.reason == "Denied"
        assert "canary" not in repr(found)


def test_a_token_without_the_right_to_write_is_denied(
    real: RealForge, gitea: Gitea, tmp_path: Path
) -> None:
    real.people.commit(OURS)
    scopes = {"name": f"read-{real.repo.name}", "scopes": ["read:repository"]}
    made = gitea.api("POST", f"/users/{BOT}/tokens", scopes, user=BOT)
    (tmp_path / "reading").write_text(made["sha1"])
    forge = real.with_access(token_file=tmp_path / "reading")
    assert forge.pull_request_of(OURS, "main") is None
    with pytest.raises(OperatorError) as raised:
        forge.pull_request(OURS, "main", "t", "b")
    assert made["sha1"] not in str(raised.value)


def test_a_repository_that_we_may_not_see_has_no_answer(real: RealForge) -> None:
    commit = real.people.commit("main")
    real.repo.api("PATCH", "", {"private": True})
    real.repo.api("DELETE", f"/collaborators/{BOT}")
    for found in (
        real.forge.statuses(commit),
        real.forge.protection("main"),
        real.forge.pull_request_of(OURS, "main"),
    ):
        assert isinstance(found, NotKnown)


def test_a_repository_without_pull_requests_says_so(real: RealForge) -> None:
    real.people.commit(OURS)
    real.repo.api("PATCH", "", {"has_pull_requests": False})
    assert isinstance(real.forge.pull_request_of(OURS, "main"), NotKnown)
    with pytest.raises((OperatorError, TransientError)):
        real.forge.pull_request(OURS, "main", "t", "b")


def test_a_branch_named_like_a_commit_is_not_taken_for_it(real: RealForge) -> None:
    name = "d" * 40
    try:
        other = real.people.commit(name)
    except urllib.error.HTTPError:
        pytest.skip("this Gitea makes no such branch")
    real.people.says(other, "ci", "success")
    assert isinstance(real.forge.statuses(type(other)(name)), NotKnown)


def test_a_long_title_is_cut(real: RealForge) -> None:
    real.people.commit(OURS)
    opened = real.forge.pull_request(OURS, "main", "t" * 5000, "b" * 200_000)
    told = real.repo.api("GET", f"/pulls/{opened.number}")
    assert (len(told["title"]), len(told["body"])) == (255, 60_000)


def test_a_pull_request_of_a_repository_that_has_moved_is_refused(
    real: RealForge, gitea: Gitea
) -> None:
    real.people.commit(OURS)
    real.repo.api("PATCH", "", {"name": f"{real.repo.name}-moved"})
    assert real.forge.pull_request_of(OURS, "main") is None
    with pytest.raises(Refused, match="it has moved"):
        real.forge.pull_request(OURS, "main", "t", "b")
