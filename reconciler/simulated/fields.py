"""The fields that built-in kinds have, by which an API server refuses any other; `fields.json` beside this holds them.

It was read from the OpenAPI of a real one by `python -m tests.controlplane.fields`. It holds names alone: a value
of the wrong type is refused by a real server, and mostly taken by a simulated one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

Object = dict[str, Any]

BY_KEY = "*"
"""Before the name of a definition: of the values of a map, whose keys are anybody's."""

METADATA = "meta.v1.ObjectMeta"


def undeclared(api_version: str, kind: str, obj: Object) -> Iterator[str]:
    """Yields the paths of an object's fields that its built-in kind does not have."""
    yield from within(_table()["kinds"][f"{api_version} {kind}"], obj, "")


def within(definition: str, value: Any, path: str) -> Iterator[str]:
    """Yields the paths below a value, or below each item of a list, that a definition does not name."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from within(definition, item, f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    if definition.startswith(BY_KEY):
        for key, item in value.items():
            yield from within(definition.removeprefix(BY_KEY), item, f"{path}.{key}")
        return
    fields: dict[str, str | None] = _table()["definitions"][definition]
    for key, item in value.items():
        at = f"{path}.{key}" if path else key
        if key not in fields:
            yield at
            continue
        inner = fields[key]
        if inner is not None:
            yield from within(inner, item, at)


@cache
def _table() -> Any:
    return json.loads(files("reconciler.simulated").joinpath("fields.json").read_text())
