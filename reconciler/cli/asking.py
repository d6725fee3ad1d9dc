"""Commands that look and tell: status, explain, plan, history, diff and render."""

from __future__ import annotations

import sys
from typing import Any

import click
import yaml

from reconciler.cli.looking import look
from reconciler.cli.opening import settings_from, settings_options
from reconciler.cli.output import Document, Exit, emit, fail, output_option, table
from reconciler.core import reporting
from reconciler.core.diff import differences
from reconciler.core.stored import render_digest
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.shell.engine import Engine
from reconciler.shell.runner import SystemClock

exit_code_option = click.option(
    "--exit-code", is_flag=True, help="End with 1 while something is pending or held."
)


@click.command()
@settings_options
@output_option
@exit_code_option
def status(output: str, exit_code: bool, **flags: Any) -> None:  # noqa: FBT001
    """Show every service in every environment: its phase, its release, and why."""
    empty = {"schema": "reconciler.status/v1"}
    try:
        settings = settings_from(flags)
        _, view = look(settings)
    except ReconcilerError as error:
        fail(error, empty, output)
    document = reporting.status(view, SystemClock().now(), branch=settings.repo.branch)
    emit(document, output, _status_text)
    if document["errors"]:
        sys.exit(Exit.COULD_NOT_LOOK)
    if exit_code and any(cell["phase"] != "Proven" for cell in document["cells"]):
        sys.exit(Exit.FOUND)


def _status_text(document: Document) -> str:
    cells = document["cells"]
    environments = list(dict.fromkeys(cell["environment"] for cell in cells))
    services: dict[str, dict[str, Document]] = {}
    for cell in cells:
        services.setdefault(cell["service"], {})[cell["environment"]] = cell
    rows = [["SERVICE", *(e.upper() for e in environments)]]
    rows += [[name, *(_short(by.get(e)) for e in environments)] for name, by in services.items()]
    told = table(rows) if services else "No services are known.\n"
    head = document["head"]
    told += f"\n{document['mode']}, {head['branch']} at {(head['accepted'] or 'nothing')[:12]}\n"
    if document["halted"]:
        told += f"No forward moves: {document['halted']}\n"
    for pending in document["reverts_pending"]:
        where = f", on branch {pending['branch']}" if pending["branch"] else ""
        told += f"Revert pending: {pending['service']} since {pending['since']}{where}\n"
    for error in document["errors"]:
        told += f"{error['object']}: {error['what']}: {error['why']}\n"
    return told


def _short(cell: Document | None) -> str:
    if cell is None:
        return "-"
    version = cell["admitted"]["version"] if cell["admitted"] else "-"
    reason = "" if cell["phase"] == "Proven" else f" ({cell['reason']})"
    return f"{version} {cell['phase']}{reason}"


@click.command()
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
    empty = {"schema": "reconciler.explain/v1", "service": service, "environments": []}
    try:
        _, view = look(settings_from(flags))
        where = EnvironmentName(environment) if environment else None
        document = reporting.explain(view, SystemClock().now(), ServiceName(service), where)
        if not document["environments"]:
            known = ", ".join(sorted(view.services)) or "none"
            what = "it is not known" + (f" in {environment}" if environment else "")
            raise InvalidInput(f"service {service}", what, f"the services are {known}")
    except ReconcilerError as error:
        fail(error, empty, output)
    emit(document, output, _explain_text)
    gates = [g for e in document["environments"] for g in e["gates"]]
    if exit_code and any(gate["state"] != "open" for gate in gates):
        sys.exit(Exit.FOUND)


def _explain_text(document: Document) -> str:
    lines: list[str] = []
    for environment in document["environments"]:
        wanted, admitted = environment["wanted"], environment["admitted"]
        lines.append(
            f"{document['service']} in {environment['environment']}: {environment['phase']}"
        )
        lines.append(f"  {environment['summary']}")
        lines.append(
            f"  wanted {wanted['version'] if wanted else '-'}, "
            f"admitted {admitted['version'] if admitted else '-'}"
        )
        for gate in environment["gates"]:
            told = f": {gate['message']}" if gate["message"] else ""
            lines.append(f"    {gate['state']:<8}{gate['name']}{told}")
            if gate["state"] != "open" and gate["unblock"]:
                lines.append(f"            {gate['unblock']}")
    return "\n".join(lines)


@click.command()
@settings_options
@output_option
def plan(output: str, **flags: Any) -> None:
    """Show what would be done now."""
    try:
        _, view = look(settings_from(flags))
    except ReconcilerError as error:
        fail(error, {"schema": "reconciler.plan/v1"}, output)
    emit(reporting.plan(view), output, _plan_text)


def _plan_text(document: Document) -> str:
    rows = [["ACTION", "SERVICE", "ENVIRONMENT", "CLUSTER", "REASON", "MESSAGE"]]
    rows += [
        [a["kind"], a["service"], a["environment"], a["cluster"] or "-", a["reason"], a["message"]]
        for a in document["actions"]
    ]
    return table(rows)


@click.command()
@click.argument("service", required=False)
@settings_options
@output_option
def history(service: str | None, output: str, **flags: Any) -> None:
    """List what was proven and rejected, by time."""
    try:
        _, view = look(settings_from(flags))
    except ReconcilerError as error:
        fail(error, {"schema": "reconciler.history/v1"}, output)
    document = reporting.history(view)
    items = [i for i in document["items"] if service in (None, i["service"])]
    emit({**document, "items": items}, output, _history_text)


