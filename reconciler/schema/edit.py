"""Edit files of the env repo by splicing text at the places of nodes: comments and neighbours stay.

Every edit is read back before it is given away; one that does not come out as wanted is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from reconciler.errors import InvalidInput
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.release import Release, Values
from reconciler.schema.files import PinFile, QuarantineFile
from reconciler.schema.reading import read_file
from reconciler.schema.yaml_text import BadText, Document, Path, needs_quotes

HEADER = """\
# Written by the reconciler: parts of releases that failed, and where they may not come back.
# To let one in again, add to its entry a line `lifted: <why>`; deleting the entry lifts nothing.
"""

CLUSTERS = "clusters"


def set_release(path: str, octets: bytes, release: Release, values: Values) -> bytes:
    """Returns a pin that asks for a release, its source written out, with these values.

    Args:
        path: Names the file in errors.
        octets: The pin as it is.
        release: What it shall ask for.
        values: The pin's values, those by cluster under the key `clusters`.

    Raises:
        InvalidInput: The pin is broken, or written in a way that cannot be edited safely.
    """
    file, document = _opened(path, octets, PinFile)
    tree = values.tree()
    by_cluster = {c: {"values": v} for c, v in tree.pop(CLUSTERS, {}).items()}
    splices = _Splices(document)
    if not isinstance(document.tree.get("release"), dict):
        raise _cannot(path, "its release is no mapping")
    splices.set(("release", "version"), release.version)
    splices.set_mapping(("release", "images"), dict(release.images))
    splices.set(("release", "source"), release.source)
    splices.set_mapping(("values",), tree)
    splices.set_mapping((CLUSTERS,), by_cluster)
    edited = splices.done()
    now = _opened(path, edited, PinFile)[0]
    wanted = file.model_dump()
    wanted["release"] = {
        "version": release.version,
        "images": dict(release.images),
        "source": release.source,
    }
    wanted["values"], wanted[CLUSTERS] = tree, by_cluster
    if now.model_dump() != wanted:
        raise _cannot(path, "the edited text does not say what it should")
    return edited


def set_paused(path: str, octets: bytes, *, paused: bool) -> bytes:
    """Returns a pin with `paused` set.

    Raises:
        InvalidInput: As `set_release`.
    """
    file, document = _opened(path, octets, PinFile)
    splices = _Splices(document)
    splices.set(("paused",), paused)
    edited = splices.done()
    now = _opened(path, edited, PinFile)[0]
    if now.model_dump() != {**file.model_dump(), "paused": paused}:
        raise _cannot(path, "the edited text does not say what it should")
    return edited


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
        edited = (HEADER + _dump({"entries": [tree]})).encode()
        _opened(path, edited, QuarantineFile)
        return edited
    file, document = _opened(path, octets, QuarantineFile)
    span = document.values[("entries",)]
    if span.is_flow or not file.entries:
        rest = {**document.tree, "entries": [*document.tree["entries"], tree]}
        edited = (HEADER + _dump(rest)).encode()
    else:
        indent = " " * (document.values[("entries",)].column - 1)
        text = document.text if document.text.endswith("\n") else document.text + "\n"
        ending = "\r\n" if "\r\n" in text else "\n"
        block = "".join(f"{indent}{line}\n" for line in _dump([tree]).splitlines())
        edited = (text + block.replace("\n", ending)).encode()
    now = _opened(path, edited, QuarantineFile)[0]
    if [e.model_dump() for e in now.entries[:-1]] != [e.model_dump() for e in file.entries]:
        raise _cannot(path, "the edited text does not say what it should")
    return edited


@dataclass(slots=True)
class _Splices:
    document: Document
    edits: list[tuple[int, int, str]] = field(default_factory=list)

    def set(self, at: Path, value: str | bool) -> None:  # noqa: FBT001  # a YAML scalar
        """Writes a scalar, in place or as a new field of its mapping."""
        if self._there(at) == value:
            return
        span = self.document.values.get(at)
        if span is not None:
            self.edits.append((span.start, span.end, _scalar(value)))
        else:
            self._insert(at, _scalar(value))

    def set_mapping(self, at: Path, tree: Mapping[str, Any]) -> None:
        """Writes a mapping: value by value where the keys stay, else as a whole."""
        there = self._there(at)
        if there == tree or (there is None and not tree):
            return
        is_flat = all(isinstance(v, str | bool) for v in tree.values())
        if isinstance(there, dict) and there.keys() == tree.keys() and is_flat:
            for key, value in tree.items():
                self.set((*at, key), value)
            return
        text = _flow(tree)
        span = self.document.values.get(at)
        if span is None:
            self._insert(at, text)
            return
        # A block mapping begins on a line of its own; its value is written behind the key instead.
        start = self.document.keys[at].end + 1
        self.edits.append((start, self._end(at), f" {text}"))

    def done(self) -> bytes:
        """Returns the edited text."""
        text = self.document.text
        for start, end, new in sorted(self.edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text.encode()

    def _there(self, at: Path) -> Any:
        tree = self.document.tree
        for step in at:
            if not isinstance(tree, dict) or step not in tree:
                return None
            tree = tree[step]
        return tree

    def _end(self, at: Path) -> int:
        """Returns where the last value below a path ends; a block's own mark is after its comments."""
        span = self.document.values[at]
        if span.is_flow:
            return span.end
        below = [p for p in self.document.values if p[: len(at)] == at]
        leaves = [p for p in below if not any(q[:-1] == p for q in below)]
        return max(self.document.values[p].end for p in leaves)

    def _insert(self, at: Path, text: str) -> None:
        """Adds a field to its mapping: before the first one there, at the same depth."""
        parent = self.document.values[at[:-1]]
        first = min(
            (s for p, s in self.document.keys.items() if p[:-1] == at[:-1]),
            key=lambda span: span.start,
        )
        if parent.is_flow:
            self.edits.append((first.start, first.start, f"{at[-1]}: {text}, "))
            return
        ending = "\r\n" if "\r\n" in self.document.text else "\n"
        indent = " " * (first.column - 1)
        self.edits.append((first.start, first.start, f"{at[-1]}: {text}{ending}{indent}"))


def _opened(path: str, octets: bytes, model: Any) -> tuple[Any, Document]:
    try:
        return read_file(path, octets, model)
    except BadText as bad:
        raise _cannot(path, str(bad.faults[0])) from None


def _cannot(path: str, why: str) -> InvalidInput:
    return InvalidInput(path, "it cannot be edited", why, "edit it by hand")


class _Dumper(yaml.SafeDumper):
    """Writes text so that our own reader takes it for text."""


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if needs_quotes(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represented)


def _scalar(value: str | bool) -> str:  # noqa: FBT001  # a YAML scalar
    if isinstance(value, bool):
        return "true" if value else "false"
    text = yaml.dump(value, Dumper=_Dumper, width=10_000, allow_unicode=True).strip()
    text = text.removesuffix("...").strip()
    return text if yaml.safe_load(text) == value else _flow(value)


def _flow(tree: Any) -> str:
    text = yaml.dump(
        tree, Dumper=_Dumper, default_flow_style=True, width=100_000, allow_unicode=True
    )
    return text.strip()


def _dump(tree: Any) -> str:
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=100_000, allow_unicode=True)


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
