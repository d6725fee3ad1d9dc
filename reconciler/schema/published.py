"""The JSON Schemas of the env repo's files, so that editors complete and check them as they are typed."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from reconciler.schema.files import FleetFile, PinFile, PolicyFile, QuarantineFile, ServiceFile

KINDS: dict[str, type[BaseModel]] = {
    "fleet": FleetFile,
    "service": ServiceFile,
    "pin": PinFile,
    "policy": PolicyFile,
    "quarantine": QuarantineFile,
}
"""By the word that people use."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"


FOLDER = ".schemas"
"""Where an env repo keeps them, for the hints at the top of its files."""


def published(kind: str) -> dict[str, Any]:
    """Returns the schema of a kind of file."""
    return {"$schema": DIALECT, **_closed(KINDS[kind].model_json_schema())}


def _closed(tree: Any) -> Any:
    """Lets no key pass that our models refuse, and leaves out titles, which only repeat the keys."""
    if isinstance(tree, list):
        return [_closed(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    found = {k: _closed(v) for k, v in tree.items() if k != "title" or not isinstance(v, str)}
    if "patternProperties" in found:
        found["additionalProperties"] = False
    return found
