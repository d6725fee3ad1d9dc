"""Commands that look and tell: status, explain, plan and history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from reconciler.adapters.git.local import local_history
from reconciler.cli import texts
from reconciler.cli.looking import Look, look
from reconciler.cli.opening import settings_from, settings_options
from reconciler.cli.output import Document, end, fail, output_option
from reconciler.core import reporting
from reconciler.core.reporting import blank, unseen
from reconciler.errors import InvalidInput, ReconcilerError, Unreachable
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.runner import SystemClock

exit_code_option = click.option(
    "--exit-code", is_flag=True, help="End with 1 while something is pending or held."
)


@click.command(short_help="Every service in every environment.")
@settings_options
@output_option
@exit_code_option
def status(output: str, exit_code: bool, **flags: Any) -> None:  # noqa: FBT001
    """Show every service in every environment: its phase, its release, and why."""
    document = blank("status")
    try:
        settings = settings_from(flags)
        document["mode"], document["head"]["branch"] = settings.mode.value, settings.repo.branch
        seen = look(settings)
    except ReconcilerError as error:
        fail(error, document, output)
    now = SystemClock().now()
    document = reporting.status(seen.view, now, branch=settings.repo.branch)
    pending = any(cell["phase"] != "Proven" for cell in document["cells"])
    end(document, output, lambda d: texts.status(d, now), found=exit_code and pending)


@click.command(short_help="Why is it not moving, and what changes that?")
@click.argument("service")
@click.argument("environment", required=False)
@settings_options
@output_option
@exit_code_option
def explain(
    service: str,
    environment: str | None,
    output: str,
    exit_code: bool,  # noqa: FBT001
    **flags: Any,
) -> None:
    """Say why a service is where it is: each gate, its state, and what would change it."""
    document = blank("explain", service=service)
    try:
        seen = look(settings_from(flags))
        where = EnvironmentName(environment) if environment else None
        document = reporting.explain(seen.view, ServiceName(service), where)
        if not document["environments"]:
            raise unknown(seen, service, environment)
    except ReconcilerError as error:
        fail(error, document, output)
    waits = any(_waits(row) for row in document["environments"])
    end(document, output, texts.explain, found=exit_code and waits)


def _waits(row: Document) -> bool:
    """Whether an environment waits for anything: for a gate, or for what no gate stands before."""
    return row["phase"] != "Proven" or any(gate["state"] != "open" for gate in row["gates"])


def unknown(seen: Look, service: str, environment: str | None) -> ReconcilerError:
    """Returns the error for a service, or a service in an environment, that nobody knows.

    Names come from HEAD and from the home: while one of them was not read, nobody can say.
    """
    where = f"service {service}" + (f" in {environment}" if environment else "")
    blind = next(iter(unseen(seen.view, among=())), None)
    if blind is not None:
        why = f"{blind['object']}: {blind['what']}: {blind['why']}"
        return Unreachable(where, "it could not be looked up", why, blind["fix"])
    planned = seen.view.services.get(ServiceName(service))
    if planned is None:
        known = ", ".join(sorted(seen.view.services)) or "none"
        why, fix = f"the services are {known}", "name one of these"
        return InvalidInput(where, "it is not known", why, fix)
    there = ", ".join(cell.environment for cell in planned.facts.cells) or "none"
    why, fix = f"its environments are {there}", "name one of these"
    return InvalidInput(where, "it is not known", why, fix)


@click.command(short_help="What would be done now, or after a merge.")
@click.argument("revision", required=False, metavar="[REV]")
@settings_options
@output_option
@click.option("--exit-code", is_flag=True, help="End with 1 while anything would be done.")
def plan(revision: str | None, output: str, exit_code: bool, **flags: Any) -> None:  # noqa: FBT001
    """Show what would be done now, or after merging the commit REV."""
    document = blank("plan")
    try:
        settings = settings_from(flags)
        local = local_history(Path.cwd()) if revision is not None else None
        seen = look(settings, local=local)
        view = seen.view
        if revision is not None:
            commit = seen.engine.history.resolve(revision)
            if commit is None and view.head.error:
                raise Unreachable(revision, "it could not be looked up", view.head.error)
            if commit is None:
                why = "neither the env repo nor the repository of this folder holds it"
                raise InvalidInput(revision, "it cannot be planned", why, "give a commit")
            root = settings.repo.path
            view = seen.engine.view_at(read_snapshot(seen.engine.history, commit, root=root))
    except ReconcilerError as error:
        fail(error, document, output)
    document = reporting.plan(view)
    acts = any(action["kind"] not in ("Hold", "Examine") for action in document["actions"])
    end(document, output, texts.plan, found=exit_code and acts)


@click.command(short_help="What happened, by time.")
@click.argument("service", required=False)
@settings_options
@output_option
def history(service: str | None, output: str, **flags: Any) -> None:
    """List what was admitted, proven, rejected and taken back, by time."""
    document: Document = blank("history")
    try:
        seen = look(settings_from(flags))
        if service is not None and ServiceName(service) not in seen.view.services:
            raise unknown(seen, service, None)
    except ReconcilerError as error:
        fail(error, document, output)
    document = reporting.history(seen.view, ServiceName(service) if service else None)
    end(document, output, texts.history)
