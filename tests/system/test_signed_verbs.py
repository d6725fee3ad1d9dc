"""Verbs whose commits are signed with real SSH keys: followed where the key may, else refused before the push."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import CRASHES_IN_STAGING
from tests.gitservers.ssh import make_key
from tests.system.documents import check
from tests.system.envrepo import digest, env_repo, policy
from tests.system.served import Told, cli
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server]

GOOD, NEWER = "1.0.0", "1.1.0"
KIM, LEE = "kim@example.com", "lee@example.com"
PIN = f"environments/prod/{SERVICE}.yaml"


@dataclass(frozen=True, slots=True)
class Signed:
    """An installation that follows changes of the rules by two people, and whoever runs commands on it.

    Attributes:
        keys: By who holds them; Eve's is on no list.
        home: Of whoever runs the commands.
    """

    made: Simulated
    folder: Path
    keys: dict[str, Path]
    home: Path

    def use(self, who: str | None, *, always: bool = False) -> None:
        """Writes the person's Git config: with somebody's key, or without one."""
        lines = [
            "[user]",
            f"\tname = {who or 'Nobody'}",
            f"\temail = {who or 'nobody@example.com'}",
        ]
        if who is not None:
            lines += [f"\tsigningkey = {self.keys[who]}", "[gpg]", "\tformat = ssh"]
            lines += ["[commit]", f"\tgpgsign = {str(always).lower()}"]
        (self.home / ".gitconfig").write_text("\n".join(lines) + "\n")

    def verb(self, *arguments: str) -> Told:
        variables = {
            "RECONCILER_CONFIG": str(self.made.daemon.settings_file),
            "RECONCILER_STATE_DIR": str(self.folder / "looking"),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "none"),
        }
        told = cli(*arguments, "--reason", "checkout is down", "-o", "json", variables=variables)
        check(arguments[0], told.document)
        return told

    def refused(self, *arguments: str, why: str) -> None:
        head = self.made.head()
        told = self.verb(*arguments)
        (error,) = told.document["errors"]
        assert told.code == 2
        assert why in error["why"], error
        assert self.made.head() == head, "nothing was pushed"

    def followed(self, *arguments: str) -> str:
        told = self.verb(*arguments)
        assert told.code == 0, told.document["errors"]
        commit = str(told.document["commit"])
        daemon = self.made.daemon
        daemon.until(lambda: daemon.status()["head"]["accepted"] == commit, "it is followed")
        return commit

    def signer(self, commit: str) -> str:
        """Returns as whom the real git takes a commit to be signed."""
        allowed = f"gpg.ssh.allowedSignersFile={self.folder / 'allowed_signers'}"
        return self.made.served.repository.git("-c", allowed, "log", "-1", "--format=%GS", commit)


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[Signed]:
    keys = {who: make_key(tmp_path / who) for who in (KIM, LEE, "eve@example.com")}
    allowed = tmp_path / "allowed_signers"
    lines = [f"{who} {keys[who].with_suffix('.com.pub').read_text()}" for who in (KIM, LEE)]
    allowed.write_text("".join(lines))
    (tmp_path / "home").mkdir()
    with simulated(tmp_path / "daemon") as made:
        made.daemon.settings["repo"] |= {"allowed_signers_file": str(allowed)}
        hotfix = f"hotfix: {{by: [{KIM}], gates: [soak, freeze]}}"
        rules = policy(soak_s=0.3).replace("waves: ", f"{hotfix}, waves: ")
        files = {**env_repo([SERVICE], SERVICE, policy_text=rules), **made.pins(GOOD)}
        made.served.repository.commit(files, key=keys[KIM])
        made.daemon.start()
        made.wait_proven("prod", GOOD)
        yield Signed(made, tmp_path, keys, tmp_path / "home")


def test_a_verb_that_changes_the_rules_is_signed_as_git_would_or_refused_before_the_push(
    signed: Signed,
) -> None:
    freeze = ("freeze", "environment/prod")
    signed.use(None)
    signed.refused(*freeze, why="may change it, and this commit is not signed")
    signed.use("eve@example.com")
    signed.refused(*freeze, why="does not name the key")
    signed.refused(*freeze, "--signing-key", "/nowhere/key", why="/nowhere/key")
    signed.use(LEE)
    assert signed.signer(signed.followed(*freeze)) == LEE
    signed.use(None)
    thaw = ("thaw", "environment/prod", "--signing-key", str(signed.keys[KIM]))
    assert signed.signer(signed.followed(*thaw)) == KIM

    signed.use(LEE)
    assert signed.signer(signed.followed("pause", SERVICE, "prod")) == "", "nobody asks for it"
    signed.use(LEE, always=True)
    assert signed.signer(signed.followed("resume", SERVICE, "prod")) == LEE


def test_a_hotfix_past_a_freeze_is_signed_by_one_whom_the_policy_names(signed: Signed) -> None:
    made = signed.made
    signed.use(LEE)
    signed.followed("freeze", "environment/prod")
    made.merge(made.pins(NEWER), "release 1.1.0")
    made.wait_proven("staging", NEWER)
    made.daemon.until(lambda: made.daemon.reason(SERVICE, "prod") == "Frozen", "it is frozen")
    hotfix = ("promote", SERVICE, "prod", "--skip", "soak,freeze")
    signed.refused(*hotfix, why=f"it is signed by {LEE}, and the policy lets {KIM} skip")
    signed.refused(
        *("promote", SERVICE, "prod", "--skip", "window"),
        why="the policy lets nobody skip window there",
    )
    signed.use(KIM)
    commit = signed.followed(*hotfix)
    made.wait_proven("prod", NEWER)
    message = made.served.repository.git("log", "-1", "--format=%B", commit)
    for line in ("Action: promote", "Skip: soak, freeze", "Reason: checkout is down"):
        assert f"\nReconciler-{line}\n" in message + "\n"
    pin = made.served.repository.read(PIN)
    assert pin.startswith(
        f"# who: the {SERVICE} team\nskip: {{gates: [soak, freeze], revision: 'sha256:"
    )
    assert digest(NEWER) in pin
    logged = made.daemon.logged("Admitted", environment="prod", reason="Skipped")
    assert [one["message"] for one in logged] == [f"{KIM} skips freeze: checkout is down"]
    # The next one inherits nothing.
    made.merge(made.pins("1.2.0"), "release 1.2.0")
    made.wait_proven("staging", "1.2.0")
    made.daemon.until(lambda: made.daemon.reason(SERVICE, "prod") == "Frozen", "it is frozen")


def test_in_the_first_environment_what_its_pin_asks_for_is_let_past(signed: Signed) -> None:
    made = signed.made
    signed.use(KIM)
    signed.followed("freeze", "fleet")
    made.merge(made.pins(NEWER), "release 1.1.0")
    made.daemon.until(lambda: made.daemon.reason(SERVICE, "dev") == "Frozen", "it is frozen")
    commit = signed.followed("promote", SERVICE, "dev", "--skip", "freeze")
    made.wait_proven("dev", NEWER)
    assert "delete that line to let a pin float again" in made.served.repository.git(
        "log", "-1", "--format=%B", commit
    )
    made.daemon.until(lambda: made.daemon.reason(SERVICE, "staging") == "Frozen", "no further")


def test_what_was_rejected_is_tried_again_by_who_may_lift_it(signed: Signed) -> None:
    made = signed.made
    made.merge(made.pins(NEWER, marker=CRASHES_IN_STAGING), "release 1.1.0")
    made.daemon.until(made.reverts, "the revert is on the branch")
    made.daemon.until(lambda: followed(made) == made.head(), "and followed")
    signed.use(None)
    retry = ("retry", SERVICE, "staging")
    signed.refused(*retry, why="may change it, and this commit is not signed")
    signed.use(LEE)
    commit = signed.followed(*retry)
    assert signed.signer(commit) == LEE
    made.daemon.until(lambda: made.made_since(commit), "it was tried, and fails as before")
    assert [one.trailers["Action"] for one in made.made_since(commit)] == ["revert"]


def followed(made: Simulated) -> str:
    return str(made.daemon.status()["head"]["accepted"])


def test_without_a_list_nobody_skips_anything(tmp_path: Path) -> None:
    with simulated(tmp_path / "daemon") as made:
        made.start_with(GOOD, policy(soak_s=0.3))
        variables = {
            "RECONCILER_CONFIG": str(made.daemon.settings_file),
            "RECONCILER_STATE_DIR": str(tmp_path / "looking"),
        }
        told = cli(
            *("promote", SERVICE, "prod", "--skip", "soak", "--reason", "x", "-o", "json"),
            variables=variables,
        )
        (error,) = told.document["errors"]
        assert (told.code, error["what"]) == (2, "nothing is skipped")
        assert "no allowed signers are configured" in error["why"]
        told = cli("promote", SERVICE, "prod", "--skip", "approval", "--reason", "x")
        assert (
            told.code == 2 and "'approval' cannot be skipped; soak, window, freeze can" in told.err
        )


def test_git_itself_verifies_what_was_signed(signed: Signed) -> None:
    signed.use(KIM)
    commit = signed.followed("freeze", "fleet", "--for", "1h")
    allowed = f"gpg.ssh.allowedSignersFile={signed.folder / 'allowed_signers'}"
    done = subprocess.run(
        ["git", "-c", allowed, "verify-commit", commit],
        cwd=signed.made.served.repository.path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0 and f'Good "git" signature for {KIM}' in done.stderr
