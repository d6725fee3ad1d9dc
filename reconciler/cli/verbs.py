"""What people ask of one service as commits: pause, resume, promote, approve, rollback and lift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from reconciler.adapters.git.local import person
from reconciler.cli.asking import unknown
from reconciler.cli.committing import Change, Edit, commit, reason_option
from reconciler.cli.hotfixing import as_hotfix, let_past, skip_option
from reconciler.cli.looking import Look, look
from reconciler.cli.opening import settings_from, settings_options
from reconciler.cli.output import output_option
from reconciler.core.promoting import hotfixes, promotable
from reconciler.core.rejections import way_back
from reconciler.core.reverting import SOURCE_WRITTEN_OUT
from reconciler.core.view import CellView
from reconciler.errors import InvalidInput, Unreachable
from reconciler.model.facts import Cell
from reconciler.model.names import EnvironmentName, RevisionId, ServiceName
from reconciler.model.release import Release, Revision
from reconciler.model.return_trip import Irreversible
from reconciler.model.skips import Skippable
from reconciler.schema.edit import lift as lifted
from reconciler.schema.edit import promote as promoted
from reconciler.schema.edit import set_approved, set_paused, set_release, standing


def _of_a_cell(command: Callable[..., None]) -> Callable[..., None]:
    """Adds what every verb about a service in an environment takes."""
    for added in (
        output_option,
        settings_options,
        reason_option,
        click.argument("environment"),
        click.argument("service"),
    ):
        command = added(command)
    return command


@click.command(short_help="Commit: no forward moves of a pin.")
@_of_a_cell
def pause(service: str, environment: str, reason: str, output: str, **flags: Any) -> None:
    """Make no forward moves of a service in an environment; roll-backs go through."""
    edit = _set_paused(paused=True)
    commit(_of_a_pin("pause", service, environment, edit), reason, output, flags)


@click.command(short_help="Commit: take a pause back.")
@_of_a_cell
def resume(service: str, environment: str, reason: str, output: str, **flags: Any) -> None:
    """Take a pause back."""
    edit = _set_paused(paused=False)
    commit(_of_a_pin("resume", service, environment, edit), reason, output, flags)


@click.command(short_help="Commit: pin what was proven before.")
@_of_a_cell
def rollback(service: str, environment: str, reason: str, output: str, **flags: Any) -> None:
    """Pin the newest release that is proven there and not the present one; over `release: absent`, the newest."""

    def edit(path: str, octets: bytes) -> bytes:
        target = _proven_before(look(settings_from(flags)), service, environment)
        return set_release(path, octets, target.release, target.values, over_tombstone=True)

    told = f"This commit writes\n{SOURCE_WRITTEN_OUT}\n\n"
    commit(_of_a_pin("rollback", service, environment, edit, told), reason, output, flags)


@click.command(short_help="Commit: pin what the environments before have proven.")
@_of_a_cell
@click.option("--to", "version", metavar="VERSION", help="Which release; by default the newest.")
@skip_option
def promote(
    service: str,
    environment: str,
    reason: str,
    output: str,
    version: str | None,
    skip: tuple[Skippable, ...],
    **flags: Any,
) -> None:
    """Pin the newest release that is proven in every environment before, and keep the pin's values.

    A hotfix skips gates for the one revision that it makes, where the policy's `hotfix` lets the signer of the
    commit: with `soak` the newest release that rolls out before, once it was seen healthy there on every cluster.
    Where no environment comes before, what the pin asks for is let past.
    """

    def edit(path: str, octets: bytes) -> bytes:
        settings = settings_from(flags)
        seen = look(settings)
        release = _to_promote(seen, service, environment, version, skip)
        edited = promoted(path, octets, release, is_hotfix=bool(skip))
        if not skip:
            return edited
        view = _cell(seen, service, environment, "nothing is promoted")
        return let_past(path, edited, settings, seen, view, skip, reason)

    change = _of_a_pin("promote", service, environment, edit)
    if skip:
        change = as_hotfix(change, service, environment, skip)
    commit(change, reason, output, flags)


@click.command(short_help="Commit: let in what somebody else has pinned.")
@click.option(
    "--irreversible",
    is_flag=True,
    help="Accept, too, that it cannot come back where it turns out bad.",
)
@_of_a_cell
def approve(
    service: str, environment: str, reason: str, output: str, *, irreversible: bool, **flags: Any
) -> None:
    """Write into the pin that its present revision is approved; that counts when somebody else has pinned it."""

    def edit(path: str, octets: bytes) -> bytes:
        seen = look(settings_from(flags))
        revision = _to_approve(seen, service, environment, irreversible=irreversible)
        known = _cell(seen, service, environment, "nothing is approved").cell.ask.approval
        asked_in = known.asked_since if known is not None else None
        who = person()
        by = who[0] if who else "not told"
        return set_approved(
            path, octets, revision.id, by, irreversible=irreversible, asked_in=asked_in
        )

    commit(_of_a_pin("approve", service, environment, edit), reason, output, flags)


@click.command(short_help="Commit: let in what is quarantined.")
@click.argument("service")
@click.option(
    "--entry",
    "entries",
    metavar="REVISION",
    multiple=True,
    help="Which entry, by its revision or the beginning of it; needed where several stand.",
)
@reason_option
@settings_options
@output_option
def lift(service: str, entries: tuple[str, ...], reason: str, output: str, **flags: Any) -> None:
    """Write a reason under `lifted` at an entry of a service's quarantine file, which lets it in again."""

    def edit(path: str, octets: bytes) -> bytes:
        there = {entry.revision: entry.version for entry in standing(path, octets)}
        return lifted(path, octets, _chosen(path, there, entries), " ".join(reason.split()))

    change = Change(
        action="lift",
        subject=f"Lift what is quarantined of {service}",
        path=f"quarantine/{service}.yaml",
        what="quarantine",
        edit=edit,
        trailers={"Service": service},
    )
    commit(change, reason, output, flags)


