"""What was rejected, tried once more: its entry is lifted, and its pins ask for it again, in one commit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from reconciler.cli.committing import Beside, Change, Files, commit, reason_option
from reconciler.cli.opening import settings_options
from reconciler.cli.output import output_option
from reconciler.errors import InvalidInput
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.names import RevisionId
from reconciler.model.release import Part
from reconciler.ports.git import CommitFacts
from reconciler.schema.edit import asked, asks_again, lift, standing

WHAT = "nothing is tried again"

BACK_MAX = 50
"""Commits of a quarantine file looked through for the one that wrote an entry."""


@click.command(short_help="Commit: lift what was rejected, and pin it again.")
@click.argument("service")
@click.argument("environment")
@reason_option
@settings_options
@output_option
def retry(service: str, environment: str, reason: str, output: str, **flags: Any) -> None:
    """Lift what was last rejected in an environment, and take back what its revert made of the pins.

    Later environments whose pins the revert took back too ask for it again, each after it is proven before.
    """
    path = f"quarantine/{service}.yaml"

    def lifted(whole: str, octets: bytes) -> bytes:
        entries = standing(whole, octets)
        newest = _newest(whole, entries, environment)
        return lift(whole, octets, _same(entries, newest, environment), " ".join(reason.split()))

    def beside(files: Files) -> Beside:
        whole, octets = files.whole(path), files.read(path) or b""
        entry = _newest(whole, standing(whole, octets), environment)
        return _pinned_again(files, path, entry)

    change = Change(
        action="retry",
        subject=f"Retry {service} in {environment}",
        path=path,
        what="quarantine",
        edit=lifted,
        trailers={"Service": service},
        beside=beside,
    )
    commit(change, reason, output, flags)


def _newest(path: str, entries: Iterable[QuarantineEntry], environment: str) -> QuarantineEntry:
    """Returns the entry of what was rejected last in an environment.

    Raises:
        InvalidInput: Nothing was, or it was rejected somewhere before.
    """
    here = [entry for entry in entries if environment in entry.environments]
    own = [entry for entry in here if entry.environments[0] == environment]
    if own:
        return max(own, key=lambda entry: entry.rejected_at)
    why = f"no entry that stands there was rejected in {environment}"
    fix = "a rejection that is not in Git yet is told by `reconciler status`"
    if here:
        newest = max(here, key=lambda entry: entry.rejected_at)
        failed_in = newest.environments[0]
        why = f"{newest.version} was rejected in {failed_in}, and is held in {environment} for that"
        fix = f"`reconciler retry {newest.service} {failed_in}` tries it there, and pins it here again"
    raise InvalidInput(path, WHAT, why, fix)


def _same(
    entries: Iterable[QuarantineEntry], newest: QuarantineEntry, environment: str
) -> frozenset[RevisionId]:
    """Returns the revisions of all entries that would hold the same part there."""
    part = (newest.part, newest.part_digest)
    return frozenset(
        entry.revision
        for entry in entries
        if (entry.part, entry.part_digest) == part and environment in entry.environments
    )


def _pinned_again(files: Files, path: str, entry: QuarantineEntry) -> Beside:
    """Returns the pins without what the commit of a rejection made of them.

    Raises:
        InvalidInput: The pin of the environment that failed asks for something else by now.
    """
    revert = _writer(files, path, entry)
    edited: dict[str, bytes] = {}
    since: list[str] = []
    for environment in entry.environments:
        pin = _pin(environment, entry)
        octets = files.read(pin)
        again = _again(files, pin, revert, entry) if octets is not None else None
        if again is None and environment == entry.environments[0]:
            raise _pinned_since(files, pin, entry)
        if again is None:
            since.append(environment)
        elif again != octets:
            edited[pin] = again
    where = [name for name in entry.environments if _pin(name, entry) in edited]
    told = "".join(f"The pin of {name} is another one since, and stays.\n" for name in since)
    trailers = {
        "Environments": ", ".join(where or entry.environments[:1]),
        "To": entry.revision,
        "Commit": revert.commit,
    }
    return Beside(edited, trailers, f"{told}\n" if told else "")


def _pin(environment: str, entry: QuarantineEntry) -> str:
    return f"environments/{environment}/{entry.service}.yaml"


def _again(files: Files, pin: str, revert: CommitFacts, entry: QuarantineEntry) -> bytes | None:
    """Returns a pin that asks again for what was rejected; None where it asks for something else since."""
    octets, reverted = files.read(pin) or b"", files.read(pin, revert.commit)
    before = files.read(pin, revert.parents[0]) if revert.parents else None
    if before is not None and reverted is not None and before != reverted:
        return asks_again(files.whole(pin), octets, reverted, before)
    if entry.part is Part.RENDERER:
        return octets
    # Nothing was proven to go back to, so that the pin stayed; or it was another one before the revert.
    first = files.read(pin, entry.commit) if files.history.resolve(entry.commit) else None
    is_asked = first is not None and asked(pin, first) == asked(pin, octets)
    return octets if is_asked else None


def _writer(files: Files, path: str, entry: QuarantineEntry) -> CommitFacts:
    """Returns the commit of the branch that wrote an entry.

    Raises:
        InvalidInput: It is too long ago.
    """
    found: CommitFacts | None = None
    for facts in files.log(path, BACK_MAX):
        if entry.rejected_at.encode() not in (files.read(path, facts.commit) or b""):
            return found or facts
        found = facts
    if found is None or (found.parents and files.read(path, found.parents[0]) is not None):
        why = f"the commit that wrote the entry is none of the last {BACK_MAX} of the file"
        fix = "pin it by hand, and `reconciler lift` it"
        raise InvalidInput(files.whole(path), WHAT, why, fix)
    return found


def _pinned_since(files: Files, pin: str, entry: QuarantineEntry) -> InvalidInput:
    octets = files.read(pin)
    why = f"it asks for something else than {entry.version} since it was taken back"
    if octets is None:
        why = "there is no such pin any more"
    fix = f"`reconciler lift {entry.service}` lets {entry.version} in again; pin it by hand"
    return InvalidInput(files.whole(pin), WHAT, why, fix)
