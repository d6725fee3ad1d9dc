"""Freezes as commits: freeze and thaw the fleet, an environment or a service."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from reconciler.cli.committing import Change, Edit, commit, reason_option
from reconciler.cli.opening import settings_options
from reconciler.cli.output import output_option
from reconciler.errors import InvalidInput
from reconciler.model.freezes import Freeze, Scope, ScopeKind
from reconciler.model.times import from_rfc3339, rfc3339
from reconciler.schema.edit import add_freeze, end_freezes

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

FOR_MAX_S = 366 * 86_400
"""A year; what stands longer has no end, and says so."""

_SPAN = re.compile(r"([1-9][0-9]{0,8})([smhd])\Z")


class _ScopeType(click.ParamType[Scope]):
    name = "scope"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Scope:
        if isinstance(value, Scope):
            return value
        try:
            return Scope.of(value)
        except ValueError:
            self.fail("write `fleet`, `environment/<name>` or `service/<name>`", param, ctx)


class _UntilType(click.ParamType[datetime]):
    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            return from_rfc3339(value)
        except ValueError:
            self.fail(f"{value!r:.80} is no RFC 3339 time with a zone", param, ctx)


class _ForType(click.ParamType[timedelta]):
    name = "span"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = _SPAN.match(value)
        seconds = int(found[1]) * UNITS_S[found[2]] if found else FOR_MAX_S + 1
        if seconds > FOR_MAX_S:
            self.fail("write a number of s, m, h or d, such as 90m; a year at most", param, ctx)
        return timedelta(seconds=seconds)


@click.command(short_help="Commit: no forward moves in a scope.")
@click.argument("scope", type=_ScopeType())
@click.option(
    "--until", metavar="TIME", type=_UntilType(), help="When it ends by itself, RFC 3339."
)
@click.option(
    "--for", "span", metavar="SPAN", type=_ForType(), help="The same from now on: 90m, 8h, 3d."
)
@reason_option
@settings_options
@output_option
def freeze(
    scope: Scope,
    until: datetime | None,
    span: timedelta | None,
    reason: str,
    output: str,
    **flags: Any,
) -> None:
    """Make no forward moves of the fleet, environment/NAME or service/NAME; what goes back is let through.

    Without a time it stands until somebody thaws it.
    """
    if until is not None and span is not None:
        raise click.UsageError("give --until or --for, and not both")
    now = datetime.now(UTC).replace(microsecond=0)
    end = now + span if span is not None else until
    if end is not None and end <= now:
        raise click.UsageError(f"--until {rfc3339(end)} is over already")
    frozen = Freeze(scope, end, " ".join(reason.split()))
    told = f"It ends by itself at {rfc3339(end)}.\n\n" if end is not None else ""
    change = _change("freeze", scope, lambda path, octets: add_freeze(path, octets, frozen), told)
    commit(change, reason, output, flags)


@click.command(short_help="Commit: take the freezes of a scope back.")
@click.argument("scope", type=_ScopeType())
@reason_option
@settings_options
@output_option
def thaw(scope: Scope, reason: str, output: str, **flags: Any) -> None:
    """Take every freeze of exactly this scope out: the fleet, environment/NAME or service/NAME."""

    def edit(path: str, octets: bytes) -> bytes:
        edited = end_freezes(path, octets, scope)
        if edited == octets:
            why, fix = f"it has no freeze of {scope}", "see `freezes` there for what is frozen"
            raise InvalidInput(path, "nothing is thawed", why, fix)
        return edited

    commit(_change("thaw", scope, edit), reason, output, flags)


def _change(action: str, scope: Scope, edit: Edit, told: str = "") -> Change:
    trailers = {"Scope": str(scope)}
    if scope.kind is ScopeKind.ENVIRONMENT:
        trailers["Environments"] = scope.name
    if scope.kind is ScopeKind.SERVICE:
        trailers["Service"] = scope.name
    return Change(
        action=action,
        subject=f"{action.capitalize()} {scope}",
        path="fleet.yaml",
        what="fleet",
        edit=edit,
        trailers=trailers,
        told=told,
    )
