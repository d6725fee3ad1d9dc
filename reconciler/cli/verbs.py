"""What people ask for as commits: pause, resume, rollback."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import click

from reconciler.adapters.git.local import person
from reconciler.adapters.git.repository import GitRepository
from reconciler.cli.asking import unknown
from reconciler.cli.looking import look
from reconciler.cli.opening import repository, settings_from, settings_options
from reconciler.cli.output import Document, end, fail, output_option
from reconciler.config.settings import Settings
from reconciler.core.rejections import way_back
from reconciler.core.reporting import blank
from reconciler.core.reverting import SOURCE_WRITTEN_OUT
from reconciler.errors import InvalidInput, ReconcilerError, Unreachable
from reconciler.model.names import BlobId, CommitId, ServiceName
from reconciler.model.release import Revision
from reconciler.ports.git import PushOutcome
from reconciler.schema.edit import set_paused, set_release

RACES_MAX = 5

Edit = Callable[[str, bytes], bytes]

reason_option = click.option(
    "--reason", required=True, help="Why; it stands in the commit for those who come after."
)


@click.command(short_help="Commit: no forward moves of a pin.")
@click.argument("service")
@click.argument("environment")
@reason_option
@settings_options
@output_option
def pause(service: str, environment: str, reason: str, output: str, **flags: Any) -> None:
    """Make no forward moves of a service in an environment; roll-backs go through."""
    _verb("pause", service, environment, reason, output, flags, _set_paused(paused=True))


@click.command(short_help="Commit: take a pause back.")
@click.argument("service")
@click.argument("environment")
@reason_option
@settings_options
@output_option
def resume(service: str, environment: str, reason: str, output: str, **flags: Any) -> None:
    """Take a pause back."""
    _verb("resume", service, environment, reason, output, flags, _set_paused(paused=False))


@click.command(short_help="Commit: pin what was proven before.")
@click.argument("service")
@click.argument("environment")
@reason_option
@settings_options
@output_option
def rollback(service: str, environment: str, reason: str, output: str, **flags: Any) -> None:
    """Pin the newest release that is proven there and not the present one."""

    def edit(path: str, octets: bytes) -> bytes:
        target = _proven_before(settings_from(flags), service, environment)
        return set_release(path, octets, target.release, target.values)

    told = f"This commit writes\n{SOURCE_WRITTEN_OUT}\n\n"
    _verb("rollback", service, environment, reason, output, flags, edit, told)


def _set_paused(*, paused: bool) -> Edit:
    return lambda path, octets: set_paused(path, octets, paused=paused)


def _proven_before(settings: Settings, service: str, environment: str) -> Revision:
    seen = look(settings)
    planned = seen.view.services.get(ServiceName(service))
    cells = planned.facts.cells if planned else ()
    cell = next((c for c in cells if c.environment == environment), None)
    subject = f"service {service} in {environment}"
    if cell is None:
        raise unknown(seen, service, environment)
    if not cell.record_known:
        why = "its promotion record could not be read"
        raise Unreachable(subject, "it cannot be rolled back", why, "the home must answer")
    if cell.record is None:
        raise InvalidInput(subject, "it cannot be rolled back", "nothing is known to run there")
    leaving = cell.record.admitted or cell.ask.wanted
    target = way_back(cell, leaving) if leaving is not None else None
    if target is None:
        why = "nothing else is proven there that was not rejected"
        raise InvalidInput(subject, "it cannot be rolled back", why, "pin a release by hand")
    return target


def _verb(
    action: str,
    service: str,
    environment: str,
    reason: str,
    output: str,
    flags: dict[str, Any],
    edit: Edit,
    told: str = "",
) -> None:
    document = blank(action)
    try:
        settings = _signed(settings_from(flags))
        root = settings.repo.path.strip("/")
        path = f"{root}/environments/{environment}/{service}.yaml".lstrip("/")
        message = (
            f"{action.capitalize()} {service} in {environment}\n\n{reason}\n\n{told}"
            f"Reconciler-Action: {action}\nReconciler-Service: {service}\n"
            f"Reconciler-Environments: {environment}\nReconciler-Reason: {' '.join(reason.split())}\n"
        )
        commit, branch = _pushed(repository(settings), settings, path, edit, message)
    except ReconcilerError as error:
        fail(error, document, output)
    document.update(commit=commit, branch=branch, paths=[path], pushed=commit is not None)
    end(document, output, lambda d: _text(d, settings.repo.branch))


def _signed(settings: Settings) -> Settings:
    """Returns the settings with the person's own name, where this machine knows it: it is their commit."""
    who = person()
    if who is None:
        return settings
    named = {"author_name": who[0], "author_email": who[1]}
    return settings.model_copy(update={"repo": settings.repo.model_copy(update=named)})


def _pushed(
    repo: GitRepository, settings: Settings, path: str, edit: Edit, message: str
) -> tuple[CommitId | None, str]:
    """Commits on a fresh HEAD until a push stands; a branch that refuses it gets one for a person."""
    for _ in range(RACES_MAX):
        head = repo.fetch()
        octets = _read(repo, head, path)
        edited = edit(path, octets)
        if edited == octets:
            return None, settings.repo.branch
        commit = repo.commit(head, {path: edited}, message)
        result = repo.push(commit, settings.repo.branch)
        if result.outcome is PushOutcome.LANDED:
            return commit, settings.repo.branch
        if result.outcome is PushOutcome.REFUSED:
            digits = hashlib.sha256(commit.encode()).hexdigest()[:12]
            branch = f"reconciler/change-{digits}"
            if repo.push(commit, branch).outcome is PushOutcome.LANDED:
                return commit, branch
            raise Unreachable(branch, "the commit could not be pushed", result.message)
    raise Unreachable(settings.repo.branch, "the push was overtaken", "others push without a pause")


def _read(repo: GitRepository, head: CommitId, path: str) -> bytes:
    folder, _, name = path.rpartition("/")
    entry = next((e for e in repo.tree(head, folder) if e.path == name), None)
    if entry is None:
        raise InvalidInput(path, "it cannot be changed", "there is no such pin", "check the names")
    return repo.blob(BlobId(entry.blob))


def _text(document: Document, branch: str) -> str:
    if document["commit"] is None:
        return "Nothing to change: the pin says so already."
    told = f"{document['commit']} is on {document['branch']}"
    return told if document["branch"] == branch else f"{told}: {branch} refused it; merge it there"
