"""The one place where an API server's answers and the libraries' errors become errors of ours."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import urllib3.exceptions
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException

from reconciler.adapters.http.answer import chain, seconds
from reconciler.errors import (
    AdmissionDenied,
    Conflict,
    Denied,
    Expired,
    InvalidInput,
    NotServed,
    ReconcilerError,
    Refused,
    Throttled,
    TransientError,
    Unreachable,
)

_NOT_TYPED = "failed to create typed patch object"
"""What an API server says, as an error of its own, of an apply with a field that its kind does not have.

Source: `managedfields/internal/structuredmerge.go` of k8s.io/apimachinery v0.37.2, `Apply`.
"""

WHY_CHARS_MAX = 500
"""Enough for an admission message that a person can act on; a hostile one cannot fill the log."""

CAUSES_MAX = 20
"""Fields named of one refused object; a person mends the first few and sees the rest next time."""

LIBRARY_ERRORS = (
    urllib3.exceptions.HTTPError,
    urllib3.exceptions.ProxySchemeUnsupported,
    http.client.HTTPException,
    OSError,
    ConfigException,
    ApiException,
)
"""Everything the libraries raise for what the world did; what is not here is our bug."""

_MISCONFIGURED = (
    urllib3.exceptions.LocationValueError,
    urllib3.exceptions.ProxySchemeUnsupported,
    ConfigException,
)

_ADMISSION_WORDS = ("denied the request", "violates PodSecurity", "ValidatingAdmissionPolicy")
"""A refusal in these words is a rule's of the cluster; any other 403 judges us."""

_AUDIT_ID = "Audit-Id"
"""Source: k8s.io/apiserver, audit.k8s.io `HeaderAuditID`, set on every response."""

_TRUST_FIXES = {
    9: "set the clocks right: the certificate's time has not come",
    10: "renew the server's certificate",
    62: "give the address that the certificate is for, or add this one to it",
    64: "give the address that the certificate is for, or add this one to it",
}
"""What helps where a server's certificate is not trusted, by OpenSSL's number for the reason.

Source: openssl/x509_vfy.h, X509_V_ERR_*.
"""

_TRUST_FIX = "check that the certificate authority is the one that signed for this server"

_CLIENT_CERTIFICATE_ALERTS = ("ALERT_BAD_CERTIFICATE", "CERTIFICATE_", "UNKNOWN_CA")


@dataclass(frozen=True, slots=True)
class Doing:
    """What a request was for, so that its error can lead with the object.

    Attributes:
        subject: `Kind/namespace/name`, or what is listed.
        verb: As in "cannot <verb>".
        secret: The kind is Secret, so that the server's words may quote its values.
    """

    subject: str
    verb: str
    secret: bool = False

    @property
    def what(self) -> str:
        """The failed clause of an error."""
        return f"cannot {self.verb}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end.

    Attributes:
        headers: By name, in whatever case.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def status_object(self) -> Mapping[str, Any]:
        """Returns the Kubernetes Status in the body, or an empty mapping when it holds none."""
        try:
            body = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        is_status = isinstance(body, dict) and body.get("kind") == "Status"
        return body if is_status else {}

    @property
    def says_no_such_path(self) -> bool:
        """Whether an API server says that it serves nothing under a path.

        It says so in plain words, and so does many a proxy that does not know it. Only an API
        server marks its answer with the name of its audit entry.
        """
        plain = self.status == 404 and b"404 page not found" in self.body
        return plain and _AUDIT_ID in self.headers

    @property
    def says_missing(self) -> bool:
        """Whether a 404 says that something is not there; one of a proxy says nothing at all."""
        named = self.status == 404 and self.status_object().get("reason") == "NotFound"
        return named or self.says_no_such_path

    def tree(self, doing: Doing) -> dict[str, Any]:
        """Returns the JSON object in the body.

        Raises:
            Unreachable: There is none.
        """
        try:
            tree = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Unreachable(doing.subject, doing.what, "the answer is no JSON") from error
        if not isinstance(tree, dict):
            raise Unreachable(doing.subject, doing.what, "the answer is no object")
        return tree


def from_answer(doing: Doing, answer: Answer) -> ReconcilerError:
    """Translates an HTTP answer that is no success."""
    retry_after_s = seconds(answer.headers.get("Retry-After"))
    return from_status(doing, answer.status, answer.status_object(), retry_after_s)


