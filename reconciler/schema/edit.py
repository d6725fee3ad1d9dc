"""Edit files of the env repo by splicing text at the places of nodes: comments and neighbours stay.

Every edit is read back before it is given away; one that does not come out as wanted is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from reconciler.errors import InvalidInput
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.freezes import Freeze, Scope
from reconciler.model.names import CommitId, RevisionId, ServiceName
from reconciler.model.release import ABSENT, Release, Values
from reconciler.model.skips import Skip
from reconciler.model.times import rfc3339
from reconciler.schema import building
from reconciler.schema.files import FleetFile, PinFile, QuarantineFile, ReleaseFile
from reconciler.schema.reading import read_file
from reconciler.schema.splicing import Splices, dumped
from reconciler.schema.yaml_text import BadText, Document

HEADER = """\
# Written by the reconciler: parts of releases that failed, and where they may not come back.
# To let one in again, add to its entry a line `lifted: <why>`; deleting the entry lifts nothing.
"""

CLUSTERS = "clusters"


def set_release(
    path: str, octets: bytes, release: Release, values: Values, *, over_tombstone: bool = False
) -> bytes:
    """Returns a pin that asks for a release, its source written out, with these values.

    Args:
        path: Names the file in errors.
        octets: The pin as it is.
        release: What it shall ask for.
        values: The pin's values, those by cluster under the key `clusters`.
        over_tombstone: Whether it may take the place of `absent`; the reason for that goes with it.

    Raises:
        InvalidInput: The pin is broken, or written in a way that cannot be edited safely.
    """
    file, document = _opened(path, octets, PinFile)
    tree = values.tree()
    by_cluster = {c: {"values": v} for c, v in tree.pop(CLUSTERS, {}).items()}
    splices = Splices(document)
    wanted = file.model_dump()
    whole = {
        "version": release.version,
        "images": dict(release.images),
        "source": release.source,
    }
    if over_tombstone and not isinstance(file.release, ReleaseFile):
        splices.set_mapping(("release",), whole)
        splices.drop(("reason",))
        wanted["reason"] = None
    else:
        _check_release(path, document)
        splices.set(("release", "version"), release.version)
        splices.set_mapping(("release", "images"), dict(release.images))
        splices.set(("release", "source"), release.source)
    splices.set_mapping(("values",), tree)
    splices.set_mapping((CLUSTERS,), by_cluster)
    wanted["release"] = whole
    wanted["values"], wanted[CLUSTERS] = tree, by_cluster
    return _checked(path, splices, PinFile, wanted)


def asks_again(path: str, octets: bytes, reverted: bytes, before: bytes) -> bytes | None:
    """Returns a pin that asks once more for what a revert took out of it; as it was where it does already.

    None where it was changed since: what it asks for is a person's word then. That a person let what was put back
    float is none.

    Args:
        path: Names the file in errors.
        octets: The pin as it is.
        reverted: The pin as the revert left it.
        before: The pin as the revert found it.

    Raises:
        InvalidInput: As `set_release`.
    """
    file, document = _opened(path, octets, PinFile)
    then, first = (_opened(path, text, PinFile)[0] for text in (reverted, before))
    if not all(isinstance(pin.release, ReleaseFile) for pin in (file, then, first)):
        raise _cannot(path, "its release is no mapping")
    tree = _asked(first)
    if _asked(file) == tree:
        return octets
    if _asked(file) != _asked(then, floats=file.release.source is None):
        return None
    if octets == reverted:
        return before
    splices = Splices(document)
    splices.set(("release", "version"), tree["release"]["version"])
    splices.set_mapping(("release", "images"), tree["release"]["images"])
    if tree["release"]["source"] is None:
        splices.drop(("release", "source"))
    else:
        splices.set(("release", "source"), tree["release"]["source"])
    splices.set_mapping(("values",), tree["values"])
    splices.set_mapping((CLUSTERS,), tree[CLUSTERS])
    return _checked(path, splices, PinFile, {**file.model_dump(), **tree})


def _asked(file: PinFile, *, floats: bool = False) -> dict[str, Any]:
    """Returns the fields of a pin that a revert writes."""
    tree = file.model_dump(include={"release", "values", CLUSTERS})
    if floats:
        tree["release"]["source"] = None
    return tree


def asked(path: str, octets: bytes) -> dict[str, Any]:
    """Returns what a pin asks for: its release and its values.

    Raises:
        InvalidInput: The pin is broken.
    """
    return _asked(_opened(path, octets, PinFile)[0])


def set_paused(path: str, octets: bytes, *, paused: bool) -> bytes:
    """Returns a pin with `paused` set.

    Raises:
        InvalidInput: As `set_release`.
    """
    file, document = _opened(path, octets, PinFile)
    splices = Splices(document)
    splices.set(("paused",), paused)
    return _checked(path, splices, PinFile, {**file.model_dump(), "paused": paused})


def set_approved(
    path: str,
    octets: bytes,
    revision: RevisionId,
    by: str,
    *,
    irreversible: bool = False,
    asked_in: CommitId | None = None,
) -> bytes:
    """Returns a pin that says of a revision that somebody approves it; as it was where it does already.

    Args:
        path: Names the file in errors.
        octets: The file as it is.
        revision: What is approved.
        by: Who does.
        irreversible: Also that it cannot come back.
        asked_in: What has asked for the same again since the approval that is there; None: it still counts.

    Raises:
        InvalidInput: As `set_release`.
    """
    file, document = _opened(path, octets, PinFile)
    known = file.approved
    is_said = known is not None and known.revision == revision
    is_said = is_said and (asked_in is None or known.asked_in == asked_in)
    if known is not None and is_said and (known.reversible is False or not irreversible):
        return octets
    splices = Splices(document)
    tree: dict[str, Any] = {"revision": revision, "by": by}
    tree |= {"asked_in": asked_in} if asked_in is not None else {}
    tree |= {"reversible": False} if irreversible else {}
    splices.set_mapping(("approved",), tree)
    wanted = {"reversible": None, "asked_in": None, **tree}
    return _checked(path, splices, PinFile, {**file.model_dump(), "approved": wanted})


def add_entry(path: str, octets: bytes | None, entry: QuarantineEntry) -> bytes:
    """Returns a quarantine file with one more entry, written after those that are there.

    Args:
        path: Names the file in errors.
        octets: The file as it is, or None when there is none.
        entry: What is added.

    Raises:
        InvalidInput: The file is broken, or cannot be edited safely.
    """
    tree = _entry(entry)
    if octets is None:
        edited = (HEADER + dumped({"entries": [tree]})).encode()
        _opened(path, edited, QuarantineFile)
        return edited
    file, document = _opened(path, octets, QuarantineFile)
    span = document.values[("entries",)]
    if span.is_flow or not file.entries:
        rest = {**document.tree, "entries": [*document.tree["entries"], tree]}
        edited = (HEADER + dumped(rest)).encode()
    else:
        indent = " " * (document.values[("entries",)].column - 1)
        text = document.text if document.text.endswith("\n") else document.text + "\n"
        ending = "\r\n" if "\r\n" in text else "\n"
        block = "".join(f"{indent}{line}\n" for line in dumped([tree]).splitlines())
        edited = (text + block.replace("\n", ending)).encode()
    now = _opened(path, edited, QuarantineFile)[0]
    if [e.model_dump() for e in now.entries[:-1]] != [e.model_dump() for e in file.entries]:
        raise _cannot(path, "the edited text does not say what it should")
    return edited


def promote(path: str, octets: bytes, release: Release, *, is_hotfix: bool = False) -> bytes:
    """Returns a pin that asks for a release and keeps its own values.

    Its source is written only where one stands: a pin that floats goes on to follow what is proven before. What was
    skipped for another release is taken out.

    Args:
        path: Names the file in errors.
        octets: The pin as it is.
        release: What it shall ask for.
        is_hotfix: Whether its source is written in any case, so that it is exactly this one.

    Raises:
        InvalidInput: As `set_release`.
    """
    file, document = _opened(path, octets, PinFile)
    _check_release(path, document)
    source = release.source if is_hotfix or file.release.source is not None else None
    splices = Splices(document)
    wanted = file.model_dump()
    if not is_hotfix:
        splices.drop(("skip",))
        wanted["skip"] = None
    splices.set(("release", "version"), release.version)
    splices.set_mapping(("release", "images"), dict(release.images))
    if source is not None:
        splices.set(("release", "source"), source)
    wanted["release"] = {
        "version": release.version,
        "images": dict(release.images),
        "source": source,
    }
    return _checked(path, splices, PinFile, wanted)


def set_skip(path: str, octets: bytes, skip: Skip) -> bytes:
    """Returns a pin that asks for a revision to be let past some gates.

    Raises:
        InvalidInput: As `set_release`.
    """
    file, document = _opened(path, octets, PinFile)
    tree = {
        "gates": [gate.value for gate in skip.gates],
        "revision": skip.revision,
        "reason": skip.reason,
        "by": skip.by,
    }
    splices = Splices(document)
    splices.set_mapping(("skip",), tree)
    return _checked(path, splices, PinFile, {**file.model_dump(), "skip": tree})


def add_freeze(path: str, octets: bytes, freeze: Freeze) -> bytes:
    """Returns fleet.yaml with one more freeze; as it was where it says so already.

    Raises:
        InvalidInput: The file is broken, or cannot be edited safely.
    """
    file, document = _opened(path, octets, FleetFile)
    tree = {"scope": str(freeze.scope), "reason": freeze.reason}
    if freeze.until is not None:
        tree = {"scope": tree["scope"], "until": rfc3339(freeze.until), "reason": tree["reason"]}
    entry = {"until": None, **tree}
    there = [one.model_dump() for one in file.freezes]
    if entry in there:
        return octets
    splices = Splices(document)
    splices.append(("freezes",), tree)
    return _checked(path, splices, FleetFile, {**file.model_dump(), "freezes": [*there, entry]})


def end_freezes(path: str, octets: bytes, scope: Scope) -> bytes:
    """Returns fleet.yaml without the freezes of a scope; as it was where there is none.

    Raises:
        InvalidInput: As `add_freeze`.
    """
    file, document = _opened(path, octets, FleetFile)
    gone = {index for index, one in enumerate(file.freezes) if one.scope == str(scope)}
    if not gone:
        return octets
    splices = Splices(document)
    splices.remove(("freezes",), gone)
    kept = [one.model_dump() for index, one in enumerate(file.freezes) if index not in gone]
    return _checked(path, splices, FleetFile, {**file.model_dump(), "freezes": kept})


def standing(path: str, octets: bytes) -> tuple[QuarantineEntry, ...]:
    """Returns the entries of a quarantine file that are not lifted.

    Raises:
        InvalidInput: The file is broken.
    """
    name = ServiceName(path.rpartition("/")[2].removesuffix(".yaml"))
    entries = building.quarantine(name, _opened(path, octets, QuarantineFile)[0])
    return tuple(entry for entry in entries if entry.lifted is None)


def lift(path: str, octets: bytes, revisions: Collection[RevisionId], why: str) -> bytes:
    """Returns a quarantine file in which the standing entries of some revisions are lifted.

    Raises:
        InvalidInput: The file is broken, or cannot be edited safely.
    """
    file, document = _opened(path, octets, QuarantineFile)
    splices = Splices(document)
    wanted = file.model_dump()
    for index, entry in enumerate(file.entries):
        if entry.lifted is None and entry.revision in revisions:
            splices.set(("entries", index, "lifted"), why)
            wanted["entries"][index]["lifted"] = why
    return _checked(path, splices, QuarantineFile, wanted)


def _checked(path: str, splices: Splices, model: Any, wanted: dict[str, Any]) -> bytes:
    """Returns the edited text, once it was read back and says what it should."""
    edited = splices.done()
    if _opened(path, edited, model)[0].model_dump() != wanted:
        raise _cannot(path, "the edited text does not say what it should")
    return edited


def _opened(path: str, octets: bytes, model: Any) -> tuple[Any, Document]:
    try:
        return read_file(path, octets, model)
    except BadText as bad:
        raise _cannot(path, str(bad.faults[0])) from None


def _check_release(path: str, document: Document) -> None:
    """Refuses a pin that asks for absence."""
    release = document.tree.get("release")
    if release == ABSENT:
        why = "it says `release: absent`, and only a person takes that back"
        fix = "run `reconciler rollback` to have what ran before again, or write a release by hand"
        raise InvalidInput(path, "it cannot be edited", why, fix)
    if not isinstance(release, dict):
        raise _cannot(path, "its release is no mapping")


def _cannot(path: str, why: str) -> InvalidInput:
    return InvalidInput(path, "it cannot be edited", why, "edit it by hand")


def _entry(entry: QuarantineEntry) -> dict[str, Any]:
    return {
        "revision": entry.revision,
        "identity": entry.identity,
        "version": entry.version,
        "part": entry.part.value,
        "part_digest": entry.part_digest,
        "environments": list(entry.environments),
        "reason": entry.reason,
        "evidence": list(entry.evidence),
        "commit": entry.commit,
        "rejected_at": entry.rejected_at,
        **({"lifted": entry.lifted} if entry.lifted is not None else {}),
    }
