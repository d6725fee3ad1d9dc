"""The command `reconciler`."""

from __future__ import annotations

import sys

import click

from reconciler.cli.asking import diff, explain, history, plan, render, status
from reconciler.cli.bootstrapping import bootstrap
from reconciler.cli.demo import demo
from reconciler.cli.health import health
from reconciler.cli.output import Exit
from reconciler.cli.running import run
from reconciler.cli.validating import schema, validate
from reconciler.cli.verbs import pause, resume, rollback


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gitops-reconciler")
def reconciler() -> None:
    """Moves merged releases to every cluster in order, and takes bad ones back, in Git too."""


for _command in (
    bootstrap,
    demo,
    diff,
    explain,
    health,
    history,
    pause,
    plan,
    render,
    resume,
    rollback,
    run,
    schema,
    status,
    validate,
):
    reconciler.add_command(_command)


def main() -> None:
    """Runs the command; what nobody foresaw is our bug, and says so."""
    try:
        reconciler(standalone_mode=True)
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(Exit.WRONG_USE)
    except Exception as error:
        click.echo(f"internal error: {type(error).__name__}: {error}", err=True)
        click.echo("this is a bug of the reconciler; please report it", err=True)
        if "--debug" in sys.argv:
            raise
        sys.exit(Exit.OUR_BUG)


if __name__ == "__main__":
    main()
