"""An HTTP gate's adapter against a real server: what it sends can be verified, and what is no answer opens nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.gates import signing
from reconciler.adapters.gates.http_gate import GateAccess, HttpGate, open_gate
from reconciler.errors import InvalidInput
from reconciler.model.answers import NotKnown
from reconciler.model.names import CommitId, EnvironmentName, Identity, RevisionId, ServiceName
from reconciler.model.outside import GateAnswer, GateQuestion, GateWord
from reconciler.shell.runner import VirtualClock
from tests.gitservers.certificates import Authority
from tests.hostile import Answering, Bad, HostileServer, says

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""Of the specification's own example."""

PATIENT_S, LIMIT_S, SOON_S = 60.0, 0.6, 20.0
"""An answer may take so long where time is not what is tried, and where it is; it must be given up by then."""

QUESTION = GateQuestion(
    gate="board",
    service=ServiceName("web"),
    environment=EnvironmentName("prod"),
    version="1.8.2",
    revision=RevisionId("sha256:" + "1" * 64),
    identity=Identity("sha256:" + "2" * 64),
    source=CommitId("3" * 40),
    commits=(CommitId("4" * 40),),
)


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer(says(500)) as made:
        yield made


def opened(
    server: HostileServer,
    folder: Path,
    *,
    ca_file: Path | None = None,
    timeout_s: float = PATIENT_S,
) -> HttpGate:
    secret_file = folder / "secret"
    secret_file.write_text(f"{SECRET}\n")
    access = GateAccess(f"{server.url}/ask?team=a", secret_file, ca_file, timeout_s)
    return open_gate(access, VirtualClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))


@pytest.fixture
def gate(server: HostileServer, tmp_path: Path) -> HttpGate:
    return opened(server, tmp_path)


def answers(state: Any, **more: Any) -> Answering:
    body = {"state": state, "revision": QUESTION.revision, **more}
    return says(200, json.dumps(body).encode(), Content_Type="application/json")


def not_known(gate: HttpGate) -> NotKnown:
    found = gate.ask(QUESTION)
    assert isinstance(found, NotKnown), found
    assert "MfKQ9r8GKYqr" not in repr((found, gate)) and found.message
    return found


# What it sends.


def test_a_question_says_what_it_is_about(server: HostileServer, gate: HttpGate) -> None:
    server.answer = answers("open")
    assert gate.ask(QUESTION) == GateAnswer(GateWord.OPEN)
    assert server.requests == ["POST /ask?team=a"]
    assert json.loads(server.bodies[0]) == {
        "type": "reconciler.gate/v1",
        "timestamp": "2026-01-02T03:04:05Z",
        "data": {
            "gate": "board",
            "service": "web",
            "environment": "prod",
            "version": "1.8.2",
            "revision": QUESTION.revision,
            "identity": QUESTION.identity,
            "source": QUESTION.source,
            "commits": list(QUESTION.commits),
        },
    }


