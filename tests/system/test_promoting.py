"""Pins that a daemon moves on, or asks people to, against a real Gitea."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CRASHES_IN_STAGING
from tests.forges.cloned import served_by
from tests.forges.gitea import Gitea, GiteaRepo, serve_gitea
from tests.gitservers.served import Served
from tests.system import envrepo
from tests.system.envrepo import digest
from tests.system.installation import Made
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("gitea")]

GOOD, NEXT, LATER = "1.0.0", "1.1.0", "1.2.0"


@pytest.fixture(scope="module")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gitea]:
    with serve_gitea(tmp_path_factory.mktemp("gitea")) as server:
        yield server


@pytest.fixture
def repo(gitea: Gitea) -> GiteaRepo:
    return gitea.repo()


@pytest.fixture
def made(repo: GiteaRepo, tmp_path: Path) -> Iterator[Simulated]:
    served: Served = served_by(repo, tmp_path / "git")
    forge = {"kind": "gitea", "url": repo.url, "token_file": str(served.access.token_file)}
    with simulated(tmp_path, at=served, settings={"forge": forge}) as fleet:
        yield fleet


def policy(by: str) -> str:
    """Returns a policy whose later environments have their pins moved."""
    lines = envrepo.policy().splitlines()
    moved = [
        line.replace("{", f"{{promote: {by}, ", 1)
        if line.startswith(("  staging", "  prod"))
        else line
        for line in lines
    ]
    return "\n".join(moved) + "\n"


def pin_in_dev(made: Simulated, version: str) -> str:
    return made.merge(made.pins(version, environments=["dev"]), f"release {version}")


def promotions(made: Simulated) -> list[Made]:
    made.head()
    return [one for one in made.made() if one.trailers.get("Action") == "promote"]


def pulls(repo: GiteaRepo, state: str = "open") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = repo.api("GET", f"/pulls?state={state}&sort=oldest")
    return sorted(found, key=lambda pull: int(pull["number"]))


def merge(made: Simulated, repo: GiteaRepo, number: int) -> None:
    """Merges a pull request, as a person does; Gitea looks behind the scenes whether it can."""
    made.daemon.until(lambda: repo.api("GET", f"/pulls/{number}")["mergeable"], "it can be merged")
    repo.api("POST", f"/pulls/{number}/merge", {"Do": "merge"})


def test_a_release_goes_on_by_commits_whoever_dies_and_merges_in_between(made: Simulated) -> None:
    made.start_with(GOOD, policy("auto"))
    pin_in_dev(made, NEXT)
    merged = []
    made.daemon.until(lambda: made.pinned("staging") == digest(NEXT), "it is pinned in staging")
    made.daemon.kill()
    merged.append(made.merge({"README.md": b"by a person"}))
    made.daemon.start()
    made.wait_proven("staging", NEXT)
    merged.append(made.merge({"README.md": b"by another"}))
    made.wait_proven("prod", NEXT)
    assert [(one.subject, one.trailers["Environments"]) for one in promotions(made)] == [
        (f"Promote {SERVICE} to {NEXT} in prod", "prod"),
        (f"Promote {SERVICE} to {NEXT} in staging", "staging"),
    ]
    assert set(merged) < {one.commit for one in made.made()}
    assert (
        made.daemon.metric("reconciler_pins_moved_total", environment="prod", outcome="pushed") == 1
    )


def test_a_person_merges_what_is_asked_for_and_closes_what_they_do_not_want(
    made: Simulated, repo: GiteaRepo
) -> None:
    made.start_with(GOOD, policy("pull-request"))
    pin_in_dev(made, NEXT)
    made.daemon.until(lambda: pulls(repo), "a pull request is open")
    (first,) = pulls(repo)
    assert first["title"] == f"Promote {SERVICE} to {NEXT} in staging"
    assert made.daemon.reason(SERVICE, "staging") in ("PromotionAsked", "Settled")
    # A daemon that is started anew opens no second one.
    made.daemon.kill()
    made.daemon.start()
    made.daemon.until(
        lambda: made.daemon.reason(SERVICE, "staging") == "PromotionAsked",
        "it says what it waits for",
    )
    assert len(pulls(repo, "all")) == 1
    merge(made, repo, first["number"])
    made.wait_proven("staging", NEXT)
    made.daemon.until(lambda: pulls(repo), "one for prod is open")
    (second,) = pulls(repo)
    repo.api("PATCH", f"/pulls/{second['number']}", {"state": "closed"})
    made.daemon.kill()
    made.daemon.start()
    made.daemon.until(
        lambda: made.daemon.reason(SERVICE, "prod") == "PromotionClosed", "it takes the person's no"
    )
    assert len(pulls(repo, "all")) == 2 and made.pinned("prod") == digest(GOOD)


def test_a_protected_branch_gets_a_pull_request_for_a_pin(made: Simulated, repo: GiteaRepo) -> None:
    made.start_with(GOOD, policy("auto"))
    pin_in_dev(made, NEXT)
    repo.protect("main")
    made.daemon.until(lambda: pulls(repo), "a pull request is open")
    (pin,) = pulls(repo)
    assert pin["title"] == f"Promote {SERVICE} to {NEXT} in staging"
    merge(made, repo, pin["number"])
    made.wait_proven("staging", NEXT)


def test_a_protected_branch_gets_a_pull_request_for_a_revert(
    made: Simulated, repo: GiteaRepo
) -> None:
    made.start_with(GOOD)
    made.merge(made.pins(LATER, marker=CRASHES_IN_STAGING), "bad in staging")
    repo.protect("main")
    made.daemon.until(lambda: pulls(repo), "a pull request is open")
    (revert,) = pulls(repo)
    assert revert["title"] == f"Revert {SERVICE} to {GOOD} in staging, prod"
    assert "Reconciler-Action: revert" in revert["body"]
    merge(made, repo, revert["number"])
    made.daemon.until(lambda: made.pinned("staging") == digest(GOOD), "it is merged")
    made.daemon.until(
        lambda: made.daemon.is_proven(SERVICE, "staging", GOOD), "nothing is owed any more"
    )
