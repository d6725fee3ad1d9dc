"""`reconciler validate`: every fault of an env repo, for its CI; and `reconciler schema`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from reconciler.adapters.git.local import JoinedHistory, folder_history, local_history
from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.cli.opening import is_configured, repository, settings_from, settings_options
from reconciler.cli.output import Document, emit, end, fail, output_option
from reconciler.core.reporting import blank
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.env_repo import Fault, Severity
from reconciler.model.names import CommitId
from reconciler.ports.git import History
from reconciler.schema.folder import WORKING_FOLDER, FolderFiles
from reconciler.schema.published import KINDS, published
from reconciler.schema.snapshot import Files, read_all
from reconciler.shell.runner import SystemClock
from reconciler.shell.trial import Trial

_RANGE = re.compile(r"(?P<base>[^./][^:]*?)\.\.(?P<revision>[^./][^:]*)?\Z")


@click.command(short_help="Every fault of an env repo, for its CI.")
@click.argument("what", default=".", metavar="[PATH | REV | BASE..REV]")
@settings_options
@output_option
def validate(what: str, output: str, **flags: Any) -> None:
    """Check an env repo, before it is merged.

    PATH is a folder, which need not be committed; a commit that a pin names is looked for in the
    repository around it, all of whose history must be there. REV is a commit, branch or tag of the repo in the
    settings or, where they name none, of the repository around this folder. BASE..REV also refuses
    pins that ask, newly since BASE, for what is quarantined where they stand.
    """
    document = blank("validate", source=what)
    try:
        opened = _opened(what, flags)
        document["commit"] = None if opened.commit == WORKING_FOLDER else opened.commit
        reading = read_all(opened.files, opened.commit, root=opened.root, named=opened.folder)
        faults = list(reading.faults)
        if reading.snapshot is not None:
            trial = Trial(opened.files, reading, ServiceBuilder(), SystemClock(), opened.root)
            faults += trial.faults()
            if opened.base is not None:
                before = read_all(opened.files, opened.base, root=opened.root).snapshot
                faults += trial.quarantined_again(before)
    except ReconcilerError as error:
        fail(error, document, output)
    faults.sort(key=lambda fault: (fault.severity is not Severity.ERROR, fault))
    document["ok"] = not any(fault.severity is Severity.ERROR for fault in faults)
    document["files"] = reading.files
    document["faults"] = [_fault(fault) for fault in faults]
    end(document, output, _text, found=not document["ok"])


@dataclass(frozen=True, slots=True)
class _Opened:
    """What is checked.

    Attributes:
        base: The commit whose pins are not new, or None.
        root: The subfolder that is the env repo.
        folder: What is not committed yet; empty for a commit.
    """

    files: Files
    commit: CommitId
    base: CommitId | None = None
    root: str = ""
    folder: str = ""


def _opened(what: str, flags: dict[str, Any]) -> _Opened:
    if _is_folder(what):
        # What a revert has pinned to a commit is looked for in the repository around the folder.
        files = FolderFiles(Path(what), folder_history(Path(what)))
        root = flags.get("path") or ""
        return _Opened(files, WORKING_FOLDER, root=root, folder=str(Path(what, root.strip("/"))))
    ranged = _RANGE.match(what)
    base, revision = (ranged["base"], ranged["revision"] or "HEAD") if ranged else (None, what)
    history, root, head = _history(flags)
    found = _resolved(history, revision, head)
    before = _resolved(history, base, head) if base is not None else None
    return _Opened(history, found, before, root)


def _is_folder(what: str) -> bool:
    try:
        return what != "" and Path(what).is_dir()
    except (OSError, ValueError):
        return False  # too long, or not a path at all


def _history(flags: dict[str, Any]) -> tuple[History, str, CommitId | None]:
    """Returns where commits are looked for, the env repo's subfolder, and what HEAD means."""
    local = local_history(Path.cwd())
    if not is_configured(flags):
        if local is None:
            why = "there is no such folder, no repo is set, and this folder is in none"
            raise InvalidInput(
                "validate", "nothing can be checked", why, "give a folder, or --repo"
            )
        return local, flags.get("path") or "", None
    settings = settings_from(flags)
    repo = repository(settings)
    head = repo.fetch()
    history = JoinedHistory(repo, local) if local is not None else repo
    return history, settings.repo.path, head


def _resolved(history: History, text: str, head: CommitId | None) -> CommitId:
    found = head if text == "HEAD" and head is not None else history.resolve(text)
    if found is None:
        why = "it is neither a folder nor a commit of the repo"
        fix = "give a folder, a commit, or BASE..REV"
        raise InvalidInput(ascii(text)[1:-1], "it cannot be checked", why, fix)
    return found


def _fault(fault: Fault) -> Document:
    return {
        "severity": fault.severity.value,
        "code": fault.code,
        "path": fault.path,
        "line": fault.line or None,
        "column": fault.column or None,
        "field": fault.field or None,
        "what": fault.what,
        "why": fault.why,
        "fix": fault.fix,
    }


def _text(document: Document) -> str:
    """Returns a line a fault, in the form that editors and CI systems jump from."""
    lines = []
    for fault in document["faults"]:
        place = f"{fault['path']}:{fault['line'] or 1}:{fault['column'] or 1}"
        kind = "" if fault["severity"] == "error" else f"{fault['severity']}: "
        lines.append(f"{place}: {kind}{fault['what']}: {fault['why']}; {fault['fix']}")
    count = len(document["faults"])
    said = "no faults" if not count else "1 fault" if count == 1 else f"{count} faults"
    lines.append(f"{document['files']} files, {said}")
    return "\n".join(lines)


@click.command(short_help="The JSON Schema of a kind of file.")
@click.argument("kind", type=click.Choice(sorted(KINDS)))
@output_option
def schema(kind: str, output: str) -> None:
    """Print the JSON Schema of a kind of file, for editors; it is JSON in either form."""
    del output
    emit(published(kind), "json", str)
