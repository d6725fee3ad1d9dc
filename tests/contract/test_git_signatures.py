"""Commits that the real git signed with keys of the real ssh-keygen."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.git.local import local_history
from reconciler.adapters.git.signatures import LIST_BYTES_MAX, AllowedSigners
from reconciler.errors import InvalidInput
from reconciler.model.names import CommitId
from tests.contract.test_git_local import git
from tests.gitservers.ssh import make_key


class Signing:
    """A checkout, keys, and the list of those who may sign."""

    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        git(self.work, "init", "--quiet", "--initial-branch=main")
        self.keys = {kind: make_key(folder / kind, kind) for kind in ("ed25519", "rsa", "ecdsa")}
        self.list = folder / "allowed_signers"
        self.list.write_text(f"# the platform team\n\nkim@example.com {self.public('ed25519')}\n")

    def public(self, kind: str) -> str:
        return self.keys[kind].with_suffix(".pub").read_text().strip()

    def commit(self, kind: str | None = None) -> CommitId:
        """Commits, signed with a key or with none."""
        sign = ["--no-gpg-sign"]
        if kind is not None:
            git(self.work, "config", "gpg.format", "ssh")
            git(self.work, "config", "user.signingkey", str(self.keys[kind]))
            sign = ["--gpg-sign"]
        git(self.work, "commit", "--quiet", "--allow-empty", "--message", "a change", *sign)
        return CommitId(git(self.work, "rev-parse", "HEAD"))

    def signer_of(self, commit: CommitId) -> str | None:
        history = local_history(self.work)
        assert history is not None
        return AllowedSigners(self.list, history).signer_of(commit)

    def forged(self, old: str, new: str) -> CommitId:
        """Returns a copy of HEAD with other words in it, signature and all."""
        octets = git(self.work, "cat-file", "commit", "HEAD").replace(old, new, 1)
        done = subprocess.run(
            ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
            cwd=self.work, input=(octets + "\n").encode(), capture_output=True, check=True,
        )  # fmt: skip
        return CommitId(done.stdout.decode().strip())


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    return Signing(tmp_path)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
@pytest.mark.parametrize("options", ["", 'namespaces="git" ', 'namespaces="file,git" '])
def test_who_is_in_the_list_is_named(signing: Signing, kind: str, options: str) -> None:
    signing.list.write_text(f"kim@example.com {options}{signing.public(kind)}\n")
    assert signing.signer_of(signing.commit(kind)) == "kim@example.com"


def test_a_commit_without_a_signature_is_nobodys(signing: Signing) -> None:
    assert signing.signer_of(signing.commit()) is None


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_a_key_that_is_not_in_the_list_is_nobodys(signing: Signing, kind: str) -> None:
    assert signing.signer_of(signing.commit(kind)) is None


def test_the_list_is_read_again_at_every_use(signing: Signing) -> None:
    commit = signing.commit("rsa")
    assert signing.signer_of(commit) is None
    signing.list.write_text(f"lee@example.com {signing.public('rsa')}\n")
    assert signing.signer_of(commit) == "lee@example.com"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a change", "another change"),
        ("-----BEGIN SSH SIGNATURE-----", "-----BEGIN PGP SIGNATURE-----"),
        ("\n ", "\n A"),
        ("U1NIU0lH", "AAAAAAAA"),
        ("U1NIU0lH", "%%%%%%%%"),
        ("U1NIU0lHAAAAAQ", "U1NIU0lHAAAACQ"),
        ("U1NIU0lHAAAAAQAAADM", "U1NIU0lHAAAAAf////8"),
    ],
)
def test_a_forged_signature_is_nobodys(signing: Signing, old: str, new: str) -> None:
    signing.commit("ed25519")
    forged = signing.forged(old, new)
    assert forged != git(signing.work, "rev-parse", "HEAD")
    assert signing.signer_of(forged) is None


def test_a_signature_for_something_else_than_git_is_nobodys(signing: Signing) -> None:
    signing.commit()
    plain = git(signing.work, "cat-file", "commit", "HEAD") + "\n"
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", str(signing.keys["ed25519"])],
        input=plain.encode(), capture_output=True, check=True,
    )  # fmt: skip
    lines = done.stdout.decode().strip().splitlines()
    header = "gpgsig " + "\n ".join(lines)
    assert signing.signer_of(signing.forged("\n\n", f"\n{header}\n\n")) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 0),
        ("# nobody\n", 0),
        ("kim@example.com\n", 1),
        ("# one\nkim@example.com ssh-ed25519\n", 2),
        ("kim@example.com ssh-ed25519 not-base64!\n", 1),
        ("kim@example.com ssh-ed25519 AAAA\n", 1),
        ("kim@example.com cert-authority {ed25519}\n", 1),
        ('kim@example.com valid-before="20200101" {ed25519}\n', 1),
        ('kim@example.com namespaces="file" {ed25519}\n', 1),
        ('kim@example.com unknown="x" {ed25519}\n', 1),
        ("kim@example.com {ecdsa}\n", 1),
        ('"kim@example.com {ed25519}\n', 1),
        ("\x00\xff\n", 1),
        ("LONG", 0),
    ],
)
def test_a_list_that_cannot_be_kept_lets_nobody_in(signing: Signing, text: str, line: int) -> None:
    commit = signing.commit("ed25519")
    text = text.replace("LONG", "#" * (LIST_BYTES_MAX + 1))
    for kind in signing.keys:
        text = text.replace(f"{{{kind}}}", signing.public(kind))
    signing.list.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        signing.signer_of(commit)
    where = f"{signing.list}:{line}: " if line else f"{signing.list}: "
    assert str(caught.value).startswith(where)


def test_a_list_that_is_not_there_lets_nobody_in(signing: Signing) -> None:
    commit = signing.commit("ed25519")
    signing.list.unlink()
    with pytest.raises(InvalidInput, match="No such file"):
        signing.signer_of(commit)
