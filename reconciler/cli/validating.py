"""`reconciler validate`: every fault of an env repo, for its CI; and `reconciler schema`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.cli.opening import repository, settings_from, settings_options
from reconciler.cli.output import Document, Exit, emit, fail, output_option
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import Fault, Severity
from reconciler.model.names import CommitId
from reconciler.schema.files import FleetFile, PinFile, PolicyFile, QuarantineFile, ServiceFile
from reconciler.schema.folder import WORKING_FOLDER, FolderFiles
from reconciler.schema.snapshot import Files, Reading, read_all
from reconciler.shell.runner import SystemClock
from reconciler.shell.trial import render_faults

KINDS: dict[str, type[BaseModel]] = {
    "fleet": FleetFile,
    "service": ServiceFile,
    "pin": PinFile,
    "policy": PolicyFile,
    "quarantine": QuarantineFile,
}


@click.command()
@click.argument("what", default=".")
@settings_options
@output_option
def validate(what: str, output: str, **flags: Any) -> None:
    """Check an env repo: WHAT is a folder, a commit, or BASE..REV of the repo in the settings."""
    document: Document = {
        "schema": "reconciler.validate/v1",
        "source": what,
        "commit": None,
        "ok": False,
        "files": 0,
        "faults": [],
    }
    try:
        files, commit, base = _opened(what, flags)
        root = flags.get("path") or ""
        reading = read_all(files, commit, root=root)
        faults = list(reading.faults)
        if reading.snapshot is not None:
            faults += render_faults(files, reading.snapshot, ServiceBuilder(), SystemClock(), root)
            if base is not None:
                faults += _newly_quarantined(files, base, reading, root)
    except ReconcilerError as error:
        fail(error, document, output)
    faults.sort()
    document.update(
        commit=None if commit == WORKING_FOLDER else commit,
        ok=not any(f.severity is Severity.ERROR for f in faults),
        files=reading.files,
        faults=[_fault(f) for f in faults],
        errors=[],
    )
    emit(document, output, _text)
    sys.exit(Exit.DONE if document["ok"] else Exit.FOUND)


def _opened(what: str, flags: dict[str, Any]) -> tuple[Files, CommitId, CommitId | None]:
    if Path(what).is_dir():
        return FolderFiles(Path(what)), WORKING_FOLDER, None
    repo = repository(settings_from(flags))
    repo.fetch()
    base, dots, revision = what.rpartition("..")
    found = [_resolved(repo, text) for text in ([base] if dots else []) + [revision]]
    return repo, found[-1], found[0] if dots else None


def _resolved(repo: Any, text: str) -> CommitId:
    found = repo.resolve(text) if text != "HEAD" else repo.fetch()
    if found is None:
        why = "it is neither a folder nor a commit of the repo"
        raise InvalidInput(text, "it cannot be checked", why, "give a folder or a commit")
    return CommitId(found)


def _newly_quarantined(files: Files, base: CommitId, now: Reading, root: str) -> list[Fault]:
    """Returns a fault for each pin that the change makes ask for what is quarantined there."""
    before = read_all(files, base, root=root).snapshot
    snapshot = now.snapshot
    if snapshot is None:
        return []
    found = []
    for (environment, service), pin in snapshot.pins.items():
        former = before.pins.get((environment, service)) if before else None
        if former is not None and (former.images, former.values) == (pin.images, pin.values):
            continue
        for entry in snapshot.quarantine.get(service, ()):
            if (
                entry.lifted is None
                and environment in entry.environments
                and entry.version == pin.version
            ):
                path = f"environments/{environment}/{service}.yaml"
                why = f"{entry.version} is quarantined there since {entry.rejected_at}: {entry.reason}"
                fix = f"pin another release, or lift the entry in quarantine/{service}.yaml"
                found.append(
                    Fault(path, 0, 0, "Quarantined", "it pins a rejected release", why, fix)
                )
    return found


def _fault(fault: Fault) -> Document:
    return {
        "severity": fault.severity.value,
        "code": fault.code,
        "path": fault.path,
        "line": fault.line,
        "column": fault.column,
        "field": fault.field,
        "what": fault.what,
        "why": fault.why,
        "fix": fault.fix,
    }


def _text(document: Document) -> str:
    lines = []
    for fault in document["faults"]:
        place = ":".join(str(p) for p in (fault["path"], fault["line"], fault["column"]) if p)
        fix = f"; {fault['fix']}" if fault["fix"] else ""
        lines.append(f"{place}: {fault['severity']}: {fault['what']}: {fault['why']}{fix}")
    lines.append(f"{document['files']} files, {len(document['faults'])} faults")
    return "\n".join(lines)


@click.command()
@click.argument("kind", type=click.Choice(sorted(KINDS)))
def schema(kind: str) -> None:
    """Print the JSON Schema of a kind of file, for editors."""
    tree = KINDS[kind].model_json_schema()
    tree["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    emit(tree, "json", str)
