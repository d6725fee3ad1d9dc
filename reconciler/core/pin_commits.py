"""What the commit of pins that are moved on says, and the name of the branch that asks a person for one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from reconciler.model.actions import CommitPin
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.release import Release

_BRANCH = re.compile(
    r"reconciler/promote-(?P<service>[-a-z0-9]+)\.(?P<environment>[-a-z0-9]+)-[0-9a-f]{12}"
)
_NAMED_MAX = 3
"""Pins in a commit's first line; the rest of it names all."""


def branch_for(
    service: ServiceName, environment: EnvironmentName, release: Release, *, floats: bool
) -> str:
    """Returns one branch for what is asked for, whoever makes it.

    Args:
        service: Whose pin.
        environment: Where.
        release: What it is to ask for.
        floats: Its source is not written.
    """
    source = "" if floats else release.source
    text = f"{service} {environment} {release.version} {release.images} {source}"
    digits = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"reconciler/promote-{service}.{environment}-{digits}"


def cell_of(branch: str) -> tuple[ServiceName, EnvironmentName] | None:
    """Returns whose pin a branch is about; None: it is none of those."""
    found = _BRANCH.fullmatch(branch)
    if found is None:
        return None
    return ServiceName(found["service"]), EnvironmentName(found["environment"])


def subject(moves: Sequence[CommitPin]) -> str:
    """Returns the first line."""
    named = [f"{m.service} to {_line(m.revision.release.version)} in {_where(m)}" for m in moves]
    more = len(named) - _NAMED_MAX
    return f"Promote {', '.join(named[:_NAMED_MAX])}" + (f" and {more} more" if more > 0 else "")


def commit_message(moves: Sequence[CommitPin]) -> str:
    """Returns the text of the commit, trailers last; those of one pin stand together."""
    lines = [
        f"  {m.service} in {_where(m)}: {_line(m.leaving.release.version)} -> "
        f"{_line(m.revision.release.version)}; {_line(m.message)}\n"
        for m in moves
    ]
    body = (
        f"{''.join(lines)}\nThe policy of each says `promote: {moves[0].by.value}`. To take one back, revert "
        "its pin: what a pin has\nasked for once is not asked for again without a person's word.\n"
    )
    trailers = [("Action", "promote")]
    for move in moves:
        trailers += [
            ("Service", move.service),
            ("Environments", _where(move)),
            ("From", move.leaving.id),
            ("To", move.revision.id),
        ]
    trailers.append(("Reason", ", ".join(sorted({move.reason for move in moves}))))
    trailers += [("Evidence", f"{m.service} in {_where(m)}: {_line(m.message)}") for m in moves]
    return f"{subject(moves)}\n\n{body}\n" + "".join(f"Reconciler-{k}: {v}\n" for k, v in trailers)


def _where(move: CommitPin) -> str:
    return str(move.environment)


def _line(text: str) -> str:
    """A trailer is one line; a version may not add trailers of its own."""
    return " ".join(text.split())[:300]
