"""What the simulated API server says when it refuses: a code, a reason, words and details."""

from __future__ import annotations

from typing import Any


class Answer(Exception):
    """A refusal, as a real API server words it in a Status object."""

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(code, reason, message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details or {}

    def status(self) -> dict[str, Any]:
        """Returns the Status object."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        }


def not_found(resource: str, name: str) -> Answer:
    """The object is not there."""
    details = {"name": name, "kind": resource}
    return Answer(404, "NotFound", f'{resource} "{name}" not found', details)


def already_exists(resource: str, name: str) -> Answer:
    """The object is there."""
    details = {"name": name, "kind": resource}
    return Answer(409, "AlreadyExists", f'{resource} "{name}" already exists', details)


def modified(resource: str, name: str) -> Answer:
    """Somebody wrote it since it was read."""
    why = "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Answer(409, "Conflict", message, {"name": name, "kind": resource})


def precondition(resource: str, name: str, what: str, wanted: str, found: dict[str, Any]) -> Answer:
    """It is not the object, or not the version, that was meant."""
    field = {"UID": "uid", "ResourceVersion": "resourceVersion"}[what]
    why = (
        f"Precondition failed: {what} in precondition: {wanted}, "
        f"{what} in object meta: {found['metadata'][field]}"
    )
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Answer(409, "Conflict", message, {"name": name, "kind": resource})


def invalid(kind: str, name: str, causes: list[tuple[str, str]]) -> Answer:
    """The object itself is wrong; causes are (field, message)."""
    words = ", ".join(f"{field}: {message}" for field, message in causes)
    details = {
        "name": name,
        "kind": kind,
        "causes": [
            {"reason": "FieldValueInvalid", "field": field, "message": message}
            for field, message in causes
        ],
    }
    return Answer(422, "Invalid", f'{kind} "{name}" is invalid: {words}', details)


def bad_request(message: str) -> Answer:
    """The request itself is wrong."""
    return Answer(400, "BadRequest", message)


NOT_TYPED = "failed to create typed patch object"


def not_typed(subject: str, why: str) -> Answer:
    """An apply is not of the form that its kind has; a real server calls that an error of its own.

    Source: `managedfields/internal/structuredmerge.go` of k8s.io/apimachinery v0.37.2, `Apply`.
    """
    return Answer(500, "", f"{NOT_TYPED} ({subject}): {why}")


def expired(version: int, oldest: int) -> Answer:
    """A watch starts before what is remembered."""
    return Answer(410, "Expired", f"too old resource version: {version} ({oldest})")


def terminating(resource: str, name: str, namespace: str) -> Answer:
    """The namespace is on its way out."""
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    message = f'{resource} "{name}" is forbidden: {why}'
    return Answer(403, "Forbidden", message, {"name": name, "kind": resource, "causes": [cause]})


def no_such_path() -> Answer:
    """Nothing is served there; a real server says so in plain words, without a Status."""
    return Answer(404, "", "404 page not found")


def not_allowed() -> Answer:
    """The verb makes no sense there."""
    why = "the server does not allow this method on the requested resource"
    return Answer(405, "MethodNotAllowed", why)