def test_a_signature_is_that_of_standard_webhooks() -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    made = signing.headers(
        key,
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at_s=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_whoever_is_asked_can_tell_that_it_is_us_and_that_it_is_now(
    server: HostileServer, gate: HttpGate
) -> None:
    server.answer = answers("open")
    gate.ask(QUESTION)
    gate.ask(QUESTION)
    ids = set()
    for sent, body in zip(server.sent, server.bodies, strict=True):
        ids.add(sent["webhook-id"])
        assert (
            int(sent["webhook-timestamp"]) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
        )
        signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert sent["webhook-signature"] == f"v1,{expected}"
        assert SECRET not in str(sent)
    assert len(ids) == 2, "whoever drops a message that came before must not drop the second"


def test_a_secret_that_is_changed_counts_at_the_next_question(
    server: HostileServer, gate: HttpGate
) -> None:
    server.answer = answers("open")
    gate.ask(QUESTION)
    gate.secret_file.write_text(base64.b64encode(b"x" * 32).decode())
    gate.ask(QUESTION)
    gate.secret_file.unlink()
    assert not_known(gate).reason == "InvalidInput"
    assert len(server.requests) == 2


# What it makes of answers.


@pytest.mark.parametrize("word", GateWord)
def test_a_word_is_taken_with_its_message(
    word: GateWord, server: HostileServer, gate: HttpGate
) -> None:
    server.answer = answers(word.value, message="because\n\x1b[31mof it", more=[1])
    found = gate.ask(QUESTION)
    assert found == GateAnswer(word, "because [31mof it")


OPEN = json.dumps({"state": "open", "revision": QUESTION.revision}).encode()

BAD: dict[str, tuple[Answering, str]] = {
    "an error": (says(500, b'{"state": "open"}'), "Unreachable"),
    "created": (says(201, OPEN), "Unreachable"),
    "an error with a word": (says(503, OPEN), "Unreachable"),
    "no content": (says(204), "Unreachable"),
    "not there": (says(404), "Unreachable"),
    "it may not": (says(401), "Denied"),
    "nothing at all": (says(200), "Unreachable"),
    "a page": (says(200, b"<html>open</html>"), "Unreachable"),
    "a word alone": (says(200, b'"open"'), "Unreachable"),
    "a list": (says(200, b'[{"state": "open"}]'), "Unreachable"),
    "deep nesting": (says(200, b"[" * 60_000), "Unreachable"),
    "not about a revision": (says(200, b'{"state": "open"}'), "Unreachable"),
    "about another revision": (answers("open", revision="sha256:" + "9" * 64), "Unreachable"),
    "about any revision": (answers("open", revision=["*"]), "Unreachable"),
    "no state": (says(200, json.dumps({"revision": QUESTION.revision}).encode()), "Unreachable"),
    "another word": (answers("yes"), "Unreachable"),
    "in capitals": (answers("OPEN"), "Unreachable"),
    "true": (answers(True), "Unreachable"),
    "a list of words": (answers(["open"]), "Unreachable"),
    "null": (answers(None), "Unreachable"),
    "a message that is none": (answers("open", message={"a": 1}), "Unreachable"),
    "too much of it": (answers("open", message="x" * 70_000), "Unreachable"),
    "compressed": (says(200, gzip.compress(b"{}"), Content_Encoding="gzip"), "Unreachable"),
    "a redirect": (says(307, Location="/there"), "Refused"),
    "a redirect to another host": (says(302, Location="http://192.0.2.1/"), "Refused"),
}


@pytest.mark.parametrize(("answer", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_answer_opens_nothing(
    answer: Answering, reason: str, server: HostileServer, gate: HttpGate
) -> None:
    server.answer = answer
    assert not_known(gate).reason == reason
    assert len(server.requests) == 1, "a question is sent once"


def test_a_long_message_is_cut(server: HostileServer, gate: HttpGate) -> None:
    server.answer = answers("closed", message="x" * 10_000)
    found = gate.ask(QUESTION)
    assert isinstance(found, GateAnswer) and len(found.message) == 300


def test_who_asks_for_time_is_given_it(server: HostileServer, gate: HttpGate) -> None:
    server.answer = says(429, Retry_After="7")
    assert (not_known(gate).reason, not_known(gate).retry_after_s) == ("Throttled", 7.0)


@pytest.mark.parametrize(
    "bad", [Bad.hangs, Bad.drips_head, Bad.drips_body, Bad.breaks_off, Bad.hangs_up, Bad.floods]
)
def test_an_answer_without_an_end_is_given_up(
    bad: Callable[[Bad, BaseHTTPRequestHandler], None], server: HostileServer, tmp_path: Path
) -> None:
    server.answer = lambda request: bad(Bad(server), request)
    began_s = time.monotonic()
    assert not_known(opened(server, tmp_path, timeout_s=LIMIT_S)).reason == "Unreachable"
    assert time.monotonic() - began_s < SOON_S


def test_only_who_is_trusted_is_asked(tmp_path: Path) -> None:
    trusted, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    with HostileServer(answers("open"), certificate=trusted.server("server")) as server:
        gate = opened(server, tmp_path, ca_file=trusted.ca_file)
        assert gate.ask(QUESTION) == GateAnswer(GateWord.OPEN)
        assert not_known(opened(server, tmp_path, ca_file=other.ca_file)).reason == "Denied"
        assert not_known(opened(server, tmp_path)).reason == "Denied"
        assert len(server.requests) == 1


# What it is given.


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("whsec_not base64!", "another character|not base64"),
        ("whsec_" + base64.b64encode(b"short").decode(), "24 to 64 bytes"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "24 to 64 bytes"),
        ("", "it holds nothing"),
        ("a canary secret in plain words", "not base64"),
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_told(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=why) as raised:
        open_gate(GateAccess("https://gates.example.com", file), VirtualClock())
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["http://gates.example.com/x", "gates.example.com", "https://a:b@gates.example.com/"]
)
def test_an_address_over_which_anybody_could_answer_is_refused(url: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    with pytest.raises(InvalidInput, match="this address is refused"):
        open_gate(GateAccess(url, file), VirtualClock())
