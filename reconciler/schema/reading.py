"""A file's text into its model: every fault of it found, each at its line and column."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from reconciler.model.env_repo import Fault
from reconciler.schema.yaml_text import BadText, Document, Path, dotted, parse

Model = TypeVar("Model", bound=BaseModel)

_CODES = {
    "missing": "MissingField",
    "extra_forbidden": "UnknownField",
    "string_type": "WrongType",
    "literal_error": "UnknownValue",
    "string_pattern_mismatch": "BadFormat",
    "bad_range": "BadRange",
    "bad_pattern": "BadPattern",
}
_FIXES = {
    "missing": "add it",
    "extra_forbidden": "take it out, or correct its spelling",
    "string_type": "put it in quotes",
}


def read_file(path: str, octets: bytes, model: type[Model]) -> tuple[Model, Document]:
    """Reads one file.

    Raises:
        BadText: With every fault of it.
    """
    document = parse(path, octets)
    faults, broken = list(document.faults), list[Path]()
    try:
        read = model.model_validate(document.tree)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            at = _real(document, tuple(detail["loc"]), str(detail["type"]))
            # What nobody knows the meaning of is no second fault of its file.
            if document.is_known(at):
                faults.append(_fault(path, document, at, detail))
                broken.append(at)
    else:
        if not faults:
            return read, document
    raise BadText(sorted(set(faults)), document.with_broken(broken))


def _fault(path: str, document: Document, at: Path, detail: object) -> Fault:
    assert isinstance(detail, dict)
    kind = str(detail["type"])
    place = document.place(at)
    return Fault(
        path,
        place.line,
        place.column,
        _CODES.get(kind, "Invalid"),
        f"{dotted(at) or 'the file'} is wrong",
        _why(kind, detail),
        _FIXES.get(kind, "correct it"),
        dotted(at),
    )


def _real(document: Document, loc: Path, kind: str) -> Path:
    """Leaves out the steps that pydantic adds: the tag of a union's member, and `[key]`."""
    at: Path = ()
    for step in loc:
        if (*at, step) in document.values:
            at = (*at, step)
    # A field that is missing stands nowhere, and is named all the same.
    return (*at, loc[-1]) if kind == "missing" else at


def _why(kind: str, detail: dict[str, object]) -> str:
    if kind == "missing":
        return "it is required and not there"
    if kind == "extra_forbidden":
        return "there is no such field"
    return str(detail["msg"])