def _of_a_pin(action: str, service: str, environment: str, edit: Edit, told: str = "") -> Change:
    return Change(
        action=action,
        subject=f"{action.capitalize()} {service} in {environment}",
        path=f"environments/{environment}/{service}.yaml",
        what="pin",
        edit=edit,
        trailers={"Service": service, "Environments": environment},
        told=told,
    )


def _set_paused(*, paused: bool) -> Edit:
    return lambda path, octets: set_paused(path, octets, paused=paused)


def _chosen(
    path: str, there: dict[RevisionId, str], asked: tuple[str, ...]
) -> tuple[RevisionId, ...]:
    """Returns the revisions of the entries that a person means.

    Args:
        path: The file, for errors.
        there: The version of each revision that stands.
        asked: Beginnings of revisions; none means the only one.

    Raises:
        InvalidInput: Nothing stands, or it cannot be told which is meant.
    """
    what, named = "nothing is lifted", ", ".join(f"{v} ({r[:19]})" for r, v in there.items())
    if not there:
        raise InvalidInput(path, what, "none of its entries stands", "there is nothing to lift")
    if not asked and len(there) > 1:
        why = f"several entries stand: {named}"
        raise InvalidInput(path, what, why, "name one with --entry")
    found = []
    for begin in asked or tuple(there):
        full = begin if begin.startswith("sha256:") else f"sha256:{begin}"
        matching = [revision for revision in there if revision.startswith(full)]
        if len(matching) != 1 or full == "sha256:":
            how_many = "several" if matching else "no"
            why = f"{how_many} entries that stand are of {begin!r:.80}; there are {named}"
            raise InvalidInput(path, what, why, "write the revision as the file has it")
        found.extend(matching)
    return tuple(found)


def _cell(seen: Look, service: str, environment: str, what: str) -> CellView:
    """Returns a cell whose record could be read."""
    planned = seen.view.services.get(ServiceName(service))
    cells = planned.facts.cells if planned else ()
    index = next((i for i, c in enumerate(cells) if c.environment == environment), None)
    if planned is None or index is None:
        raise unknown(seen, service, environment)
    view = CellView(planned.facts, index, seen.view.fleet, planned.at)
    _known(view.cell, service, what)
    return view


def _known(cell: Cell, service: str, what: str) -> None:
    if not cell.record_known:
        subject, why = (
            f"service {service} in {cell.environment}",
            "its promotion record could not be read",
        )
        raise Unreachable(subject, what, why, "the home must answer")


def _proven_before(seen: Look, service: str, environment: str) -> Revision:
    what, subject = "it cannot be rolled back", f"service {service} in {environment}"
    cell = _cell(seen, service, environment, what).cell
    if cell.record is None:
        raise InvalidInput(subject, what, "nothing is known to run there")
    wanted = cell.ask.wanted
    is_to_go = wanted is not None and wanted.absent
    leaving = wanted if is_to_go else cell.record.admitted or wanted
    target = way_back(cell, leaving) if leaving is not None else None
    if target is None:
        why = "nothing else is proven there that was not rejected"
        raise InvalidInput(subject, what, why, "pin a release by hand")
    return target


def _to_promote(
    seen: Look,
    service: str,
    environment: str,
    version: str | None,
    skip: tuple[Skippable, ...],
) -> Release:
    what, subject = "nothing is promoted", f"service {service} in {environment}"
    view = _cell(seen, service, environment, what)
    before = [cell.environment for cell in view.earlier]
    wanted = view.cell.ask.wanted
    if not before and skip and wanted is not None and version in (None, wanted.release.version):
        return wanted.release
    if not before:
        raise InvalidInput(subject, what, "no environment comes before it", "pin a release by hand")
    for cell in view.earlier:
        _known(cell, service, what)
    found = hotfixes(view) if Skippable.SOAK in skip else promotable(view)
    chosen = next((r for r in found if version in (None, r.release.version)), None)
    if chosen is None:
        of = "nothing" if version is None else f"no release {version!r:.80}"
        among = ", ".join(dict.fromkeys(r.release.version for r in found)) or "nothing else either"
        is_there = "rolls out or is proven" if Skippable.SOAK in skip else "is proven"
        why = f"{of} {is_there} in {_listed(before)} and not rejected here"
        fix = f"`reconciler explain {service}` says what each waits for; there is {among}"
        raise InvalidInput(subject, what, why, fix)
    return chosen.release


def _to_approve(seen: Look, service: str, environment: str, *, irreversible: bool) -> Revision:
    what, subject = "nothing is approved", f"service {service} in {environment}"
    ask = _cell(seen, service, environment, what).cell.ask
    if irreversible and ask.policy is not None:
        if ask.policy.irreversible is Irreversible.REFUSE:
            raise InvalidInput(subject, what, "its policy refuses what cannot come back")
    elif ask.policy is None or not ask.policy.needs_approval:
        raise InvalidInput(subject, what, "its policy asks for no approval there")
    if ask.wanted is None:
        raise InvalidInput(subject, what, f"what the pin asks for is not known: {ask.message}")
    return ask.wanted


def _listed(names: list[EnvironmentName]) -> str:
    return " and ".join(names)
