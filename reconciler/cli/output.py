"""One document on stdout, text for people, and the exit codes that scripts rely on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NoReturn

import click
import orjson

from reconciler.errors import OperatorError, ReconcilerError

Document = dict[str, Any]


class Exit(IntEnum):
    """Exit codes."""

    DONE = 0
    FOUND = 1
    WRONG_USE = 2
    COULD_NOT_LOOK = 3
    TIMED_OUT = 4
    OUR_BUG = 70


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
        written = text(document)
        sys.stdout.write(written if written.endswith("\n") or not written else written + "\n")
    sys.stdout.flush()


def error_document(error: ReconcilerError) -> Document:
    """Returns an error as documents carry it."""
    return {"object": error.object, "what": error.what, "why": error.why, "fix": error.fix}


def fail(error: ReconcilerError, document: Document, output: str) -> NoReturn:
    """Ends the command with an error: as a part of its document, and as text on stderr."""
    if output == "json":
        emit({**document, "errors": [error_document(error)]}, output, str)
    click.echo(f"error: {error}", err=True)
    code = Exit.WRONG_USE if isinstance(error, OperatorError) else Exit.COULD_NOT_LOOK
    sys.exit(code)


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
