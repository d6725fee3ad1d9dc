"""Where a field of an object stands among manifests, which are read here for that alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

Path = tuple[str, ...]

_KIND, _NAME = ("kind",), ("metadata", "name")


@dataclass(frozen=True, slots=True)
class Place:
    """A file, and 1-based line and column in it."""

    file: str
    line: int
    column: int


@dataclass(slots=True)
class _Scalar:
    text: str
    line: int
    column: int


def place_of(files: Mapping[str, bytes], kind: str, name: str, field: Path) -> Place | None:
    """Returns where the first object of a kind gives a field, one of the name before others.

    Others count since a kustomization may give objects another name than their manifests do.

    Args:
        files: Content by path; the first ones first. What is no YAML is passed over.
        kind: Of the object.
        name: Of the object, as it is rendered.
        field: Of mappings alone, with a scalar at its end.
    """
    found: dict[bool, Place] = {}
    for file, octets in files.items():
        for scalars in _documents(octets, (_KIND, _NAME, field)):
            given = scalars.get(field)
            if given is not None and _text(scalars, _KIND) == kind:
                place = Place(file, given.line, given.column)
                found.setdefault(_text(scalars, _NAME) == name, place)
    return found.get(True) or found.get(False)


def _text(scalars: Mapping[Path, _Scalar], at: Path) -> str:
    return scalars[at].text if at in scalars else ""


def _documents(octets: bytes, paths: Sequence[Path]) -> Iterator[dict[Path, _Scalar]]:
    """Yields the scalars at some paths, document by document.

    From the bare events, which nothing recursive looks at, so that depth does no harm.
    """
    keys: list[str | int | None] = []
    found: dict[Path, _Scalar] = {}
    try:
        for event in yaml.parse(octets.decode(errors="replace"), Loader=yaml.CSafeLoader):
            match event:
                case yaml.DocumentEndEvent():
                    yield found
                    found = {}
                case yaml.MappingStartEvent():
                    keys.append(None)
                case yaml.SequenceStartEvent():
                    keys.append(0)
                case yaml.CollectionEndEvent():
                    keys.pop()
                    _end_value(keys)
                case yaml.ScalarEvent() if keys and keys[-1] is None:
                    keys[-1] = event.value
                case yaml.ScalarEvent() | yaml.AliasEvent():
                    at = next((path for path in paths if list(path) == keys), None)
                    mark = event.start_mark
                    if at is not None and mark and isinstance(event, yaml.ScalarEvent):
                        found[at] = _Scalar(event.value, mark.line + 1, mark.column + 1)
                    _end_value(keys)
    except yaml.YAMLError:
        return


def _end_value(keys: list[str | int | None]) -> None:
    """After a value of a mapping comes a key; in a list, which has no key, another value."""
    if keys and isinstance(keys[-1], str):
        keys[-1] = None
