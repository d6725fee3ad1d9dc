"""HTTP gates of a real daemon: who is asked can verify the question, and what is no answer lets nothing in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import Answering, HostileServer, says
from tests.system.documents import check
from tests.system.envrepo import env_repo, pins, policy
from tests.system.served import cli
from tests.system.simulated import SERVICE, Simulated, simulated

pytestmark = [pytest.mark.git_server, pytest.mark.xdist_group("http-gates")]

GOOD, NEWER = "1.0.0", "1.1.0"
KEY = b"canary-key-of-thirty-two-bytes-!"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
RULES = policy(soak_s=0.3).replace("  prod: {", "  prod: {http_gates: [board], ")


class Board:
    """Whoever holds the gate; it lets in one version, if the question is signed as agreed.

    Attributes:
        lets_in: That version.
        answer: Answers in its place, if it is set.
    """

    def __init__(self) -> None:
        self.lets_in = ""
        self.answer: Answering | None = None
        self.asked: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.server = HostileServer(self._answer)

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.answer is not None:
            self.answer(request)
            return
        sent, body = request.headers, self.server.bodies[-1]
        signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
        mine = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        if sent["webhook-signature"] != f"v1,{mine}":
            self.refused.append(sent["webhook-id"])
            says(403)(request)
            return
        data = json.loads(body)["data"]
        self.asked.append(data)
        state = "open" if data["version"] == self.lets_in else "closed"
        told = {"state": state, "revision": data["revision"], "message": "the board has met"}
        says(200, json.dumps(told).encode())(request)


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    with made.server:
        yield made


@pytest.fixture
def made(board: Board, tmp_path: Path) -> Iterator[Simulated]:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    gate = {"url": board.server.url, "secret_file": str(secret), "timeout_s": 2, "poll_s": 0.5}
    with simulated(tmp_path / "daemon", settings={"gates": {"board": gate}}) as made:
        made.served.repository.commit(
            {**env_repo([SERVICE], SERVICE, policy_text=RULES), **pins(SERVICE, GOOD)}
        )
        made.daemon.start()
        yield made


def until_held(made: Simulated, reason: str, words: str) -> None:
    def is_held() -> bool:
        cell = made.daemon.cell(SERVICE, "prod")
        return bool(cell and cell["reason"] == reason and words in cell["message"])

    made.daemon.until(is_held, f"prod is held as {reason}: {words}")


def test_prod_waits_for_the_board_and_takes_what_it_lets_in(made: Simulated, board: Board) -> None:
    made.wait_proven("staging", GOOD)
    until_held(made, "GateClosed", "board is closed: the board has met")
    assert made.image("prod-1") is None
    told = cli("explain", SERVICE, "prod", "--config", str(made.daemon.settings_file), "-o", "json")
    check("explain", told.document)
    (row,) = told.document["environments"]
    (gate,) = (gate for gate in row["gates"] if gate["name"] == "HttpGate/board")
    assert (gate["state"], gate["reason"]) == ("closed", "GateClosed")
    board.lets_in = GOOD
    made.wait_proven("prod", GOOD)
    cell = made.daemon.cell(SERVICE, "prod")
    assert cell is not None and board.asked[-1]["revision"] == cell["admitted"]["revision"]
    assert board.asked[-1]["commits"] == [made.head()]
    made.served.repository.commit(pins(SERVICE, NEWER))
    made.wait_proven("staging", NEWER)
    until_held(made, "GateClosed", "board is closed")
    assert not board.refused
    assert SECRET.removeprefix("whsec_") not in made.daemon.log.read_text()


BAD: dict[str, Answering] = {
    "a page that says yes to everything": says(200, b'{"state": "open"}'),
    "an error page": says(502, b"<html>open</html>"),
    "more than anybody reads": says(200, b'{"state": "open", "x": "' + b"x" * 100_000 + b'"}'),
    "a redirect elsewhere": says(302, Location="http://127.0.0.1:1/"),
}


@pytest.mark.parametrize("title", BAD)
def test_what_is_no_answer_lets_nothing_in_and_holds_nothing_else(
    title: str, made: Simulated, board: Board
) -> None:
    board.answer = BAD[title]
    made.wait_proven("staging", GOOD)
    until_held(made, "GateUnknown", "gate board: cannot ask about web")
    assert made.image("prod-1") is None
    board.answer, board.lets_in = None, GOOD
    made.wait_proven("prod", GOOD)
