"""Which remote addresses and branch names are taken; what is refused is never repeated."""

from __future__ import annotations

import pytest

from reconciler.adapters.git.addresses import RemoteAddress, Transport, check_branch, parse_address
from reconciler.errors import InvalidInput

CANARY = "canary-secret"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (
            "https://git.example.com/env.git",
            RemoteAddress(
                "https://git.example.com/env.git", Transport.HTTPS, "git.example.com", 443
            ),
        ),
        (
            "https://[2001:db8::1]:8443/a/env.git",
            RemoteAddress(
                "https://[2001:db8::1]:8443/a/env.git", Transport.HTTPS, "2001:db8::1", 8443
            ),
        ),
        (
            "http://127.0.0.1:8080/env.git",
            RemoteAddress("http://127.0.0.1:8080/env.git", Transport.HTTP, "127.0.0.1", 8080),
        ),
        (
            "http://[::1]/env.git",
            RemoteAddress("http://[::1]/env.git", Transport.HTTP, "::1", 80),
        ),
        (
            "ssh://git@git.example.com:2222/env.git",
            RemoteAddress(
                "ssh://git@git.example.com:2222/env.git",
                Transport.SSH,
                "git.example.com",
                2222,
                "git",
            ),
        ),
        (
            "git@git.example.com:org/env.git",
            RemoteAddress(
                "git@git.example.com:org/env.git", Transport.SSH, "git.example.com", 22, "git"
            ),
        ),
        ("/srv/git/env.git", RemoteAddress("/srv/git/env.git", Transport.LOCAL)),
    ],
)
def test_an_address_is_taken(text: str, address: RemoteAddress) -> None:
    assert parse_address(text) == address


def test_only_a_local_path_cannot_be_pushed_to() -> None:
    assert not parse_address("/srv/git/env.git").can_push
    for text in ("https://h/r", "http://localhost/r", "ssh://h/r", "git@h:r"):
        assert parse_address(text).can_push


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("nothing", ""),
        ("a helper that runs a program", "ext::sh -c touch% /tmp/owned"),
        ("a helper without spaces", "ext::sh"),
        ("a helper by another name", "fd::17"),
        ("a helper before a URL", "transport::https://git.example.com/env.git"),
        ("a file URL", "file:///srv/git/env.git"),
        ("a file URL in capitals", "FILE:///srv/git/env.git"),
        ("git's own protocol, which checks nobody", "git://git.example.com/env.git"),
        ("ftp", "ftp://git.example.com/env.git"),
        ("plain http to another machine", "http://git.example.com/env.git"),
        ("plain http to a name that only looks local", "http://localhost.example.com/env.git"),
        ("an option", "--upload-pack=touch /tmp/owned"),
        ("an option as a path", "-x"),
        ("an option as an ssh host", "ssh://-oProxyCommand=touch/env.git"),
        ("an option as an ssh user", "ssh://-oProxyCommand=x@git.example.com/env.git"),
        ("an option as an scp host", "-oProxyCommand=touch:env.git"),
        ("an option as an scp user", "-x@git.example.com:env.git"),
        ("an option as an scp path", "git@git.example.com:-x"),
        ("an option as an ssh path", "ssh://git.example.com/-x"),
        ("a newline", "https://git.example.com/env.git\nhost: other"),
        ("a newline in percent signs", "https://git.example.com/env%0a.git"),
        ("a NUL", "https://git.example.com/env\0.git"),
        ("a NUL in percent signs", "https://git.example.com/env%00.git"),
        ("a space", "https://git.example.com/env .git"),
        ("a line separator", "https://git.example.com/env\u2028.git"),
        ("a password", f"https://user:{CANARY}@git.example.com/env.git"),
        ("a token as the user", f"https://{CANARY}@git.example.com/env.git"),
        ("an ssh password", f"ssh://git:{CANARY}@git.example.com/env.git"),
        ("a token in the query", f"https://git.example.com/env.git?token={CANARY}"),
        ("a token in the fragment", f"https://git.example.com/env.git#{CANARY}"),
        ("no host", "https:///env.git"),
        ("no repo", "https://git.example.com/"),
        ("a port that is no number", "https://git.example.com:x/env.git"),
        ("a port out of range", "https://git.example.com:99999/env.git"),
        ("a relative path", "../env.git"),
        ("a name alone", "env"),
        ("a host with a percent sign", "https://git%2eexample.com/env.git"),
        ("a bracket left open", "https://[::1/env.git"),
        ("4 KiB", "https://git.example.com/" + "a" * 4096),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" not in value else "",
)
def test_it_is_refused_and_not_repeated(case: str, text: str) -> None:
    del case
    with pytest.raises(InvalidInput) as refusal:
        parse_address(text)
    assert refusal.value.object == "repo.url"
    assert CANARY not in str(refusal.value)
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("branch", ["main", "release/1.x", "команда"])
def test_a_branch_is_taken(branch: str) -> None:
    check_branch(branch)


@pytest.mark.parametrize(
    "branch",
    [
        "",
        "-main",
        "--upload-pack=x",
        "a..b",
        "a b",
        "a\nb",
        "a\0b",
        "main.lock",
        "refs/../main",
        "a~1",
        "a^",
        "a:b",
        "@{-1}",
        "a//b",
        "/a",
        "a/",
        ".a",
        "a\\b",
        "a*",
    ],
)
def test_a_branch_is_refused(branch: str) -> None:
    with pytest.raises(InvalidInput, match=r"repo\.branch"):
        check_branch(branch)
