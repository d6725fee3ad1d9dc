"""Objects as the table that `kubectl get` prints."""

from __future__ import annotations

import re
from typing import Any

from reconciler.simulated.kinds import Kind
from reconciler.simulated.store import Object

_STEP = re.compile(r"\.([A-Za-z]\w*)|\[(\d+)\]")


def table(kind: Kind, objects: list[Object]) -> Object:
    """Returns a Table with the columns that a kind's definition names."""
    columns: list[dict[str, Any]] = []
    if kind.definition is not None:
        columns = list(kind.definition.get("additionalPrinterColumns") or ())
    name = {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}
    headers = [name] + [
        {
            "name": c["name"],
            "type": c["type"],
            "format": "",
            "description": c.get("description", ""),
            "priority": c.get("priority", 0),
        }
        for c in columns
    ]
    rows = [
        {
            "cells": [obj["metadata"]["name"], *(_cell(obj, c["jsonPath"]) for c in columns)],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"],
            },
        }
        for obj in objects
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": headers,
        "rows": rows,
    }


def _cell(obj: Any, path: str) -> Any:
    for name, index in _STEP.findall(path):
        try:
            obj = obj[name] if name else obj[int(index)]
        except (KeyError, IndexError, TypeError):
            return None
    return obj