def _history_text(document: Document) -> str:
    rows = [["AT", "SERVICE", "ENVIRONMENT", "EVENT", "VERSION", "REASON"]]
    rows += [
        [i["at"], i["service"], i["environment"], i["event"], i["revision"]["version"], i["reason"]]
        for i in document["items"]
    ]
    return table(rows)


@click.command()
@click.argument("service", required=False)
@click.argument("environment", required=False)
@settings_options
@output_option
def diff(service: str | None, environment: str | None, output: str, **flags: Any) -> None:
    """Compare what is live with what is admitted, field by field; values of Secrets are masked."""
    empty: Document = {"schema": "reconciler.diff/v1", "objects": []}
    try:
        engine, view = look(settings_from(flags))
        objects: list[Document] = []
        for name, planned in sorted(view.services.items()):
            for cell in planned.facts.cells:
                if service in (None, name) and environment in (None, cell.environment):
                    objects.extend(_compared(engine, name, cell.environment))
    except ReconcilerError as error:
        fail(error, empty, output)
    emit({**empty, "objects": objects, "errors": []}, output, _diff_text)
    if any(o["change"] != "unchanged" for o in objects):
        sys.exit(Exit.FOUND)


def _compared(engine: Engine, service: ServiceName, environment: EnvironmentName) -> list[Document]:
    found = []
    for cluster, objects in _rendered(engine, service, environment):
        api = engine.api(cluster)
        for desired in objects:
            ref = ObjectRef.of(desired)
            live = api.get(ref) if api.kind(ref.api_version, ref.kind) else None
            found.append(_object(service, environment, cluster, desired, live))
    return found


def _object(
    service: str, environment: str, cluster: str, desired: KubeObject, live: KubeObject | None
) -> Document:
    ref = ObjectRef.of(desired)
    fields = differences(desired, live) if live is not None else ()
    change = "created" if live is None else "configured" if fields else "unchanged"
    return {
        "service": service,
        "environment": environment,
        "cluster": cluster,
        "api_version": ref.api_version,
        "kind": ref.kind,
        "namespace": ref.namespace or None,
        "name": ref.name,
        "change": change,
        "fields": [
            {
                "path": field.path,
                "live": field.live,
                "desired": field.desired,
                "manager": field.manager or None,
                "first_seen_at": field.at or None,
            }
            for field in fields
        ],
    }


def _diff_text(document: Document) -> str:
    lines = []
    for obj in document["objects"]:
        if obj["change"] == "unchanged":
            continue
        lines.append(
            f"{obj['cluster']} {obj['kind']}/{obj['namespace'] or ''}/{obj['name']} {obj['change']}"
        )
        lines += [
            f"  {f['path']}: live {f['live']}, admitted {f['desired']}"
            + (f" (by {f['manager']})" if f["manager"] else "")
            for f in obj["fields"]
        ]
    return "\n".join(lines) or "No difference."


@click.command()
@click.argument("service")
@click.argument("environment")
@settings_options
@output_option
def render(service: str, environment: str, output: str, **flags: Any) -> None:
    """Print what HEAD's pin renders to, for each cluster of an environment."""
    empty: Document = {"schema": "reconciler.render/v1", "items": []}
    try:
        engine, view = look(settings_from(flags))
        planned = view.services.get(ServiceName(service))
        cells = planned.facts.cells if planned else ()
        cell = next((c for c in cells if c.environment == environment), None)
        if cell is None or cell.ask.wanted is None:
            why = cell.ask.message if cell is not None else "there is no such cell"
            raise InvalidInput(f"service {service} in {environment}", "it does not render", why)
        items = [
            {
                "cluster": cluster,
                "render_digest": render_digest(objects),
                "objects": [_masked(obj) for obj in objects],
            }
            for cluster, objects in _rendered(
                engine, ServiceName(service), EnvironmentName(environment), wanted=True
            )
        ]
    except ReconcilerError as error:
        fail(error, empty, output)
    emit({**empty, "items": items, "errors": []}, output, _render_text)


def _rendered(
    engine: Engine,
    service: ServiceName,
    environment: EnvironmentName,
    *,
    wanted: bool = False,
) -> list[tuple[str, tuple[KubeObject, ...]]]:
    """Returns what is admitted, or else wanted, as it renders for each cluster that answers."""
    view = engine.view
    snapshot = view.head.snapshot if view else None
    if view is None or snapshot is None:
        raise InvalidInput("HEAD", "nothing can be rendered", view.head.error if view else "")
    asker = engine.asker_of(snapshot)
    planned = view.services[service]
    cell = next(c for c in planned.facts.cells if c.environment == environment)
    admitted = cell.record.admitted if cell.record else None
    revision = cell.ask.wanted if wanted else (admitted or cell.ask.wanted)
    if revision is None:
        return []
    found = []
    for cluster in asker.clusters(environment):
        rendered = asker.rendered(service, environment, cluster, revision)
        if rendered is not None and (wanted or cluster.name not in view.unreachable):
            found.append((str(cluster.name), rendered.objects))
    return found


def _masked(obj: KubeObject) -> KubeObject:
    if obj.get("kind") != "Secret":
        return obj
    hidden = {
        part: dict.fromkeys(obj[part], "***") for part in ("data", "stringData") if part in obj
    }
    return {**obj, **hidden}


def _render_text(document: Document) -> str:
    parts = []
    for item in document["items"]:
        parts.append(f"# {item['cluster']} {item['render_digest']}")
        parts += [yaml.safe_dump(dict(o), sort_keys=False).rstrip() for o in item["objects"]]
    return "\n---\n".join(parts)
