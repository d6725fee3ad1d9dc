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


def published(kind: str) -> dict[str, Any]:
    """Returns the schema of a kind of file."""
    return {"$schema": DIALECT, **KINDS[kind].model_json_schema()}
