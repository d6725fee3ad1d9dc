"""One YAML document of the env repo into a JSON-like tree that knows where everything stands.

Only what a small configuration file needs is let in: no anchors, no tags, one document. PyYAML
alone crashes on deep nesting and lets a repeated key pass, so the events are looked at first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from reconciler.model.env_repo import Fault

BYTES_MAX = 256 * 1024
"""A hundred times the largest fleet file met; these files are written by hand."""

DEPTH_MAX = 32
"""Values for charts are the deepest, and those rarely pass ten."""

NODES_MAX = 20_000

QUOTED = frozenset({"'", '"', "|", ">"})
"""The styles of a scalar that is text, whatever it looks like."""

Path = tuple[str | int, ...]

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+)\Z")
_AMBIGUOUS = re.compile(
    r"(?i:y|n|yes|no|on|off)\Z|(?i:[-+]?\.(?:inf)|\.nan)\Z|[-+]?0[0-9_]+\Z|0[xXoObB][0-9a-fA-F_]+\Z"
)


def needs_quotes(text: str) -> bool:
    """Tells whether a text, written without quotes, would be read here as something else or refused.

    Other writers of YAML do not know: a commit id such as `0bb1…` or `12e3…` is text to them.
    """
    plain = ("", "~", "null", "true", "false")
    found = _AMBIGUOUS.match(text) or _INT.match(text) or _FLOAT.match(text)
    return text in plain or found is not None


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands: 1-based line and column, and its place in the decoded text."""

    line: int
    column: int
    start: int
    end: int
    is_flow: bool


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Attributes:
        tree: Mappings, lists, strings, numbers, booleans and None.
        keys: Where the key of each path stands.
        values: Where the value of each path stands.
        faults: What is wrong with its text, although it could be read.
        broken: What has a fault: nobody knows what is meant there, or below.
        around: Whatever has something broken at it or below it.
    """

    text: str
    tree: Any
    keys: dict[Path, Span]
    values: dict[Path, Span]
    faults: tuple[Fault, ...] = ()
    broken: frozenset[Path] = frozenset()
    around: frozenset[Path] = frozenset()

    def with_broken(self, paths: Iterable[Path]) -> Document:
        """Returns it with more that nobody knows the meaning of."""
        broken = self.broken.union(paths)
        around = frozenset(path[:end] for path in broken for end in range(len(path) + 1))
        return replace(self, broken=broken, around=around)

    def is_known(self, path: Path) -> bool:
        """Whether neither what stands at a path nor anything around it is broken."""
        # Nearly every file is whole, and every one is asked at each commit.
        return not self.broken or not any(path[:end] in self.broken for end in range(len(path) + 1))

    def is_whole(self, path: Path) -> bool:
        """Whether nothing is broken at a path, around it or below it."""
        return path not in self.around and self.is_known(path)

    def part(self, *path: str | int) -> Any:
        """Returns what stands at a path; None where nothing does, and where it is broken."""
        if path not in self.values or not self.is_known(path):
            return None
        found = self.tree
        for step in path:
            found = found[step]
        return found

    def text_at(self, *path: str | int) -> str | None:
        """Returns the text at a path; None where there is none, and where it is broken."""
        found = self.part(*path)
        return found if isinstance(found, str) else None

    def texts_at(self, *path: str | int) -> dict[int, str]:
        """Returns those entries of a list that are text, and not broken, by their place in it."""
        found = {index: self.text_at(*path, index) for index in range(self.length(*path))}
        return {index: text for index, text in found.items() if text is not None}

    def length(self, *path: str | int) -> int:
        """Returns how many entries a list has; nothing else has any."""
        found = self.part(*path)
        return len(found) if isinstance(found, list) else 0

    def mapping(self, *path: str | int) -> dict[str, Any]:
        """Returns those entries of a mapping that are not broken; nothing else has any."""
        found = self.part(*path)
        if not isinstance(found, dict):
            return {}
        if not self.broken:
            return found
        return {key: value for key, value in found.items() if (*path, key) not in self.broken}

    def named(self, name: str) -> Span | None:
        """Returns where the field stands that people write like this (`dotted`), or None."""
        return next((span for path, span in self.keys.items() if dotted(path) == name), None)

    def place(self, path: Path) -> Span:
        """Returns where a path stands, or the nearest thing around it."""
        for length in range(len(path), -1, -1):
            found = self.keys.get(path[:length]) or self.values.get(path[:length])
            if found is not None:
                return found
        return Span(1, 1, 0, 0, is_flow=False)


class BadText(Exception):
    """A text that is no document of ours; carries every fault found.

    Args:
        faults: At least one.
        document: What could be read all the same, what has a fault being `broken`; None: nothing.
    """

    def __init__(self, faults: list[Fault], document: Document | None = None) -> None:
        super().__init__(faults)
        self.faults = faults
        self.document = document


def parse(path: str, octets: bytes) -> Document:
    """Parses one file.

    What is wrong with single keys and values of it stands in the document's `faults`.

    Args:
        path: Names it in faults.
        octets: Its content.

    Raises:
        BadText: It cannot be read at all.
    """
    text = _decoded(path, octets)
    try:
        _scan(path, text)
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        why = error.problem or error.context or "it is not well formed"
        raise BadText([_fault(path, place, "BadYaml", why, "correct the YAML")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = f"it holds what YAML may not ({type(error).__name__})"
        raise BadText([_fault(path, (0, 0), "BadYaml", why, "correct the YAML")]) from None
    if node is None:
        why, fix = "it is empty", "write the file, or delete it"
        raise BadText([_fault(path, (0, 0), "EmptyFile", why, fix)])
    building = _Building(path)
    tree = building.build(node, ())
    faults = tuple(building.faults)
    document = Document(text, tree, building.keys, building.values, faults)
    return document.with_broken(building.broken) if faults else document


def _decoded(path: str, octets: bytes) -> str:
    if len(octets) > BYTES_MAX:
        why = f"it has {len(octets)} bytes, and {BYTES_MAX} are allowed"
        raise BadText([_fault(path, (0, 0), "TooLarge", why, "split it")])
    if octets.startswith(b"version https://git-lfs.github.com/spec/"):
        why, fix = "it is a Git LFS pointer", "commit the file itself"
        raise BadText([_fault(path, (0, 0), "LfsPointer", why, fix)])
    try:
        # Not utf-8-sig: marks would then be off by one against the bytes that are spliced.
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        why, fix = "it is not UTF-8", "save it as UTF-8"
        raise BadText([_fault(path, (line, 0), "NotUtf8", why, fix)]) from None
    if text.startswith("\ufeff"):
        why, fix = "it begins with a byte order mark", "save it as UTF-8 without one"
        raise BadText([_fault(path, (1, 1), "ByteOrderMark", why, fix)])
    return text


def _scan(path: str, text: str) -> None:
    """Holds the limits on the bare events, before anything recursive sees the text."""
    depth = documents = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        mark = event.start_mark
        at = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            why, fix = "anchors and aliases are not allowed here", "write the value out"
            raise BadText([_fault(path, at, "Anchor", why, fix)])
        if getattr(event, "tag", None):
            why, fix = "tags are not allowed here", "take the tag out"
            raise BadText([_fault(path, at, "Tag", why, fix)])
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        for count, most, what in (
            (depth, DEPTH_MAX, "levels"),
            (nodes, NODES_MAX, "values"),
            (documents, 1, "document"),
        ):
            if count > most:
                why = f"it has more than {most} {what}"
                raise BadText([_fault(path, at, "TooLarge", why, "split it")])


class _Building:
    def __init__(self, path: str) -> None:
        self._path = path
        self.faults: list[Fault] = []
        self.broken: list[Path] = []
        self.keys: dict[Path, Span] = {}
        self.values: dict[Path, Span] = {}

    def build(self, node: yaml.Node, at: Path) -> Any:
        self.values[at] = _span(node)
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(node, at))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*at, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, at) if isinstance(node, yaml.ScalarNode) else None

    def _pairs(self, node: yaml.MappingNode, at: Path) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if not isinstance(key_node, yaml.ScalarNode) or key == "<<":
                self._add(key_node, at, "BadKey", "a key must be text", "write it as text")
                continue
            if key in seen:
                what = f"the key {key!r} is given twice"
                self._add(key_node, (*at, key), "DuplicateKey", what, "take one of them out")
                continue
            seen.add(key)
            self.keys[(*at, key)] = _span(key_node)
            yield key, self.build(value_node, (*at, key))

    def _scalar(self, node: yaml.ScalarNode, at: Path) -> Any:
        text = str(node.value)
        if node.style in QUOTED:
            return text
        if text in ("", "~", "null"):
            return None
        if text in ("true", "false"):
            return text == "true"
        if _AMBIGUOUS.match(text):
            what = f"{text!r} means different things to different readers of YAML"
            self._add(node, at, "Ambiguous", what, "put it in quotes, or write true or false")
            return text
        if _INT.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
        return text

    def _add(self, node: yaml.Node, at: Path, code: str, why: str, fix: str) -> None:
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        self.faults.append(_fault(self._path, place, code, why, fix, dotted(at)))
        self.broken.append(at)


def dotted(path: Path) -> str:
    """Returns a path as people write it: `a.b[0].c`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _span(node: yaml.Node) -> Span:
    start, end = node.start_mark, node.end_mark
    flow = bool(getattr(node, "flow_style", False))
    return Span(start.line + 1, start.column + 1, start.index, end.index, flow)


def _fault(
    path: str, place: tuple[int, int], code: str, why: str, fix: str, field: str = ""
) -> Fault:
    what = f"{field} cannot be read" if field else "it cannot be read"
    return Fault(path, place[0], place[1], code, what, why, fix, field)
