"""`reconciler demo`: the main job on simulated clusters and a local Git repo."""

from __future__ import annotations

import click

from reconciler.cli.output import output_option
from reconciler.config.reading import variable


@click.command(short_help="Watch a bad release come back out of Git.")
@click.option(
    "--script",
    type=click.Choice(["good-release", "bad-release", "cluster-down"]),
    default="bad-release",
    help="What happens.",
)
@click.option("--once", is_flag=True, help="End with a report instead of staying up.")
@click.option(
    "--listen",
    default="127.0.0.1:0",
    envvar=variable("listen"),
    metavar="HOST:PORT",
    help="Address of the board; a free port of the loopback by default.",
)
@output_option
def demo(script: str, once: bool, listen: str, output: str) -> None:  # noqa: FBT001
    """Show a release move, and a bad one come back out of the clusters and out of Git."""
    # Nothing else needs a simulation, and without it every other command starts a fifth sooner.
    from reconciler.cli.demo_show import play

    play(script, once=once, listen=listen, output=output)
