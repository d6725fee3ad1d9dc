"""Splice text into a document at the places of its nodes: comments and neighbours stay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from reconciler.schema.yaml_text import Document, Path, needs_quotes


@dataclass(slots=True)
class Splices:
    """Edits of one document, each at the place of a node as it was read."""

    document: Document
    edits: list[tuple[int, int, str]] = field(default_factory=list)

    def set(self, at: Path, value: str | bool) -> None:  # noqa: FBT001  # a YAML scalar
        """Writes a scalar, in place or as a new field of its mapping."""
        if self._there(at) == value:
            return
        span = self.document.values.get(at)
        if span is not None:
            self.edits.append((span.start, span.end, scalar(value)))
        else:
            self._insert(at, scalar(value))

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
        text = flow(tree)
        span = self.document.values.get(at)
        if span is None:
            self._insert(at, text)
            return
        # A block mapping begins on a line of its own; its value is written behind the key instead.
        start = self.document.keys[at].end + 1
        self.edits.append((start, self._end(at), f" {text}"))

    def append(self, at: Path, tree: Any) -> None:
        """Adds an entry at the end of a list, in the list's own style; a field of the file where it has none.

        A list of a mapping within the file must be there.
        """
        if at not in self.document.values:
            self._add_list(at, tree)
            return
        span, items = self.document.values[at], self._items(at)
        if not items:
            self.edits.append((span.start, span.end, f"[{flow(tree)}]"))
        elif span.is_flow:
            end = self.document.values[items[-1]].end
            self.edits.append((end, end, f", {flow(tree)}"))
        else:
            end = self._line_end(self._end(items[-1]))
            is_open = not self.document.text[:end].endswith("\n")
            line = f"{' ' * (span.column - 1)}- {flow(tree)}{self._ending}"
            self.edits.append((end, end, f"{self._ending}{line}" if is_open else line))

    def remove(self, at: Path, gone: Collection[int]) -> None:
        """Takes entries out of a list; one that has none left is written as `[]`."""
        span, items = self.document.values[at], self._items(at)
        if span.is_flow:
            self._remove_from_flow(items, gone)
            return
        for index in sorted(gone):
            self.edits.append((*self._lines(items[index]), ""))
        if len(gone) == len(items):
            colon = self.document.keys[at].end + 1
            self.edits.append((colon, colon, " []"))

    def drop(self, at: Path) -> None:
        """Takes a field out of its mapping, which must keep another one; does nothing where it is not there."""
        if at not in self.document.keys:
            return
        key, span = self.document.keys[at], self.document.values[at]
        if not self.document.values[at[:-1]].is_flow:
            begin = self.document.text.rfind("\n", 0, key.start) + 1
            self.edits.append((begin, self._line_end(self._end(at)), ""))
            return
        beside = [p for p in self.document.keys if p[:-1] == at[:-1] and p != at]
        after = [self.document.keys[p].start for p in beside]
        before = [self._end(p) for p in beside]
        following = min((start for start in after if start > key.start), default=None)
        if following is not None:
            self.edits.append((key.start, following, ""))
        else:
            self.edits.append((max(end for end in before if end <= key.start), span.end, ""))

    def _remove_from_flow(self, items: list[Path], gone: Collection[int]) -> None:
        values = self.document.values
        kept = [index for index in range(len(items)) if index not in gone]
        last = kept[-1] if kept else -1
        for index in sorted(gone):
            if index < last:
                self.edits.append((values[items[index]].start, values[items[index + 1]].start, ""))
        if last + 1 < len(items):
            begin = values[items[last]].end if kept else values[items[0]].start
            self.edits.append((begin, values[items[-1]].end, ""))

    def _lines(self, item: Path) -> tuple[int, int]:
        """Returns the lines of an entry of a block list, its dash and what is said behind it among them."""
        dash = self.document.text.rindex("-", 0, self.document.values[item].start)
        return self.document.text.rfind("\n", 0, dash) + 1, self._line_end(self._end(item))

    def _line_end(self, at: int) -> int:
        """Returns where the next line begins; a text of several lines ends there already."""
        if self.document.text[:at].endswith("\n"):
            return at
        end = self.document.text.find("\n", at)
        return len(self.document.text) if end < 0 else end + 1

    def _items(self, at: Path) -> list[Path]:
        return [(*at, index) for index in range(len(self._there(at) or ()))]

    def _add_list(self, at: Path, tree: Any) -> None:
        text = self.document.text
        if self.document.values[at[:-1]].is_flow or len(at) > 1:
            self._insert(at, f"[{flow(tree)}]")
            return
        begin = "" if text.endswith("\n") else self._ending
        line = f"{at[-1]}:{self._ending}  - {flow(tree)}{self._ending}"
        self.edits.append((len(text), len(text), begin + line))

    @property
    def _ending(self) -> str:
        return "\r\n" if "\r\n" in self.document.text else "\n"

    def done(self) -> bytes:
        """Returns the edited text."""
        text = self.document.text
        for start, end, new in sorted(self.edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text.encode()

    def _there(self, at: Path) -> Any:
        tree = self.document.tree
        for step in at:
            is_there = step in tree if isinstance(tree, dict) else isinstance(tree, list)
            if not is_there:
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
        indent = " " * (first.column - 1)
        self.edits.append((first.start, first.start, f"{at[-1]}: {text}{self._ending}{indent}"))


class _Dumper(yaml.SafeDumper):
    """Writes text so that our own reader takes it for text."""


def _represented(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if needs_quotes(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represented)


def scalar(value: str | bool) -> str:  # noqa: FBT001  # a YAML scalar
    """Returns a scalar as it is written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = yaml.dump(value, Dumper=_Dumper, width=10_000, allow_unicode=True).strip()
    text = text.removesuffix("...").strip()
    return text if yaml.safe_load(text) == value else flow(value)


def flow(tree: Any) -> str:
    """Returns a tree on one line."""
    text = yaml.dump(
        tree,
        Dumper=_Dumper,
        default_flow_style=True,
        width=100_000,
        allow_unicode=True,
        sort_keys=False,
    )
    return text.strip()


def dumped(tree: Any) -> str:
    """Returns a tree in block style, as lines."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=100_000, allow_unicode=True)
