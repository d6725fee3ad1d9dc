"""The command `reconciler`: its subcommands, and what becomes of an error that none of them expects."""

from __future__ import annotations

import io
import os
import sys
import traceback
from pathlib import Path

import click

from reconciler.cli import logs
from reconciler.cli.asking import explain, history, plan, status
from reconciler.cli.bootstrapping import bootstrap
from reconciler.cli.comparing import diff, render
from reconciler.cli.demo import demo
from reconciler.cli.freezing import freeze, thaw
from reconciler.cli.health import health
from reconciler.cli.output import Exit, emit, shown
from reconciler.cli.retrying import retry
from reconciler.cli.running import run
from reconciler.cli.validating import schema, validate
from reconciler.cli.verbs import approve, lift, pause, promote, resume, rollback
from reconciler.core.reporting import DOCUMENTS, blank
from reconciler.core.reporting.documents import error as error_entry


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gitops-reconciler")
def reconciler() -> None:
    """Moves merged releases to every cluster in order, and takes bad ones back, in Git too.

    Commands that look need no daemon: they read Git and the clusters with the daemon's settings, and
    write nothing. Exit codes: 0 done, 1 looked and found, 2 wrong use or input, 3 could not look,
    4 timed out, 70 a bug of ours.
    """
    # Whatever a library has to say goes to stderr: stdout holds the one document.
    logs.configure("auto", "warning")


for _command in (
    approve,
    bootstrap,
    demo,
    diff,
    explain,
    freeze,
    health,
    history,
    lift,
    pause,
    plan,
    promote,
    render,
    resume,
    retry,
    rollback,
    run,
    schema,
    status,
    thaw,
    validate,
):
    reconciler.add_command(_command)


def main() -> None:
    """Runs the command; what nobody foresaw is our bug, and says so."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks an arrow is no reason to end.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = reconciler(standalone_mode=False)
    except click.ClickException as error:
        _tell_of_wrong_use(error, sys.argv[1:])
        sys.exit(Exit.WRONG_USE)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read has seen enough; a flush at exit would only complain once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.DONE)
    except Exception as error:
        if "RECONCILER_DEBUG" in os.environ:
            raise
        _tell_of_a_bug(f"{type(error).__name__}: {_place(error)}", sys.argv[1:])
        sys.exit(Exit.OUR_BUG)
    sys.exit(code or Exit.DONE)


def _tell_of_wrong_use(error: click.ClickException, arguments: list[str]) -> None:
    """Says so on stderr with the usage, and in the command's document where one was asked for."""
    # An argument may hold bytes that are no text, and a document may not.
    why = shown(error.format_message())
    _tell_in_document(arguments, "it cannot be run like this", why, "its --help says how")
    error.show()


def _tell_of_a_bug(what: str, arguments: list[str]) -> None:
    """Says so on stderr, and in the command's document where one was asked for."""
    said, fix = "this is a bug of the reconciler", "RECONCILER_DEBUG=1 shows all of it"
    _tell_in_document(arguments, what, said, fix)
    click.echo(f"internal error: {what}", err=True)
    click.echo(f"{said}; {fix}", err=True)


def _tell_in_document(arguments: list[str], what: str, why: str, fix: str) -> None:
    """Writes the command's document with one error, where a document was asked for."""
    command = next((word for word in arguments if word in reconciler.commands), "")
    name = "status" if command == "run" else command
    forms = {word.removeprefix("--output=").removeprefix("-o") for word in arguments}
    if name in DOCUMENTS and "json" in forms:
        errors = [error_entry(f"reconciler {command}", what, why, fix)]
        emit({**blank(name), "errors": errors}, "json", str)


def _place(error: Exception) -> str:
    """Returns where it happened; an error's own words may quote a Secret."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}"
