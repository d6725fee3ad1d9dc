"""Label and field selectors, as a client writes them into a query.

Source: Kubernetes documentation, "Labels and Selectors" and "Field Selectors".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from reconciler.simulated.answers import bad_request

Object = dict[str, Any]

_TERM = re.compile(
    r"\s*(?P<not>!)?(?P<name>[A-Za-z0-9./_-]+)"
    r"(?:\s+(?P<in>in|notin)\s+\((?P<set>[^)]*)\)|\s*(?P<op>==|!=|=)\s*(?P<value>[A-Za-z0-9._-]*))?\s*(?:,|$)"
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects a list or a watch is about.

    Attributes:
        namespace: None for all.
        labels: A label selector; empty for all.
        fields: A field selector; empty for all.
    """

    namespace: str | None = None
    labels: str = ""
    fields: str = ""

    def has(self, obj: Object | None) -> bool:
        """Whether an object is one of them; what is not there is not."""
        if obj is None:
            return False
        meta = obj["metadata"]
        if self.namespace is not None and meta.get("namespace") != self.namespace:
            return False
        labels = meta.get("labels") or {}
        return all(term(labels) for term in _terms(self.labels)) and _has_fields(self.fields, obj)


@cache
def _terms(selector: str) -> tuple[Callable[[dict[str, str]], bool], ...]:
    terms, at = [], 0
    while at < len(selector):
        found = _TERM.match(selector, at)
        if found is None:
            raise bad_request(f"unable to parse requirement: {selector!r}")
        terms.append(_term(found))
        at = found.end()
    return tuple(terms)


def _term(found: re.Match[str]) -> Callable[[dict[str, str]], bool]:
    name, value = found["name"], found["value"]
    if found["not"]:
        return lambda labels: name not in labels
    if found["in"]:
        values = {one.strip() for one in found["set"].split(",")}
        if found["in"] == "in":
            return lambda labels: labels.get(name) in values
        return lambda labels: labels.get(name) not in values
    if found["op"] == "!=":
        return lambda labels: labels.get(name) != value
    if found["op"]:
        return lambda labels: labels.get(name) == value
    return lambda labels: name in labels


def _has_fields(selector: str, obj: Object) -> bool:
    for term in filter(None, selector.split(",")):
        path, _, value = term.replace("==", "=").partition("=")
        is_not = path.endswith("!")
        found: Any = obj
        for step in path.rstrip("!").split("."):
            found = found.get(step) if isinstance(found, dict) else None
        if (str(found or "") == value) == is_not:
            return False
    return True
