"""Structured logs on stderr: text at a terminal, JSON elsewhere."""

from __future__ import annotations

import io
import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import Processor

from reconciler.model.events import Event


class _Stderr(io.TextIOBase):
    """Whatever stderr is when a line is written: a test, or whoever embeds us, may put another there."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_STDERR = cast(TextIO, _Stderr())


def configure(log_format: str, level: str) -> None:
    """Sets up logging for the whole process."""
    as_json = log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    _take_libraries(shared, renderer)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(_STDERR),
    )


def _take_libraries(shared: list[Processor], renderer: Processor) -> None:
    """Has whatever a library warns of written as our own lines are."""
    handler = logging.StreamHandler(_STDERR)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


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
    write = log.warning if event.is_warning else log.info
    write(event.kind.value, **told)
