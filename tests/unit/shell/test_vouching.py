"""No commit is followed that changes the fleet, a policy or a quarantine without a trusted signature."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import InvalidInput
from reconciler.model.env_repo import QuarantineEntry, Snapshot
from reconciler.model.names import CommitId
from reconciler.schema.edit import add_entry
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.runner import VirtualClock
from reconciler.shell.vouching import Vouching
from tests.fakes.facts import V1, entry, rejection
from tests.fakes.memory_git import MemoryGit
from tests.fakes.world import FLEET, POLICY, env_repo, pins

FASTER = {"policies/line.yaml": POLICY.replace("DRIFT", "report").replace("soak_s: 5", "soak_s: 1")}
LARGER = {"fleet.yaml": FLEET.replace("dev-1", "dev-2")}
PATH = "quarantine/web.yaml"
ENTRY = entry(rejection(V1))


class Repo:
    """A branch whose first commit was accepted, and those who sign.

    Args:
        root: The subfolder that is the env repo.
    """

    def __init__(self, root: str = "") -> None:
        self.git = MemoryGit(VirtualClock())
        self.root = root
        self.signed: set[CommitId] = set()
        self.accepted: CommitId | None = self.merge(env_repo())

    def merge(self, edits: dict[str, str], *, signed: bool = False) -> CommitId:
        """Merges a change, signed or not."""
        prefix = f"{self.root}/" if self.root else ""
        commit = self.git.merge({prefix + path: text for path, text in edits.items()})
        if signed:
            self.signed.add(commit)
        return commit

    def signer_of(self, commit: CommitId) -> str | None:
        return "a person" if commit in self.signed else None

    def check(self, *, is_limited: bool = True) -> None:
        """Checks HEAD against what was accepted last."""

        def read(commit: CommitId) -> Snapshot:
            return read_snapshot(self.git, commit, root=self.root)

        vouching = Vouching(self.git, self.root, read, self if is_limited else None)
        vouching.check(self.accepted, read(self.git.fetch()))

    def refusal(self) -> str:
        """Returns why HEAD is refused."""
        with pytest.raises(InvalidInput) as caught:
            self.check()
        return str(caught.value)


@pytest.fixture
def repo() -> Repo:
    return Repo()


@pytest.mark.parametrize("edits", [FASTER, LARGER])
def test_an_unsigned_change_is_refused_by_file_and_commit(
    repo: Repo, edits: dict[str, str]
) -> None:
    commit = repo.merge(edits)
    assert f"{min(edits)} by {commit}" in repo.refusal()


@pytest.mark.parametrize("edits", [FASTER, LARGER])
def test_a_signed_change_is_followed(repo: Repo, edits: dict[str, str]) -> None:
    repo.merge(edits, signed=True)
    repo.check()


def test_pins_and_services_need_no_signature(repo: Repo) -> None:
    repo.merge(pins("1"))
    repo.merge({"services/web/extra.yaml": ""})
    repo.check()


def test_a_signature_vouches_for_the_file_as_it_stands(repo: Repo) -> None:
    repo.merge(FASTER)
    repo.merge({"policies/line.yaml": FASTER["policies/line.yaml"] + "# looked at\n"}, signed=True)
    repo.merge(pins("1"))
    repo.check()


def test_an_unsigned_change_after_a_signed_one_is_refused(repo: Repo) -> None:
    repo.merge(FASTER, signed=True)
    later = repo.merge({"policies/line.yaml": FASTER["policies/line.yaml"] + "# later\n"})
    assert str(later) in repo.refusal()


def test_a_change_that_was_taken_back_is_none(repo: Repo) -> None:
    repo.merge(FASTER)
    repo.merge({"policies/line.yaml": env_repo()["policies/line.yaml"]})
    repo.check()


def test_a_policy_that_is_taken_away_is_a_change(repo: Repo) -> None:
    repo.merge({"policies/other.yaml": env_repo()["policies/line.yaml"]}, signed=True)
    repo.accepted = repo.git.fetch()
    repo.git.merge({"policies/other.yaml": None})
    assert "policies/other.yaml" in repo.refusal()


def test_where_nothing_was_accepted_all_of_it_must_be_signed(repo: Repo) -> None:
    repo.accepted = None
    assert "fleet.yaml" in repo.refusal()
    assert "policies/line.yaml" in repo.refusal()
    repo.merge(
        {path: text + "\n" for path, text in env_repo().items() if "services" not in path},
        signed=True,
    )
    repo.check()


def test_a_rewritten_branch_is_all_new(repo: Repo) -> None:
    repo.accepted = CommitId("0123456789" * 4)
    assert "fleet.yaml" in repo.refusal()


def test_files_are_looked_for_in_the_subfolder() -> None:
    repo = Repo("deploy")
    commit = repo.merge(FASTER)
    assert f"policies/line.yaml by {commit}" in repo.refusal()
    repo.merge({"policies/line.yaml": FASTER["policies/line.yaml"] + "# more\n"}, signed=True)
    repo.git.merge({"fleet.yaml": "of somebody else"})
    repo.check()


def test_many_files_are_counted(repo: Repo) -> None:
    text = env_repo()["policies/line.yaml"]
    repo.merge({f"policies/p{number}.yaml": text for number in range(8)})
    assert repo.refusal().count("policies/") == 5
    assert " and 3 more" in repo.refusal()


def quarantine(*entries: QuarantineEntry) -> str:
    octets: bytes | None = None
    for each in entries:
        octets = add_entry(PATH, octets, each)
    assert octets is not None
    return octets.decode()


def test_the_daemon_may_quarantine_without_a_key(repo: Repo) -> None:
    repo.merge({PATH: quarantine(ENTRY)})
    repo.check()
    repo.accepted = repo.git.fetch()
    repo.merge({PATH: quarantine(ENTRY, replace(ENTRY, rejected_at="2026-11-25T03:00:00Z"))})
    repo.check()


@pytest.mark.parametrize(
    "text",
    [
        quarantine(replace(ENTRY, lifted="it was the network")),
        quarantine(replace(ENTRY, version="9")),
        "entries: []\n",
        "entries: [\n",
        None,
    ],
)
def test_only_who_may_sign_may_lift_or_take_out(repo: Repo, text: str | None) -> None:
    repo.merge({PATH: quarantine(ENTRY)})
    repo.accepted = repo.git.fetch()
    commit = repo.git.merge({PATH: text})
    assert f"{PATH} by {commit}" in repo.refusal()
    repo.signed.add(commit)
    repo.check()


def test_a_broken_quarantine_is_put_right_by_who_may_sign(repo: Repo) -> None:
    repo.merge({PATH: "entries: [\n"})
    repo.accepted = repo.git.fetch()
    repo.merge({PATH: quarantine(ENTRY)})
    assert PATH in repo.refusal()


def test_without_a_list_whoever_can_merge_may(repo: Repo) -> None:
    repo.merge(FASTER)
    repo.check(is_limited=False)
