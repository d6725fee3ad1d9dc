"""Checks of a real forge: a daemon whose env repo is in a Gitea lets in what the Gitea says has passed."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.forges.gitea import BOT, Gitea, GiteaRepo, serve_gitea
from tests.system.documents import check
from tests.system.envrepo import digest, env_repo, pins, policy
from tests.system.served import cli
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = pytest.mark.xdist_group("gitea")

GOOD, NEWER = "1.0.0", "1.1.0"
CHECK = "CI / unit (push)"
RULES = policy(soak_s=0.3).replace("  prod: {", f"  prod: {{commit_statuses: ['{CHECK}'], ")


@pytest.fixture(scope="module")
def gitea(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gitea]:
    with serve_gitea(tmp_path_factory.mktemp("gitea")) as server:
        yield server


@dataclass(frozen=True, slots=True)
class Forged:
    """A daemon, and the forge that its env repo is in."""

    made: Simulated
    repo: GiteaRepo

    def commit(self, files: Mapping[str, bytes | None], *, new: bool = False) -> str:
        """Commits files as people do at the forge; returns the commit."""
        changes = []
        for path, octets in files.items():
            change: dict[str, Any] = {"operation": "create", "path": path}
            if not new:
                change |= {
                    "operation": "update",
                    "sha": self.repo.api("GET", f"/contents/{path}")["sha"],
                }
            changes.append(change | {"content": base64.b64encode(octets or b"").decode()})
        body = {"files": changes, "message": "A change", "branch": "main"}
        return str(self.repo.api("POST", "/contents", body)["commit"]["sha"])

    def gate(self) -> tuple[str, str, str]:
        """Returns the gate of prod's checks, as `explain` has it."""
        config = str(self.made.daemon.settings_file)
        told = cli("explain", SERVICE, "prod", "--config", config, "-o", "json")
        check("explain", told.document)
        (row,) = told.document["environments"]
        (gate,) = (gate for gate in row["gates"] if gate["name"] == "ChecksPassed")
        return gate["state"], gate["reason"], gate["message"]

    def until_held(self, reason: str, words: str) -> None:
        """Waits until prod is held for a reason, in some words."""

        def is_held() -> bool:
            cell = self.made.daemon.cell(SERVICE, "prod")
            return bool(cell and cell["reason"] == reason and words in cell["message"])

        self.made.daemon.until(is_held, f"prod is held as {reason}: {words}")


@pytest.fixture
def forged(gitea: Gitea, tmp_path: Path) -> Iterator[Forged]:
    repo = gitea.repo()
    token = tmp_path / "token"
    token.write_text(repo.token)
    forge = {"kind": "gitea", "url": repo.url, "token_file": str(token)}
    with simulated(tmp_path / "daemon", settings={"forge": forge}) as made:
        reached = {"url": f"{repo.url}.git", "username": BOT, "token_file": str(token)}
        made.daemon.settings["repo"] = {**reached, "poll_s": 0.5}
        yield Forged(made, repo)


def test_prod_takes_what_has_passed_at_the_forge_and_nothing_else(forged: Forged) -> None:
    made, repo = forged.made, forged.repo
    first = forged.commit(
        {**env_repo([SERVICE], SERVICE, policy_text=RULES), **pins(SERVICE, GOOD)}, new=True
    )
    made.daemon.start()
    made.wait_proven("staging", GOOD)
    forged.until_held("WaitingForChecks", f"{first[:12]}: not passed yet: {CHECK}")
    assert forged.gate()[:2] == ("closed", "WaitingForChecks")
    repo.says(first, CHECK, "success")
    made.wait_proven("prod", GOOD)

    newer = forged.commit(pins(SERVICE, NEWER))
    repo.says(newer, CHECK, "failure", "2 of 300 tests")
    made.wait_proven("staging", NEWER)
    forged.until_held("WaitingForChecks", f"{newer[:12]}: failed: {CHECK} (failure)")
    assert not made.saw("prod-1", digest(NEWER))
    repo.says(newer, CHECK, "success")
    made.wait_proven("prod", NEWER)


def test_a_forge_that_refuses_our_token_holds_what_needs_it_and_nothing_else(
    forged: Forged, tmp_path: Path
) -> None:
    made, repo = forged.made, forged.repo
    wrong = tmp_path / "wrong"
    wrong.write_text("0" * 40)
    made.daemon.settings["forge"]["token_file"] = str(wrong)
    first = forged.commit(
        {**env_repo([SERVICE], SERVICE, policy_text=RULES), **pins(SERVICE, GOOD)}, new=True
    )
    repo.says(first, CHECK, "success")
    made.daemon.start()
    made.wait_proven("staging", GOOD)
    forged.until_held("ChecksUnknown", "HTTP 401")
    assert made.image("prod-1") is None
    assert forged.gate()[:2] == ("unknown", "ChecksUnknown")
    # The file is read again at each question.
    wrong.write_text(repo.token)
    made.wait_proven("prod", GOOD)
    assert repo.token not in made.daemon.log.read_text()
