"""Each thing that libgit2 and the system say has its place in our error tree, and no secret in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pygit2
import pytest

from reconciler.adapters.git.callbacks import read_token
from reconciler.adapters.git.errors import (
    LIBRARY_ERRORS,
    MirrorBroken,
    clean,
    translate,
    translated,
)
from reconciler.adapters.git.exchange import told
from reconciler.adapters.git.host_keys import HostKeys, read_host_keys
from reconciler.errors import (
    Denied,
    InvalidInput,
    OperatorError,
    ReconcilerError,
    Throttled,
    TransientError,
    Unreachable,
)

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIJ2ltIk7fPkGsD0LnXcGcS0bcHE0qIRAKEdgWJnLMGxq"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (pygit2.GitError("could not write: No space left on device"), OperatorError),
        (OSError(27, "File too large"), OperatorError),
        (OSError(30, "Read-only file system"), OperatorError),
        (OSError(24, "Too many open files"), OperatorError),
        (MemoryError(), OperatorError),
        (pygit2.GitError("the SSL certificate is invalid"), Denied),
        (pygit2.GitError("invalid or unknown remote ssh hostkey"), Denied),
        (pygit2.GitError("unexpected http status code: 401"), Denied),
        (pygit2.GitError("unexpected http status code: 403"), Denied),
        (pygit2.GitError("unexpected http status code: 404"), InvalidInput),
        (pygit2.GitError("unexpected http status code: 429"), Throttled),
        (pygit2.GitError("unexpected http status code: 500"), Unreachable),
        (pygit2.GitError("unexpected http status code: 503"), Unreachable),
        (pygit2.GitError("too many redirects or authentication replays"), Denied),
        (pygit2.GitError("failed to connect to h: Connection refused"), Unreachable),
        (
            pygit2.GitError("failed to resolve address for h: Name or service not known"),
            Unreachable,
        ),
        (KeyError("object not found - no match for id (1111)"), MirrorBroken),
        (pygit2.GitError("failed to inflate: zlib"), MirrorBroken),
        (pygit2.CertificateError("user rejected it"), Denied),
        (pygit2.AuthError("no more of them"), Denied),
        (TimeoutError("timed out"), Unreachable),
        (subprocess.TimeoutExpired("git", 1), Unreachable),
        (pygit2.GitError("something nobody has seen yet"), Unreachable),
        (ValueError(""), Unreachable),
    ],
)
def test_it_becomes(error: Exception, kind: type[ReconcilerError]) -> None:
    made = translate(error, object="repo x", what="the fetch failed")
    assert type(made) is kind
    assert made.object == "repo x" and made.why


def test_an_error_of_ours_stays_as_it_is() -> None:
    ours = Denied("a", "b", "c")
    assert translate(ours, object="x", what="y") is ours


@pytest.mark.parametrize("kind", LIBRARY_ERRORS)
def test_every_class_of_the_libraries_is_translated(kind: type[Exception]) -> None:
    with pytest.raises(ReconcilerError), translated(object="x", what="y"):
        raise kind("boom")


def test_every_class_that_pygit2_defines_is_one_of_those() -> None:
    classes = {
        value
        for value in vars(pygit2).values()
        if isinstance(value, type) and issubclass(value, BaseException)
    }
    # Raised by callbacks only, and ours do not.
    classes -= {pygit2.Passthrough}
    assert classes and all(issubclass(one, LIBRARY_ERRORS) for one in classes)


def test_our_own_bug_is_not_translated() -> None:
    with pytest.raises(TypeError), translated(object="x", what="y"):
        raise TypeError("ours")


def test_words_are_cleaned_of_user_parts_control_characters_and_length() -> None:
    said = clean("failed: https://user:canary@h/r \x1b[31m\u202ered\r\n" + "x" * 9_000)
    assert "canary" not in said and said.isprintable() and len(said) <= 500
    assert said.startswith("failed: https://h/r  [31m red x")


@pytest.mark.parametrize("kind", [Denied, InvalidInput, TransientError, Throttled, MirrorBroken])
def test_an_error_crosses_the_process_border_as_what_it_is(kind: type[ReconcilerError]) -> None:
    assert told(kind("a", "b", "c", "d"))["error"] == {
        "kind": kind.__name__,
        "object": "a",
        "what": "b",
        "why": "c",
        "fix": "d",
    }


def test_a_token_is_read_without_the_end_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token\n")
    assert read_token(str(tmp_path / "token")) == "a-token"
    assert read_token(None) is None


@pytest.mark.parametrize(
    ("case", "content"),
    [
        ("empty", b""),
        ("only white space", b" \n"),
        ("two lines", b"one\ntwo\n"),
        ("a control character", b"to\x00ken"),
        ("not UTF-8", b"\xff\xfe"),
        ("17 KiB", b"x" * 17 * 1024),
    ],
)
def test_a_token_file_is_refused(case: str, content: bytes, tmp_path: Path) -> None:
    del case
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"repo\.token_file"):
        read_token(str(path))


@pytest.mark.parametrize(
    ("case", "line", "is_known"),
    [
        ("a plain name", f"git.example.com ssh-ed25519 {KEY}", True),
        ("one of several names", f"a,git.example.com ssh-ed25519 {KEY}", True),
        ("a comment behind it", f"git.example.com ssh-ed25519 {KEY} a comment", True),
        (
            "a hashed name",
            f"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-ed25519 {KEY}",
            False,
        ),
        ("another host", f"git.example.org ssh-ed25519 {KEY}", False),
        ("another port", f"[git.example.com]:2222 ssh-ed25519 {KEY}", False),
        ("a wildcard, which libssh2 does not obey", f"*.example.com ssh-ed25519 {KEY}", False),
        ("a comment", f"# git.example.com ssh-ed25519 {KEY}", False),
    ],
)
def test_a_line_names_a_host(case: str, line: str, is_known: bool, tmp_path: Path) -> None:
    del case
    path = tmp_path / "known_hosts"
    path.write_text(f"\n{line}\n")
    assert read_host_keys(path).knows("git.example.com", 22) is is_known


@pytest.mark.parametrize(
    ("case", "content"),
    [
        ("a revoked key", f"@revoked git.example.com ssh-ed25519 {KEY}\n".encode()),
        ("a CA", f"@cert-authority *.example.com ssh-ed25519 {KEY}\n".encode()),
        ("half a line", b"git.example.com ssh-ed25519\n"),
        ("no base64", b"git.example.com ssh-ed25519 !!!!\n"),
        ("not ASCII", "gít ssh-ed25519 x\n".encode()),
        ("2 MiB", b"# x\n" * 512 * 1024),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_host_keys_are_refused(case: str, content: bytes, tmp_path: Path) -> None:
    del case
    path = tmp_path / "known_hosts"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="known_hosts"):
        read_host_keys(path)


def test_a_host_key_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        read_host_keys(tmp_path / "none")


def test_without_a_file_no_host_is_known() -> None:
    assert read_host_keys(None) == HostKeys(())
