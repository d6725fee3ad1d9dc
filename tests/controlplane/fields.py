"""Reads from a real API server which fields its kinds have; run as a module, it writes what simulated ones know.

python -m tests.controlplane.fields
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reconciler.simulated.fields import BY_KEY
from reconciler.simulated.kinds import BUILT_IN
from tests.controlplane.cluster import ControlPlane, control_planes

FILE = Path(__file__).resolve().parents[2] / "reconciler/simulated/fields.json"

Schema = dict[str, Any]


def table(plane: ControlPlane) -> str:
    """Returns the table of a running API server, as it is written to the file."""
    schemas: dict[str, Schema] = {}
    for version in sorted({kind.api_version for kind in BUILT_IN}):
        path = f"/openapi/v3/{'apis' if '/' in version else 'api'}/{version}"
        schemas.update(plane.request("GET", path)["components"]["schemas"])
    roots = {
        f"{one['group']}/{one['version']} {one['kind']}".lstrip("/"): name
        for name, schema in schemas.items()
        for one in schema.get("x-kubernetes-group-version-kind") or ()
    }
    kinds = {f"{k.api_version} {k.kind}": roots[f"{k.api_version} {k.kind}"] for k in BUILT_IN}
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
