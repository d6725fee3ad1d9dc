"""One change of the env repo as a person's commit: on a fresh HEAD, or a branch of its own where that is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from reconciler.adapters.git.local import person
from reconciler.adapters.git.repository import GitRepository
from reconciler.cli.opening import repository, settings_from
from reconciler.cli.output import Document, end, fail
from reconciler.config.settings import Settings
from reconciler.core.reporting import blank
from reconciler.errors import InvalidInput, ReconcilerError, Unreachable
from reconciler.model.env_repo import Fault, Severity
from reconciler.model.names import BlobId, CommitId
from reconciler.ports.git import PushOutcome
from reconciler.schema.checks import NOT_SUPPORTED
from reconciler.schema.snapshot import read_all

RACES_MAX = 5

Edit = Callable[[str, bytes], bytes]

reason_option = click.option(
    "--reason", required=True, help="Why; it stands in the commit for those who come after."
)


@dataclass(frozen=True, slots=True)
class Change:
    """What a verb asks for.

    Attributes:
        action: The verb.
        subject: The commit's first line.
        path: The file, below the env repo's root.
        what: What that file is, in words.
        edit: Given the file's path and content, returns the content it shall have.
        trailers: By name, without `Reconciler-`; the action and the reason are added.
        told: What else the commit says.
    """

    action: str
    subject: str
    path: str
    what: str
    edit: Edit
    trailers: Mapping[str, str] = field(default_factory=dict)
    told: str = ""

    def message(self, reason: str) -> str:
        """Returns the commit's message."""
        trailers = {"Action": self.action, **self.trailers, "Reason": " ".join(reason.split())}
        lines = "".join(f"Reconciler-{name}: {value}\n" for name, value in trailers.items())
        return f"{self.subject}\n\n{reason}\n\n{self.told}{lines}"


def commit(change: Change, reason: str, output: str, flags: dict[str, Any]) -> None:
    """Makes the commit, pushes it, and ends with what became of it."""
    document = blank(change.action)
    try:
        settings = _signed(settings_from(flags))
        root = settings.repo.path.strip("/")
        made, branch = _pushed(repository(settings), settings, root, change, reason)
    except ReconcilerError as error:
        fail(error, document, output)
    path = f"{root}/{change.path}".lstrip("/")
    document.update(commit=made, branch=branch, paths=[path], pushed=made is not None)
    end(document, output, lambda d: _text(d, settings.repo.branch, change.what))


def _signed(settings: Settings) -> Settings:
    """Returns the settings with the person's own name, where this machine knows it: it is their commit."""
    who = person()
    if who is None:
        return settings
    named = {"author_name": who[0], "author_email": who[1]}
    return settings.model_copy(update={"repo": settings.repo.model_copy(update=named)})


def _pushed(
    repo: GitRepository, settings: Settings, root: str, change: Change, reason: str
) -> tuple[CommitId | None, str]:
    """Commits on a fresh HEAD until a push stands; a branch that refuses it gets one for a person."""
    path = f"{root}/{change.path}".lstrip("/")
    for _ in range(RACES_MAX):
        head = repo.fetch()
        octets = _read(repo, head, path, change.what)
        edited = change.edit(path, octets)
        if edited == octets:
            return None, settings.repo.branch
        made = repo.commit(head, {path: edited}, change.message(reason))
        _check(repo, head, made, root, change.path)
        result = repo.push(made, settings.repo.branch)
        if result.outcome is PushOutcome.LANDED:
            return made, settings.repo.branch
        if result.outcome is PushOutcome.REFUSED:
            digits = hashlib.sha256(made.encode()).hexdigest()[:12]
            branch = f"reconciler/change-{digits}"
            if repo.push(made, branch).outcome is PushOutcome.LANDED:
                return made, branch
            raise Unreachable(branch, "the commit could not be pushed", result.message)
    raise Unreachable(settings.repo.branch, "the push was overtaken", "others push without a pause")


def _check(repo: GitRepository, head: CommitId, made: CommitId, root: str, path: str) -> None:
    """Refuses a change that would break its file: a broken fleet.yaml holds whatever is merged after it."""
    before = {(fault.code, fault.field) for fault in _faults(repo, head, root, path)}
    for fault in _faults(repo, made, root, path):
        if (fault.code, fault.field) not in before:
            raise InvalidInput(path, "it would be broken", fault.why, fault.fix)


def _faults(repo: GitRepository, commit: CommitId, root: str, path: str) -> list[Fault]:
    return [
        fault
        for fault in read_all(repo, commit, root=root).faults
        if fault.path == path and fault.severity is Severity.ERROR and fault.code != NOT_SUPPORTED
    ]


def _read(repo: GitRepository, head: CommitId, path: str, what: str) -> bytes:
    folder, _, name = path.rpartition("/")
    entry = next((e for e in repo.tree(head, folder) if e.path == name), None)
    if entry is None:
        raise InvalidInput(
            path, "it cannot be changed", f"there is no such {what}", "check the names"
        )
    return repo.blob(BlobId(entry.blob))


def _text(document: Document, branch: str, what: str) -> str:
    if document["commit"] is None:
        return f"Nothing to change: the {what} says so already."
    told = f"{document['commit']} is on {document['branch']}"
    return told if document["branch"] == branch else f"{told}: {branch} refused it; merge it there"
