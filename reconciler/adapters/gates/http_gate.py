"""One gate that somebody else holds, asked by a signed POST: open, closed, or not known."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from reconciler.adapters.gates import signing
from reconciler.adapters.http.address import Address, parse
from reconciler.adapters.http.answer import Doing, clean, not_known, refusal
from reconciler.adapters.http.client import HttpClient
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.answers import NotKnown
from reconciler.model.outside import GateAnswer, GateQuestion, GateWord
from reconciler.model.times import rfc3339
from reconciler.ports.clock import Clock

SCHEMA = "reconciler.gate/v1"

BODY_BYTES_MAX = 64 * 1024
"""A word and a sentence."""

_WORDS: Mapping[object, GateWord] = {word.value: word for word in GateWord}


@dataclass(frozen=True, slots=True)
class GateAccess:
    """Where a gate is and with what it is asked; the secret is a file, read at every use.

    Attributes:
        url: Takes the questions; http to loopback alone.
        secret_file: Holds the secret that questions are signed with.
        ca_file: Certificates trusted instead of the system's.
        timeout_s: How long one question may take in all.
    """

    url: str
    secret_file: Path
    ca_file: Path | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class HttpGate:
    """The AdmissionGate port; made by `open_gate`. A question is sent once."""

    _client: HttpClient = field(repr=False)
    _clock: Clock = field(repr=False)
    address: Address
    secret_file: Path

    def ask(self, question: GateQuestion) -> GateAnswer | NotKnown:
        """As the port has it."""
        doing = Doing(f"gate {question.gate}", f"ask about {question.service}")
        try:
            return self._ask(question, doing)
        except ReconcilerError as error:
            return not_known(error)

    def _ask(self, question: GateQuestion, doing: Doing) -> GateAnswer:
        now = self._clock.now()
        body = orjson.dumps({"type": SCHEMA, "timestamp": rfc3339(now), "data": _told(question)})
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            # Asked again it is another message: whoever drops what came before must not drop it.
            **signing.headers(
                signing.read_key(self.secret_file),
                message_id=f"msg_{secrets.token_hex(16)}",
                at_s=int(now.timestamp()),
                body=body,
            ),
        }
        answer = self._client.request("POST", self.address, doing, headers=headers, body=body)
        if answer.status != 200:
            raise refusal(doing, answer)
        return _answered(answer.json(doing), question, doing)


def open_gate(access: GateAccess, clock: Clock) -> HttpGate:
    """Returns a gate; nothing is asked yet, and its files can be read.

    Raises:
        InvalidInput: What `access` names cannot be used.
    """
    address = parse(access.url)
    if isinstance(address, str):
        raise _refused(address)
    if address.origin.scheme == "http" and not address.origin.is_loopback:
        raise _refused("over plain http anybody on the way can open it")
    signing.read_key(access.secret_file)
    client = HttpClient(
        request_timeout_s=access.timeout_s, ca_file=access.ca_file, body_bytes_max=BODY_BYTES_MAX
    )
    return HttpGate(client, clock, address, access.secret_file)


def _told(question: GateQuestion) -> dict[str, Any]:
    return {
        "gate": question.gate,
        "service": question.service,
        "environment": question.environment,
        "version": question.version,
        "revision": question.revision,
        "identity": question.identity,
        "source": question.source,
        "commits": list(question.commits),
    }


def _answered(body: Any, question: GateQuestion, doing: Doing) -> GateAnswer:
    """Returns an answer, if it is one and about this very revision: a page that always says `open` is none."""
    if not isinstance(body, dict):
        raise doing.unreachable("the answer is no JSON object")
    if body.get("revision") != question.revision:
        raise doing.unreachable("the answer does not repeat the `revision` that was asked about")
    word = body.get("state")
    if not isinstance(word, str) or word not in _WORDS:
        raise doing.unreachable(f"its `state` is none of {', '.join(map(str, _WORDS))}")
    message = body.get("message", "")
    if not isinstance(message, str):
        raise doing.unreachable("its `message` is no text")
    return GateAnswer(_WORDS[word], clean(message))


def _refused(why: str) -> InvalidInput:
    return InvalidInput("url", "this address is refused", why, "give the https address of the gate")
