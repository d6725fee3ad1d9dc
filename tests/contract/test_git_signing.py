"""Signatures of a person's keys, made by the real ssh-keygen, and what it does with a key that is none."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from sshsig import check_signature

from reconciler.adapters.git.signatures import NAMESPACE
from reconciler.adapters.git.signing import SigningKey, signing_key
from reconciler.errors import InvalidInput
from tests.gitservers.ssh import make_key

TEXT = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nA change\n"


def signed_by(key: str) -> str:
    """Returns the public key of a signature that holds."""
    signature = SigningKey(key, is_asked_for=True).sign(TEXT)
    return check_signature(TEXT, signature, NAMESPACE).openssh_str()


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_key_in_a_file_signs(tmp_path: Path, kind: str) -> None:
    key = make_key(tmp_path / "key", kind)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    assert signed_by(str(key)).startswith(public)


def test_a_key_that_an_agent_holds_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, socket = make_key(tmp_path / "key"), tmp_path / "agent"
    public = key.with_suffix(".pub").read_text().strip()
    with subprocess.Popen(
        ["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL
    ) as agent:
        try:
            until_s = time.monotonic() + 10
            while not socket.exists() and time.monotonic() < until_s:
                os.sched_yield()
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            subprocess.run(["ssh-add", "-q", str(key)], check=True, capture_output=True)
            key.unlink()
            for said in (public, f"key::{public}"):
                assert signed_by(said).startswith(" ".join(public.split()[:2]))
        finally:
            agent.terminate()


@pytest.mark.parametrize("key", ["/nowhere/key", "key::ssh-ed25519 nonsense", "a\0b"])
def test_what_is_no_key_is_told_with_its_name(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(InvalidInput, match="the commit cannot be signed"):
        SigningKey(key, is_asked_for=True).sign(TEXT)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ("", None),
        ("[user]\nsigningkey = ~/key\n", None),
        ("[user]\nsigningkey = 4AEE18F83AFDEB23\n[gpg]\nformat = openpgp\n", None),
        ("[user]\nsigningkey = -x\n[gpg]\nformat = ssh\n", None),
        ("[user]\nsigningkey = ~/key\n[gpg]\nformat = ssh\n", SigningKey("~/key", False)),
        (
            "[user]\nsigningkey = ~/key\n[gpg]\nformat = ssh\n[commit]\ngpgsign = Yes\n",
            SigningKey("~/key", True),
        ),
    ],
)
def test_the_key_of_a_git_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, found: SigningKey | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    (tmp_path / ".gitconfig").write_text(config)
    assert signing_key(None) == found
    assert signing_key("mine") == SigningKey("mine", is_asked_for=True)
    for nothing in ("", " ", "-f"):
        with pytest.raises(InvalidInput, match="it names no key"):
            signing_key(nothing)
