"""The error tree: OperatorError (a person must act) and TransientError (try again); anything else is our bug.

ReconcilerError
  OperatorError            a person must act; trying again by itself will not help
    InvalidInput           a file, flag or setting is wrong; carries every fault found
    Denied                 the world answered, and says we may not (401, 403, refused host key)
    Refused                the world answered, and says the request itself is wrong (422)
      AdmissionDenied      a rule that people have added refuses it; the rule may be what is wrong
      NotServed            the server has no such kind, or has none any more
  TransientError           try again later; nothing was decided
    Unreachable            no answer, or an answer that breaks off
    Conflict               somebody else wrote first; read again, then decide again
    Expired                the place in the stream is gone (410); list again
    Throttled              asked to come back later (429, 503 with Retry-After)
"""


class ReconcilerError(Exception):
    """An error that leads with its object: `<object>: <what>: <why>; <fix>`.

    Args:
        object: What the error is about: `kind/namespace/name`, `path:line` or a setting's name.
        what: What failed, as a short clause.
        why: The cause as far as it is known; never holds a secret's value or a credentialed URL.
        fix: What a person can do; empty where only waiting helps.
    """

    def __init__(self, object: str, what: str, why: str, fix: str = "") -> None:
        super().__init__(object, what, why, fix)
        self.object = object
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.object}: {self.what}: {self.why}" + (f"; {self.fix}" if self.fix else "")


class OperatorError(ReconcilerError):
    """A person must act before this can succeed."""


class InvalidInput(OperatorError):
    """A file, flag or setting is wrong."""


class Denied(OperatorError):
    """The other side answered and forbids it."""


class Refused(OperatorError):
    """The other side answered and calls the request itself wrong."""


class AdmissionDenied(Refused):
    """An admission webhook or policy refuses the object."""


class NotServed(Refused):
    """The API server does not serve the kind."""


class TransientError(ReconcilerError):
    """Trying again later may succeed; nothing is known about the thing asked for.

    Args:
        retry_after_s: Seconds the other side asked us to wait, if it said so.
    """

    def __init__(
        self, object: str, what: str, why: str, fix: str = "", *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(object, what, why, fix)
        self.retry_after_s = retry_after_s


class Unreachable(TransientError):
    """No answer, or one that broke off."""


class Conflict(TransientError):
    """Somebody else wrote first."""


class Expired(TransientError):
    """A watch's place in the stream is gone."""


class Throttled(TransientError):
    """The other side asks for less."""
