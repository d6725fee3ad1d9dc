"""A bug of ours that the work for one of many meets: the log has all of it, and that one an error as any other."""

from __future__ import annotations

import structlog

from reconciler.errors import TransientError

_log = structlog.get_logger(__name__)


def bug(what: str, error: Exception) -> TransientError:
    """Logs an error that nobody expected, with its traceback, and returns one that is met as any other.

    Whoever works for many puts that one off by it, as what cannot be done now: the others go on. Of what
    the error itself says nothing is handed on, as it may quote anything.

    Args:
        what: What was worked on.
        error: Any but our own.
    """
    _log.error("bug-met", of=what, exc_info=error)
    why = f"by a bug of ours: {type(error).__name__}"
    return TransientError(what, "the work on it was ended", why, "report it")
