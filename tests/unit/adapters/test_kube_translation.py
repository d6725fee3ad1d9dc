"""Every error of the libraries becomes one of ours, and none of them brings a secret along."""

from __future__ import annotations

import http.client
import inspect
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import kubernetes.client.exceptions
import pytest
import urllib3.exceptions
from kubernetes.config import ConfigException

from reconciler.adapters.kube.translation import (
    LIBRARY_ERRORS,
    WHY_CHARS_MAX,
    Answer,
    Doing,
    clean,
    from_library,
    from_status,
)
from reconciler.errors import Denied, InvalidInput, ReconcilerError, TransientError, Unreachable

DOING = Doing("ConfigMap/a/b on dev-1", "be read")
CANARY = "canary-7f3a"


def library_errors() -> Iterator[type[BaseException]]:
    for module in (urllib3.exceptions, http.client, kubernetes.client.exceptions, ssl, socket):
        for value in vars(module).values():
            is_error = inspect.isclass(value) and issubclass(value, Exception)
            if is_error and value.__module__ == module.__name__ and not issubclass(value, Warning):
                yield value
    yield ConfigException


OURS_ALONE = {
    "OpenApiException",
    "_GiveupOnSendfile",
    # Raised for arguments of a kind that this adapter never gives the client.
    "ApiAttributeError",
    "ApiKeyError",
    "ApiTypeError",
    "ApiValueError",
}


@pytest.mark.parametrize("kind", sorted(set(library_errors()), key=str), ids=str)
def test_an_error_of_the_libraries_is_translated_and_not_quoted(kind: type[Exception]) -> None:
    if kind.__name__ in OURS_ALONE:
        return
    assert issubclass(kind, LIBRARY_ERRORS), f"{kind} would be taken for a bug of ours"
    error = kind.__new__(kind)
    error.args = (f"https://user:{CANARY}@host", CANARY)
    if isinstance(error, kubernetes.client.exceptions.ApiException):
        error.status = 500
    ours = from_library(DOING, error)
    assert type(ours) is not ReconcilerError
    assert str(ours).startswith("ConfigMap/a/b on dev-1: cannot be read: ")
    assert CANARY not in str(ours)


def nested(cause: BaseException) -> BaseException:
    """Returns an error as urllib3 nests it: in an argument, a cause, or an attribute of its own."""
    return urllib3.exceptions.ProtocolError("Connection aborted.", cause)


@pytest.mark.parametrize(
    ("error", "expected", "words"),
    [
        (nested(ConnectionResetError(104, "Connection reset by peer")), Unreachable, "reset"),
        (ConnectionRefusedError(111, "Connection refused"), Unreachable, "refused"),
        (TimeoutError("timed out"), Unreachable, "no answer"),
        (
            urllib3.exceptions.ReadTimeoutError(None, "/", "Read timed out."),  # type: ignore[arg-type]
            Unreachable,
            "no answer in time",
        ),
        (urllib3.exceptions.LocationParseError("x"), InvalidInput, "not usable"),
        (ConfigException("x"), InvalidInput, "not usable"),
        (socket.gaierror(-2, "Name or service not known"), Unreachable, "not known"),
    ],
)
def test_a_cause_is_found_wherever_it_is_kept(
    error: BaseException, expected: type[ReconcilerError], words: str
) -> None:
    found = from_library(DOING, error)
    assert type(found) is expected
    assert words in found.why


def tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] something")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("SSLV3_ALERT_BAD_CERTIFICATE", Denied),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Denied),
        ("TLSV1_ALERT_UNKNOWN_CA", Denied),
        ("UNEXPECTED_EOF_WHILE_READING", Unreachable),
        ("TLSV1_ALERT_INTERNAL_ERROR", Unreachable),
    ],
)
def test_a_refused_certificate_is_for_a_person_and_a_broken_handshake_for_later(
    reason: str, expected: type[ReconcilerError]
) -> None:
    assert type(from_library(DOING, nested(tls(reason)))) is expected


def test_a_server_that_cannot_be_trusted_is_for_a_person() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "unable to get local issuer certificate"
    found = from_library(DOING, nested(error))
    assert isinstance(found, Denied)
    assert "local issuer" in found.why


def status(message: str, **more: Any) -> dict[str, Any]:
    return {"kind": "Status", "reason": "Invalid", "message": message, **more}


def test_what_a_server_says_of_a_secret_is_told_by_its_fields_alone() -> None:
    about_a_secret = Doing("Secret/a/b on dev-1", "be applied", secret=True)
    causes = [{"field": "data[x]", "message": f"bad value {CANARY}"}]
    told = from_status(
        about_a_secret, 422, status(f"Secret is invalid: {CANARY}", details={"causes": causes})
    )
    assert CANARY not in str(told)
    assert "data[x]" in str(told)


@pytest.mark.parametrize("details", [None, [], "text", {"causes": "text"}, {"causes": [1, None]}])
def test_details_of_any_shape_are_taken(details: Any) -> None:
    assert isinstance(from_status(DOING, 403, {**status("no"), "details": details}), Denied)


def test_a_code_of_four_hundred_judges_the_object_only_with_a_status() -> None:
    assert isinstance(from_status(DOING, 422, {}), TransientError)


def test_a_long_message_is_cut_to_one_line() -> None:
    told = clean("a\nb\x1b[31m\t" + "x" * 10_000)
    assert told.startswith("a b [31m x")
    assert len(told) == WHY_CHARS_MAX


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nonsense", b'{"kind": "Pod", "reason": "NotFound"}']
)
def test_only_a_status_says_that_something_is_missing(body: bytes) -> None:
    assert not Answer(404, {}, body).says_missing
