"""What a forge's adapter makes of bad answers: nothing is known, in time, and no token is told to anybody."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.adapters.forge.gitea import GiteaAccess, open_gitea
from reconciler.errors import (
    Denied,
    InvalidInput,
    OperatorError,
    Refused,
    TransientError,
    Unreachable,
)
from reconciler.model.answers import NotKnown
from reconciler.model.names import CommitId
from reconciler.ports.forge import Forge
from tests.gitservers.certificates import Authority
from tests.hostile import Answering, Bad, HostileServer, says

TOKEN = "canary-forge-token"
COMMIT = CommitId("c" * 40)
PATIENT_S, LIMIT_S, SOON_S = 60.0, 0.6, 20.0
"""An answer may take so long where time is not what is tried, and where it is; it must be given up by then."""

JSON = {"Content_Type": "application/json"}


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer(says(500)) as made:
        yield made


@pytest.fixture
def forge(server: HostileServer, tmp_path: Path) -> Forge:
    return opened(server, tmp_path)


def opened(
    server: HostileServer, folder: Path, ca_file: Path | None = None, timeout_s: float = PATIENT_S
) -> Forge:
    token_file = folder / "token"
    token_file.write_text(f"{TOKEN}\n")
    access = GiteaAccess(f"{server.url}/team/env", token_file, ca_file, timeout_s=timeout_s)
    return open_gitea(access)


def not_known(forge: Forge) -> NotKnown:
    """Returns what every question is answered with."""
    asked = [
        forge.statuses(COMMIT),
        forge.protection("main"),
        forge.pull_request_of("reconciler/x", "main"),
    ]
    for found in asked:
        assert isinstance(found, NotKnown), found
        assert TOKEN not in repr(found) and found.message
    first = asked[0]
    assert isinstance(first, NotKnown)
    return first


WHOLE: dict[str, tuple[Answering, str]] = {
    "a proxy's page": (says(200, b"<html>Sign in</html>"), "Unreachable"),
    "an error": (says(500, b"oops"), "Unreachable"),
    "an error page that looks like an answer": (says(502, b"[]", **JSON), "Unreachable"),
    "no such page, of a proxy": (says(404, b"<html>"), "Unreachable"),
    "no such thing, of Gitea": (says(404, b'{"message": "not found"}', **JSON), "Refused"),
    "it may not": (says(403, b'{"message": "token lacks a scope"}', **JSON), "Denied"),
    "it is not known": (says(401), "Denied"),
    "nothing at all": (says(200), "Unreachable"),
    "no content": (says(204), "Unreachable"),
    "null": (says(200, b"null", X_Total_Count="0"), "Unreachable"),
    "an empty list": (says(200, b"[]", X_Total_Count="0"), "Unreachable"),
    "an empty object": (says(200, b"{}", X_Total_Count="0"), "Unreachable"),
    "deep nesting": (says(200, b"[" * 100_000), "Unreachable"),
    "what is not asked for": (
        says(200, gzip.compress(b"{}"), Content_Encoding="gzip"),
        "Unreachable",
    ),
    "a redirect to nowhere": (says(302), "Unreachable"),
    "a redirect to a file": (says(302, Location="file:///etc/passwd"), "Unreachable"),
    "a redirect with a credential": (says(302, Location="https://a:b@c/"), "Unreachable"),
    "a redirect to itself": (says(302, Location="/again"), "Unreachable"),
    "a redirect to another host": (says(302, Location="http://192.0.2.1/"), "Refused"),
    "a redirect to another port": (says(302, Location="http://127.0.0.1:1/"), "Refused"),
}


@pytest.mark.parametrize(("answer", "reason"), WHOLE.values(), ids=WHOLE.keys())
def test_a_bad_answer_is_none(
    answer: Answering, reason: str, server: HostileServer, forge: Forge
) -> None:
    server.answer = answer
    assert not_known(forge).reason == reason
    listed = forge.open_pull_requests("main")
    if answer is WHOLE["an empty list"][0]:
        assert listed == ()
    else:
        assert isinstance(listed, NotKnown) and listed.reason == reason
    for ask in (
        lambda: forge.pull_request("reconciler/x", "main", "t", "b"),
        lambda: forge.close_pull_request(1),
    ):
        with pytest.raises((OperatorError, TransientError)) as raised:
            ask()
        assert TOKEN not in f"{raised.value} {raised.value!r}"


def test_who_asks_for_time_is_given_it(server: HostileServer, forge: Forge) -> None:
    server.answer = says(429, Retry_After="7")
    assert (not_known(forge).reason, not_known(forge).retry_after_s) == ("Throttled", 7.0)
    server.answer = says(503, Retry_After="99999999")
    assert not_known(forge).retry_after_s == 300.0
    server.answer = says(429, Retry_After="Wed, 21 Oct 2030 07:28:00 GMT")
    assert (not_known(forge).reason, not_known(forge).retry_after_s) == ("Throttled", None)


@pytest.mark.parametrize(
    "bad", [Bad.hangs, Bad.drips_head, Bad.drips_body, Bad.breaks_off, Bad.hangs_up, Bad.floods]
)
def test_an_answer_without_an_end_is_given_up(
    bad: Callable[..., None], server: HostileServer, tmp_path: Path
) -> None:
    server.answer = lambda request: bad(Bad(server), request)
    began_s = time.monotonic()
    found = opened(server, tmp_path, timeout_s=LIMIT_S).statuses(COMMIT)
    assert isinstance(found, NotKnown) and found.reason == "Unreachable", found
    assert time.monotonic() - began_s < SOON_S
    if bad in (Bad.hangs, Bad.drips_head, Bad.drips_body):
        # What was cut off is not judged by what came of it.
        assert "time" in found.message


def test_a_flood_is_read_up_to_a_limit_of_bytes(server: HostileServer, tmp_path: Path) -> None:
    server.answer = lambda request: Bad(server).floods(request)
    found = opened(server, tmp_path).statuses(COMMIT)
    assert isinstance(found, NotKnown) and "bytes" in found.message


def test_what_is_compressed_is_not_unpacked(server: HostileServer, forge: Forge) -> None:
    server.answer = says(200, gzip.compress(b"{}"), Content_Encoding="gzip")
    assert "compressed" in not_known(forge).message


def test_redirects_are_followed_a_few_times(server: HostileServer, forge: Forge) -> None:
    server.answer = says(302, Location="/again")
    forge.statuses(COMMIT)
    assert len(server.requests) == 4


def test_a_server_that_is_not_there_is_not_known(server: HostileServer, tmp_path: Path) -> None:
    with HostileServer(says(200)) as gone:
        forge = opened(gone, tmp_path)
    assert not_known(forge).reason == "Unreachable"


STATUS = '{"context": "ci", "status": "success"}'


@pytest.mark.parametrize(
    ("body", "total"),
    [
        pytest.param(f'"statuses": [{STATUS}]', "2", id="a list that is cut"),
        pytest.param('"statuses": []', "1", id="a list that is empty, and should not be"),
        pytest.param('"statuses": null', "1", id="none, and there should be one"),
        pytest.param(f'"statuses": [{STATUS}, {STATUS}]', "1", id="more than there are"),
        pytest.param(f'"statuses": [{STATUS}, {STATUS}]', "2", id="one twice"),
        pytest.param(f'"statuses": [{STATUS}]', "", id="nobody knows how many there are"),
        pytest.param(f'"statuses": [{STATUS}]', "-1", id="fewer than none"),
        pytest.param('"statuses": [{"status": "success"}]', "1", id="a check without a name"),
        pytest.param('"statuses": [{"context": "ci"}]', "1", id="a check without a state"),
        pytest.param('"statuses": [7]', "1", id="a check that is a number"),
        pytest.param('"statuses": {}', "0", id="no list"),
    ],
)
def test_a_list_that_is_not_whole_is_not_known(
    body: str, total: str, server: HostileServer, forge: Forge
) -> None:
    text = f'{{"sha": "{COMMIT}", {body}}}'
    server.answer = says(200, text.encode(), X_Total_Count=total)
    assert isinstance(forge.statuses(COMMIT), NotKnown)
    assert len(server.requests) <= 2, "what cannot come right is not asked for again"


def test_statuses_of_another_commit_are_not_ours(server: HostileServer, forge: Forge) -> None:
    text = f'{{"sha": "{"d" * 40}", "statuses": []}}'
    server.answer = says(200, text.encode(), X_Total_Count="0")
    assert isinstance(forge.statuses(COMMIT), NotKnown)


def test_a_list_without_an_end_is_read_up_to_a_limit(server: HostileServer, forge: Forge) -> None:
    def another_page(request: object) -> None:
        page = len(server.requests)
        text = f'{{"sha": "{COMMIT}", "statuses": [{{"context": "c{page}", "status": "success"}}]}}'
        says(200, text.encode(), X_Total_Count="999999")(request)  # type: ignore[arg-type]

    server.answer = another_page
    assert isinstance(forge.statuses(COMMIT), NotKnown)
    assert len(server.requests) == 20


def test_a_token_is_sent_to_nobody_else(server: HostileServer, forge: Forge) -> None:
    with HostileServer(says(200, b"{}")) as other:
        server.answer = says(307, Location=f"{other.url}/team/env")
        found = not_known(forge)
        with pytest.raises(Refused):
            forge.pull_request("reconciler/x", "main", "t", "b")
        assert other.requests == []
    assert "another host" in found.message
    assert set(server.credentials) == {f"token {TOKEN}"}


def test_a_redirect_within_the_host_is_followed_by_reads_alone(
    server: HostileServer, forge: Forge
) -> None:
    moved = f'{{"sha": "{COMMIT}", "statuses": null}}'.encode()

    def renamed(request: object) -> None:
        is_old = server.requests[-1].split()[1].startswith("/api/v1/repos/team/env")
        answer = says(301, Location="/new") if is_old else says(200, moved, X_Total_Count="0")
        answer(request)  # type: ignore[arg-type]

    server.answer = renamed
    assert not isinstance(forge.statuses(COMMIT), NotKnown)
    asked = len(server.requests)
    with pytest.raises(Refused, match="it has moved"):
        forge.pull_request("reconciler/x", "main", "t", "b")
    assert len(server.requests) == asked + 1, "a write is sent once"


def test_only_who_is_trusted_gets_the_token(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    body = f'{{"sha": "{COMMIT}", "statuses": null}}'.encode()
    answer = says(200, body, X_Total_Count="0")
    with HostileServer(answer, certificate=authority.server("server")) as server:
        trusting = opened(server, tmp_path, authority.ca_file)
        assert not isinstance(trusting.statuses(COMMIT), NotKnown)
        server.credentials.clear()
        assert not_known(opened(server, tmp_path)).reason == "Denied"
        another = Authority(tmp_path / "another").ca_file
        assert not_known(opened(server, tmp_path, another)).reason == "Denied"
        assert server.credentials == []
    wrong = authority.server("wrong", name="DNS:elsewhere.example.com")
    with HostileServer(answer, certificate=wrong) as server:
        assert not_known(opened(server, tmp_path, authority.ca_file)).reason == "Denied"


@pytest.mark.parametrize(
    "text", ["", "  \n", "canary-one\ncanary-two", "canary\x00", "canary-ü", "canary" * 20_000]
)
def test_a_token_file_that_holds_no_token_is_named_and_not_quoted(
    text: str, server: HostileServer, forge: Forge, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(text)
    found = not_known(forge)
    assert found.reason == "InvalidInput" and "token" in found.message
    assert "canary" not in found.message and server.requests == []


def test_a_token_is_read_again(server: HostileServer, forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "token").unlink()
    assert not_known(forge).reason == "InvalidInput"
    (tmp_path / "token").write_text("another")
    forge.statuses(COMMIT)
    assert server.credentials == ["token another"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="nothing"),
        pytest.param("http://git.example.com/team/env", id="plain http"),
        pytest.param("https://git.example.com/", id="no repository"),
        pytest.param("https://git.example.com/env", id="no owner"),
        pytest.param("https://git.example.com/team/..", id="a step up"),
        pytest.param("https://canary:canary@git.example.com/team/env", id="a credential"),
        pytest.param("https://git.example.com/team/env?token=canary", id="a query"),
        pytest.param("https://git.example.com/team/e nv", id="a space"),
        pytest.param("https://git.example.com/team/env\r\nX: y", id="a line break"),
        pytest.param("https:///team/env", id="no host"),
        pytest.param("ssh://git@git.example.com/team/env", id="ssh"),
        pytest.param("https://git.example.com:99999/team/env", id="no port"),
    ],
)
def test_an_address_that_is_no_repository_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"forge\.url") as raised:
        open_gitea(GiteaAccess(url, tmp_path / "token"))
    assert "canary" not in str(raised.value)


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "nowhere.pem"):
        with pytest.raises(InvalidInput, match=name):
            open_gitea(
                GiteaAccess("https://a.example.com/b/c", tmp_path / "token", tmp_path / name)
            )


def test_nothing_shows_a_token(forge: Forge) -> None:
    forge.statuses(COMMIT)
    assert TOKEN not in repr(forge)


def test_errors_are_of_their_kinds(server: HostileServer, forge: Forge) -> None:
    for answer, kind in ((says(403), Denied), (says(500), Unreachable)):
        server.answer = answer
        with pytest.raises(kind):
            forge.pull_request("reconciler/x", "main", "t", "b")
