"""Reads from a real API server which fields and lists its kinds have; run as a module, it writes which fields
simulated ones know.

python -m tests.controlplane.fields
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from reconciler.core.diff import AS_SET
from reconciler.simulated.fields import BY_KEY, METADATA
from reconciler.simulated.kinds import BUILT_IN
from tests.controlplane.cluster import ControlPlane, control_planes

FILE = Path(__file__).resolve().parents[2] / "reconciler/simulated/fields.json"

Schema = dict[str, Any]
Place = tuple[str, str, tuple[str, ...]]
"""apiVersion, kind, and the names of the fields down to a list."""
Keys = tuple[str, ...] | None

_VERSION = re.compile(r"v1|(\w+|[\w.]+\.k8s\.io)/v\w+")
"""A group that others define has a dot, and does not end like this."""


def table(plane: ControlPlane) -> str:
    """Returns the table of a running API server, as it is written to the file."""
    schemas = _schemas(plane, {kind.api_version for kind in BUILT_IN})
    roots = _roots(schemas)
    kinds = {f"{k.api_version} {k.kind}": roots[k.api_version, k.kind] for k in BUILT_IN}
    definitions: dict[str, dict[str, str | None]] = {}
    waiting = list(kinds.values())
    while waiting:
        name = waiting.pop()
        if _short(name) in definitions:
            continue
        fields = dict(_fields(schemas, schemas[name]))
        definitions[_short(name)] = {
            field: None if below is None else f"{mark}{_short(below)}"
            for field, (mark, below) in sorted(fields.items())
        }
        waiting.extend(below for _, below in fields.values() if below is not None)
    lines = [f' "{name}": {json.dumps(definitions[name])}' for name in sorted(definitions)]
    shorts = json.dumps({kind: _short(name) for kind, name in sorted(kinds.items())})
    return f'{{"kinds": {shorts},\n"definitions": {{\n' + ",\n".join(lines) + "\n}}\n"


def lists(plane: ControlPlane) -> dict[Place, Keys]:
    """Returns every list of every kind that a running API server has of itself, and how its items are told apart."""
    paths = plane.request("GET", "/openapi/v3")["paths"]
    versions = {path.removeprefix("apis/").removeprefix("api/") for path in paths}
    schemas = _schemas(plane, filter(_VERSION.fullmatch, versions))
    return {
        (*root, path): keys
        for root, name in _roots(schemas).items()
        if METADATA in json.dumps(schemas[name].get("properties", {}).get("metadata"))
        for path, keys in _lists(schemas, (name,), ())
    }


def _lists(
    schemas: dict[str, Schema], above: tuple[str, ...], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Keys]]:
    """Yields the lists below the last of some definitions; what is below itself is gone into once."""
    definition = schemas[above[-1]]
    for name, value in definition["properties"].items():
        if value.get("type") == "array":
            yield (*path, name), _keys(value)
    for name, (_, below) in _fields(schemas, definition):
        if below is not None and below not in above:
            yield from _lists(schemas, (*above, below), (*path, name))


def _keys(value: Schema) -> Keys:
    kind = value.get("x-kubernetes-list-type")
    if kind == "map":
        return tuple(value["x-kubernetes-list-map-keys"])
    return AS_SET if kind == "set" else None


def _schemas(plane: ControlPlane, versions: Iterable[str]) -> dict[str, Schema]:
    found: dict[str, Schema] = {}
    for version in sorted(versions):
        path = f"/openapi/v3/{'apis' if '/' in version else 'api'}/{version}"
        found.update(plane.request("GET", path)["components"]["schemas"])
    return found


def _roots(schemas: dict[str, Schema]) -> dict[tuple[str, str], str]:
    """Returns the name of each kind's definition, by apiVersion and kind."""
    return {
        (f"{one['group']}/{one['version']}".lstrip("/"), one["kind"]): name
        for name, schema in schemas.items()
        for one in schema.get("x-kubernetes-group-version-kind") or ()
    }


def _fields(
    schemas: dict[str, Schema], schema: Schema
) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Yields each field with the definition of what is below it, if that has fields of its own."""
    for name, value in schema["properties"].items():
        mark, at = "", value
        if value.get("type") == "array":
            at = value["items"]
        elif isinstance(value.get("additionalProperties"), dict):
            mark, at = BY_KEY, value["additionalProperties"]
        refs = [one["$ref"] for one in (at, *at.get("allOf", ())) if "$ref" in one]
        below = refs[0].rpartition("/")[2] if refs else None
        has_fields = below is not None and "properties" in schemas[below]
        yield name, (mark, below if has_fields else None)


def _short(name: str) -> str:
    """Returns the end of a definition's long name: package, version and type."""
    return ".".join(name.split(".")[-3:])


def main() -> None:
    """Writes the file."""
    with (
        tempfile.TemporaryDirectory() as folder,
        control_planes(Path(folder), {"dev-1": {}}) as planes,
    ):
        FILE.write_text(table(planes["dev-1"]))


if __name__ == "__main__":
    main()
