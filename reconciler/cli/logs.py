"""Structured logs on stderr: text at a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

import structlog

from reconciler.model.events import Event, EventKind

WARNINGS = frozenset(
    {
        EventKind.APPLY_FAILED,
        EventKind.CLUSTER_UNREACHABLE,
        EventKind.DRIFT_SEEN,
        EventKind.FAILED,
        EventKind.FETCH_FAILED,
        EventKind.HEAD_REFUSED,
        EventKind.LEADING_LOST,
        EventKind.PRUNE_HELD,
        EventKind.REJECTED,
        EventKind.REVERT_REFUSED,
    }
)


def configure(log_format: str, level: str) -> None:
    """Sets up logging for the whole process."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    renderer: Callable[..., str | bytes] = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log_event(event: Event) -> None:
    """Writes one event as one line."""
    keys: dict[str, object] = {
        "reason": event.reason,
        "message": event.message,
        "service": event.service,
        "environment": event.environment,
        "cluster": event.cluster,
        "version": event.revision.release.version if event.revision else None,
        "revision": event.revision.id if event.revision else None,
        "seconds": event.seconds,
        **dict(event.detail),
    }
    told = {key: value for key, value in keys.items() if value not in (None, "")}
    log = structlog.get_logger("reconciler")
    write = log.warning if event.kind in WARNINGS else log.info
    write(event.kind.value, **told)
