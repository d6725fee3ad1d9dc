"""One document on stdout, text for people, and the exit codes that scripts rely on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NoReturn

import click
import orjson

from reconciler.core.reporting import Document
from reconciler.core.reporting.documents import error as error_entry
from reconciler.errors import InvalidInput, ReconcilerError

__all__ = ["Document", "Exit", "emit", "end", "error_document", "fail", "output_option", "table"]


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    FOUND = 1
    WRONG_USE = 2
    COULD_NOT_LOOK = 3
    TIMED_OUT = 4
    OUR_BUG = 70
    INTERRUPTED = 130


output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="Text for people, or one JSON document for scripts.",
)


def emit(document: Document, output: str, text: Callable[[Document], str]) -> None:
    """Writes a document to stdout in the form that was asked for."""
    if output == "json":
        octets = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        sys.stdout.write(octets.decode())
    else:
        written = shown(text(document))
        sys.stdout.write(written if written.endswith("\n") or not written else written + "\n")
    sys.stdout.flush()


def shown(text: str) -> str:
    """Returns a text that does nothing to a terminal: names and messages come from anybody."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def error_document(error: ReconcilerError) -> Document:
    """Returns an error as documents carry it."""
    return error_entry(error.object, error.what, error.why, error.fix)


def end(
    document: Document, output: str, text: Callable[[Document], str], *, found: bool = False
) -> NoReturn:
    """Writes a document and ends the command.

    Args:
        document: Whose errors mean that not everything could be looked at.
        output: The form that was asked for.
        text: The form for people; errors are told on stderr.
        found: Whether what was looked for was found: invalid, different, pending.
    """
    emit(document, output, text)
    for one in document["errors"]:
        click.echo(shown(f"error: {_line(one)}"), err=True)
    if document["errors"]:
        sys.exit(Exit.COULD_NOT_LOOK)
    sys.exit(Exit.FOUND if found else Exit.DONE)


def fail(error: ReconcilerError, document: Document, output: str) -> NoReturn:
    """Ends the command with an error: as a part of its document, and as text on stderr."""
    if output == "json":
        emit({**document, "errors": [error_document(error)]}, output, str)
    click.echo(shown(f"error: {error}"), err=True)
    sys.exit(Exit.WRONG_USE if isinstance(error, InvalidInput) else Exit.COULD_NOT_LOOK)


def _line(error: dict[str, Any]) -> str:
    fix = f"; {error['fix']}" if error["fix"] else ""
    return f"{error['object']}: {error['what']}: {error['why']}{fix}"


def table(rows: list[list[str]]) -> str:
    """Returns rows as columns of even width."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"
