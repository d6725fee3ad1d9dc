"""A promotion that skips gates: what is asked for, and what is refused before anything is committed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from reconciler.adapters.git.local import person
from reconciler.cli.committing import Change, Files
from reconciler.cli.looking import Look
from reconciler.config.settings import Settings
from reconciler.core.reverting import SOURCE_WRITTEN_OUT
from reconciler.core.view import CellView
from reconciler.errors import InvalidInput, Unreachable
from reconciler.model.names import EnvironmentName, RevisionId, ServiceName
from reconciler.model.skips import Skip, Skippable
from reconciler.schema import building
from reconciler.schema.edit import set_skip
from reconciler.schema.files import PinFile
from reconciler.schema.reading import read_file
from reconciler.schema.snapshot import read_snapshot

WHAT = "nothing is skipped"


class _SkipType(click.ParamType[tuple[Skippable, ...]]):
    name = "gates"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[Skippable, ...]:
        if isinstance(value, tuple):
            return value
        names = [name.strip() for name in str(value).split(",")]
        known = [what.value for what in Skippable]
        unknown = next((name for name in names if name not in known), None)
        if unknown is not None:
            self.fail(f"{unknown!r:.80} cannot be skipped; {', '.join(known)} can", param, ctx)
        return tuple(what for what in Skippable if what.value in names)


skip_option = click.option(
    "--skip",
    metavar="GATES",
    type=_SkipType(),
    default=(),
    help="A hotfix: what it is let past, of soak, window and freeze, as in soak,window.",
)


def as_hotfix(
    change: Change, service: str, environment: str, skip: tuple[Skippable, ...]
) -> Change:
    """Returns a promotion whose commit says what it skips, and is signed by one who may."""
    names = ", ".join(skip)

    def vouch(files: Files, signers: tuple[str, ...]) -> None:
        snapshot = read_snapshot(files.history, files.head, root=files.root)
        found = snapshot.services.get(ServiceName(service))
        policy = snapshot.policies.get(found.policy) if found is not None else None
        rules = dict(policy.environments).get(EnvironmentName(environment)) if policy else None
        hotfix = rules.others.hotfix if rules is not None else None
        if hotfix is None or not set(signers) & set(hotfix.by):
            by = ", ".join(hotfix.by) if hotfix is not None else "nobody"
            why = f"it is signed by {', '.join(signers)}, and the policy lets {by} skip {names}"
            raise InvalidInput(
                f"service {service} in {environment}", WHAT, why, "have one of them do it"
            )

    return replace(
        change,
        subject=f"{change.subject} past {names}",
        trailers={**change.trailers, "Skip": names},
        told=f"This commit writes\n{SOURCE_WRITTEN_OUT}\n\n",
        vouch=vouch,
    )


def let_past(
    path: str,
    octets: bytes,
    settings: Settings,
    seen: Look,
    view: CellView,
    gates: tuple[Skippable, ...],
    reason: str,
) -> bytes:
    """Returns a pin that has exactly the revision which it asks for let past some gates.

    Args:
        path: Names the file in errors.
        octets: The pin, its source written out.
        settings: The daemon's.
        seen: What was seen.
        view: The cell.
        gates: What is skipped.
        reason: Why.

    Raises:
        InvalidInput: Nobody may skip that there.
        Unreachable: What the pin asks for cannot be told now.
    """
    subject = f"service {view.service} in {view.environment}"
    _check_who_may(subject, settings, view, gates)
    snapshot = seen.engine.heads.head.snapshot
    file, _ = read_file(path, octets, PinFile)
    pin = building.pin(view.environment, view.service, file)
    found = None
    if snapshot is not None and pin.source is not None:
        found = seen.engine.asker_of(snapshot).revision(pin, pin.source)
    if found is None:
        raise Unreachable(subject, WHAT, f"{pin.source} could not be read", "try again")
    who = person()
    by = who[0] if who else "not told"
    return set_skip(path, octets, Skip(gates, RevisionId(found.id), " ".join(reason.split()), by))


def _check_who_may(
    subject: str, settings: Settings, view: CellView, gates: tuple[Skippable, ...]
) -> None:
    if settings.repo.allowed_signers_file is None:
        why = "no allowed signers are configured, and without them nobody may"
        fix = "set repo.allowed_signers_file, and name in the policy's `hotfix` who may skip what"
        raise InvalidInput(subject, WHAT, why, fix)
    policy = view.cell.ask.policy
    hotfix = policy.hotfix if policy is not None else None
    may = hotfix.gates if hotfix is not None else ()
    missing = [gate.value for gate in gates if gate not in may]
    if missing:
        why = f"the policy lets nobody skip {', '.join(missing)} there"
        raise InvalidInput(subject, WHAT, why, "name it in the policy's `hotfix`, or wait")
