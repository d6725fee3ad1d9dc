"""Objects as an API server gives them, as little of them as a rule asks for."""

from __future__ import annotations

from typing import Any


def obj(kind: str, api_version: str = "apps/v1", **parts: Any) -> dict[str, Any]:
    """Returns an object with a name and a UID."""
    meta = {"name": "a", "namespace": "n", "uid": "u", **parts.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **parts}