def from_status(
    doing: Doing, code: int, status: Mapping[str, Any], retry_after_s: float | None = None
) -> ReconcilerError:
    """Translates a Status, which arrives as an answer's body or inside a watch.

    Args:
        doing: What the request was for.
        code: HTTP status, or the Status's own code in a watch.
        status: The Status; empty when the body was something else.
        retry_after_s: Seconds of the Retry-After header.

    Returns:
        Refused, which may be the object's own fault, only where an API server says so: whatever
        stands between may answer anything with a code of four hundred.
    """
    subject, what, why = doing.subject, doing.what, _why(doing, code, status)
    retry_after_s = seconds(_details(status).get("retryAfterSeconds")) or retry_after_s
    namespace_fix = _about_namespace(code, status)
    if namespace_fix:
        return TransientError(subject, what, why, namespace_fix)
    match code:
        case 401:
            return Denied(subject, what, why, "check the credentials that the settings name")
        case 400 | 403 | 422 if any(w in str(status.get("message")) for w in _ADMISSION_WORDS):
            fix = "change the object, or the rule that refuses it"
            return AdmissionDenied(subject, what, why, fix)
        case 403:
            return Denied(subject, what, why, "grant the right by RBAC")
        case 409:
            return Conflict(subject, what, why)
        case 410:
            return Expired(subject, what, why)
        case 429 | 503 if code == 429 or retry_after_s is not None:
            return Throttled(subject, what, why, retry_after_s=retry_after_s)
        case 500 if str(status.get("message")).startswith(_NOT_TYPED):
            return Refused(subject, what, why, "correct the manifest")
        case _ if 400 <= code < 500 and code != 408 and status:
            return Refused(subject, what, why)
        case _:
            return Unreachable(subject, what, why, retry_after_s=retry_after_s)


def _about_namespace(code: int, status: Mapping[str, Any]) -> str:
    """Returns what may help where a refusal is about the namespace, or nothing."""
    if code in (403, 409) and "NamespaceTerminating" in _cause_reasons(status):
        return "it can come back once the namespace is gone"
    if code == 404 and _details(status).get("kind") == "namespaces":
        return "make the namespace"
    return ""


def not_served(doing: Doing) -> NotServed:
    """Returns the error for a kind that the server does not have."""
    why = "the server does not serve this kind"
    return NotServed(doing.subject, doing.what, why, "install its CRD, or wait for it")


def from_library(doing: Doing, error: BaseException) -> ReconcilerError:
    """Translates one of LIBRARY_ERRORS; its own text may hold an address or a key, so none is copied."""
    if isinstance(error, ApiException):
        return from_status(doing, int(error.status or 0), {})
    if isinstance(error, _MISCONFIGURED):
        why = f"the client's configuration is not usable ({type(error).__name__})"
        return InvalidInput(doing.subject, doing.what, why, "check server and proxy addresses")
    for cause in chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = getattr(cause, "verify_message", "") or "it could not be verified"
            why = clean(f"the server's certificate is not trusted: {said}")
            fix = _TRUST_FIXES.get(getattr(cause, "verify_code", 0), _TRUST_FIX)
            return Denied(doing.subject, doing.what, why, fix)
        if isinstance(cause, ssl.SSLError) and _is_about_our_certificate(cause):
            why = clean(f"the server refuses our certificate: {cause.reason}")
            return Denied(doing.subject, doing.what, why, "renew the client certificate")
    return Unreachable(doing.subject, doing.what, _transport_why(error))


def clean(text: str) -> str:
    """Returns one printable line of at most WHY_CHARS_MAX characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= WHY_CHARS_MAX else line[: WHY_CHARS_MAX - 1] + "…"


def _why(doing: Doing, code: int, status: Mapping[str, Any]) -> str:
    if not status:
        return f"HTTP {code}, with no Kubernetes Status to say why"
    reason = str(status.get("reason") or "no reason given")
    if doing.secret:
        # The message of a refused Secret quotes its values; the names of its fields do not.
        fields = ", ".join(str(c.get("field") or "?") for c in _causes(status))
        return clean(f"HTTP {code}, {reason}" + (f", in {fields}" if fields else ""))
    return clean(f"HTTP {code}, {reason}: {status.get('message') or 'no message'}")


def _details(status: Mapping[str, Any]) -> Mapping[str, Any]:
    details = status.get("details")
    return details if isinstance(details, dict) else {}


def _causes(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    causes = _details(status).get("causes")
    if not isinstance(causes, list):
        return []
    return [cause for cause in causes[:CAUSES_MAX] if isinstance(cause, dict)]


def _cause_reasons(status: Mapping[str, Any]) -> set[str]:
    return {str(cause.get("reason")) for cause in _causes(status)}


def _is_about_our_certificate(error: ssl.SSLError) -> bool:
    # Set by the C library; an error that Python's own code raises has none.
    reason = str(getattr(error, "reason", ""))
    return "ALERT" in reason and any(words in reason for words in _CLIENT_CERTIFICATE_ALERTS)


def _transport_why(error: BaseException) -> str:
    for cause in chain(error):
        if isinstance(cause, OSError) and cause.strerror:
            return clean(f"no answer: {cause.strerror}")
    if isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
        return "no answer in time"
    return f"the answer broke off ({type(error).__name__})"
