"""An HTTP answer, what a request was for, and the one place where the library's errors become ours."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import urllib3.exceptions

from reconciler.errors import (
    Denied,
    InvalidInput,
    ReconcilerError,
    Refused,
    Throttled,
    TransientError,
    Unreachable,
)
from reconciler.model.answers import NotKnown

WORDS_MAX = 300
"""The other side's words in an error; an error page can be a book."""

RETRY_AFTER_S_MAX = 300.0
"""Whoever asks for more is asked again after five minutes all the same."""

CHAIN_MAX = 8
"""How far an exception's causes are followed; urllib3 nests three deep."""

LIBRARY_ERRORS = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
"""Everything the library raises for what the world did; what is not here is our bug."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What a request was for, so that its error can lead with the object.

    Attributes:
        subject: What it is about.
        verb: As in "cannot <verb>".
    """

    subject: str
    verb: str

    @property
    def what(self) -> str:
        """The failed clause of an error."""
        return f"cannot {self.verb}"

    def unreachable(self, why: str) -> Unreachable:
        """Returns the error for no answer, or one that is not what was asked for."""
        return Unreachable(self.subject, self.what, why)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end.

    Attributes:
        headers: By name, in whatever case; not shown, since a header may carry a token.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self, doing: Doing) -> Any:
        """Returns the JSON value in the body.

        Raises:
            Unreachable: There is none: it is the page of something in between.
        """
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise doing.unreachable("the answer is no JSON") from None


def refusal(doing: Doing, answer: Answer, *, said: str = "") -> ReconcilerError:
    """Translates an answer that is no success.

    Args:
        doing: What the request was for.
        answer: The answer.
        said: The API's own words, from where it puts them; a page of something else has none.
    """
    why = f"HTTP {answer.status}" + (f": {clean(said)}" if said else "")
    retry_after_s = seconds(answer.headers.get("Retry-After"))
    match answer.status:
        case 401 | 403:
            fix = "check the credentials that the settings name, and their rights"
            return Denied(doing.subject, doing.what, why, fix)
        case 429 | 503 if answer.status == 429 or retry_after_s is not None:
            return Throttled(doing.subject, doing.what, why, retry_after_s=retry_after_s)
        case code if 400 <= code < 500 and code != 408 and said:
            return Refused(doing.subject, doing.what, why)
        case _:
            return Unreachable(doing.subject, doing.what, why, retry_after_s=retry_after_s)


def not_known(error: ReconcilerError) -> NotKnown:
    """Returns an error as a value: what was asked for is not known."""
    retry_after_s = error.retry_after_s if isinstance(error, TransientError) else None
    return NotKnown(type(error).__name__, str(error), retry_after_s)


def from_library(doing: Doing, error: BaseException) -> ReconcilerError:
    """Translates one of LIBRARY_ERRORS; its own text may hold an address or a token, so none is copied."""
    if isinstance(error, urllib3.exceptions.LocationValueError):
        return InvalidInput(doing.subject, doing.what, "its address cannot be used", "correct it")
    for cause in chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = getattr(cause, "verify_message", "") or "it could not be verified"
            why = clean(f"the server's certificate is not trusted: {said}")
            fix = "check that the certificate authority is the one that signed for this server"
            return Denied(doing.subject, doing.what, why, fix)
    return doing.unreachable(_transport_why(error))


def clean(text: str) -> str:
    """Returns one printable line of at most WORDS_MAX characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * WORDS_MAX]).split())
    return line if len(line) <= WORDS_MAX else line[: WORDS_MAX - 1] + "…"


def seconds(value: object) -> float | None:
    """Returns the seconds of a Retry-After, or None; a date would be read against our own clock, and is not."""
    text = str(value)
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        return None
    return min(float(text), RETRY_AFTER_S_MAX)


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and what caused it; urllib3 keeps the cause in three different places."""
    queue: list[object] = [error]
    for _ in range(CHAIN_MAX):
        if not queue:
            return
        each = queue.pop(0)
        if isinstance(each, BaseException):
            yield each
            queue += [*each.args, each.__cause__, each.__context__, getattr(each, "reason", None)]


def _transport_why(error: BaseException) -> str:
    for cause in chain(error):
        if isinstance(cause, OSError) and cause.strerror:
            return clean(f"no answer: {cause.strerror}")
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return "no answer in time"
    return f"the answer broke off ({type(error).__name__})"
