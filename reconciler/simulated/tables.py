"""Objects as the table that `kubectl get` prints."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from reconciler.model.times import from_rfc3339
from reconciler.simulated.kinds import Kind
from reconciler.simulated.shelf import Object

_STEP = re.compile(r"\.([A-Za-z]\w*)|\[(\d+)\]")


_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def table(kind: Kind, objects: list[Object], now: datetime) -> Object:
    """Returns a Table with the columns that a kind's definition names, or else with the age."""
    columns: list[dict[str, Any]] = [_AGE]
    if kind.definition is not None:
        columns = list(kind.definition.get("additionalPrinterColumns") or columns)
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
            "cells": [obj["metadata"]["name"], *(_cell(obj, c, now) for c in columns)],
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


def _cell(obj: Any, column: dict[str, Any], now: datetime) -> Any:
    for name, index in _STEP.findall(column["jsonPath"]):
        try:
            obj = obj[name] if name else obj[int(index)]
        except (KeyError, IndexError, TypeError):
            return None
    return _age(str(obj), now) if column["type"] == "date" else obj


def _age(at: str, now: datetime) -> str:
    """A date is told as the time since then, by the server and not by kubectl."""
    try:
        left_s = max(0, int((now - from_rfc3339(at)).total_seconds()))
    except ValueError:
        return "<invalid>"
    unit, seconds = next(((u, s) for u, s in _UNITS if left_s >= 2 * s), _UNITS[-1])
    whole, rest = divmod(left_s, seconds)
    smaller = {"d": ("h", 3_600), "h": ("m", 60), "m": ("s", 1)}.get(unit)
    if smaller is None or whole >= 10 or rest < smaller[1]:
        return f"{whole}{unit}"
    return f"{whole}{unit}{rest // smaller[1]}{smaller[0]}"
