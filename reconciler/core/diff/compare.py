"""The fields that a desired object names, compared with a live one."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.core.diff.list_keys import AS_SET, item_key, list_key
from reconciler.core.diff.managers import manager_of
from reconciler.core.quantity import quantity
from reconciler.model.drift import FieldDifference, short
from reconciler.model.objects import KubeObject

MASKED = "***"

_COPIES = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
"""Annotations that hold a whole object once more."""

_SKIPPED = frozenset({("apiVersion",), ("kind",), ("status",)})

_SERVER_METADATA = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)

_QUANTITY_FIELDS = frozenset({"limits", "requests", "capacity", "hard", "sizeLimit", "divisor"})

Fields = tuple[str, ...]


def differences(desired: KubeObject, live: KubeObject) -> tuple[FieldDifference, ...]:
    """Returns each field that the desired object names and the live one has otherwise.

    What only the live object has is somebody else's and no difference.

    Args:
        desired: What was applied.
        live: What the API server has.
    """
    comparing = _Comparing(desired)
    found = comparing.mapping(_plain(desired), _plain(live), (), "")
    masked = desired.get("kind") == "Secret"
    return tuple(
        _difference(path, fields, mine, theirs, live, is_secret=masked)
        for path, fields, mine, theirs in found
    )


def _difference(
    path: str, fields: Fields, mine: Any, theirs: Any, live: KubeObject, *, is_secret: bool
) -> FieldDifference:
    hide = is_secret and fields[:1] in (("data",), ("stringData",))
    hide = hide or (fields[:2] == ("metadata", "annotations") and _holds_copy(fields, mine, theirs))
    manager, at = manager_of(live, fields)
    return FieldDifference(
        path,
        (None if theirs is None else MASKED) if hide else short(theirs),
        (None if mine is None else MASKED) if hide else short(mine),
        manager,
        at,
    )


def is_copy(annotation: str) -> bool:
    """Tells whether an annotation repeats the whole object, and with it whatever is secret in it."""
    return annotation in _COPIES


def _holds_copy(fields: Fields, *values: Any) -> bool:
    """Whether a difference is in, or around, an annotation that repeats the whole object."""
    if len(fields) > 2:
        return is_copy(fields[2])
    return any(isinstance(value, dict) and _COPIES & value.keys() for value in values)


_Found = Iterator[tuple[str, Fields, Any, Any]]


class _Comparing:
    def __init__(self, desired: KubeObject) -> None:
        self._api_version = str(desired.get("apiVersion", ""))
        self._kind = str(desired.get("kind", ""))

    def value(self, mine: Any, theirs: Any, fields: Fields, path: str) -> _Found:
        if _is_empty(mine) and _is_empty(theirs):
            return
        if isinstance(mine, dict) and isinstance(theirs, dict):
            yield from self.mapping(mine, theirs, fields, path)
        elif isinstance(mine, list) and isinstance(theirs, list):
            yield from self.sequence(mine, theirs, fields, path)
        elif not _is_same(mine, theirs, fields):
            yield path, fields, mine, theirs

    def mapping(
        self, mine: Mapping[str, Any], theirs: Mapping[str, Any], fields: Fields, path: str
    ) -> _Found:
        for key, value in mine.items():
            at = (*fields, key)
            if at in _SKIPPED or (fields == ("metadata",) and key in _SERVER_METADATA):
                continue
            dotted = f"{path}.{key}" if path else key
            yield from self.value(value, theirs.get(key), at, dotted)

    def sequence(self, mine: list[Any], theirs: list[Any], fields: Fields, path: str) -> _Found:
        keys = list_key(self._api_version, self._kind, fields)
        by_key = _by_key(theirs, keys) if keys is not None else None
        own = _by_key(mine, keys) if keys is not None else None
        if keys is None or by_key is None or own is None:
            yield from self._in_order(mine, theirs, fields, path)
            return
        for key, item in own.items():
            if keys == AS_SET:
                if key not in by_key:
                    yield f"{path}[{item}]", fields, item, None
                continue
            named = ",".join(f"{k}={v}" for k, v in zip(keys, key, strict=True))
            yield from self.value(item, by_key.get(key), fields, f"{path}[{named}]")

    def _in_order(self, mine: list[Any], theirs: list[Any], fields: Fields, path: str) -> _Found:
        if len(mine) != len(theirs):
            yield path, fields, mine, theirs
            return
        for index, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            yield from self.value(one, other, fields, f"{path}[{index}]")


def _by_key(items: list[Any], keys: tuple[str, ...]) -> dict[tuple[object, ...], Any] | None:
    """Returns items by their keys; None when one has no key or two have the same."""
    found: dict[tuple[object, ...], Any] = {}
    for item in items:
        key = item_key(item, keys)
        if key is None or key in found:
            return None
        found[key] = item
    return found


def _is_empty(value: Any) -> bool:
    """The API server drops what is empty, so that it and nothing are the same."""
    return value is None or value == {} or value == [] or value == "" or value is False


def _is_same(mine: Any, theirs: Any, fields: Fields) -> bool:
    if mine == theirs and isinstance(mine, bool) == isinstance(theirs, bool):
        return True
    if isinstance(mine, bool) or isinstance(theirs, bool):
        return False
    if isinstance(mine, str | int | float) and isinstance(theirs, str | int | float):
        if any(field in _QUANTITY_FIELDS for field in fields):
            # What is no number equals nothing.
            one, other = quantity(mine), quantity(theirs)
            return one is not None and one == other
        # int-or-string: a port may be written as 80 or as "80".
        return str(mine) == str(theirs) and fields[-1:] in _INT_OR_STRING
    return False


_INT_OR_STRING = (("targetPort",), ("port",), ("maxSurge",), ("maxUnavailable",), ("minAvailable",))


def _plain(obj: KubeObject) -> dict[str, Any]:
    """Returns an object as the server stores it: `stringData` of a Secret becomes `data`."""
    tree = dict(obj)
    text = tree.pop("stringData", None) if tree.get("kind") == "Secret" else None
    if isinstance(text, dict):
        encoded = {k: base64.b64encode(str(v).encode()).decode() for k, v in text.items()}
        tree["data"] = {**(tree.get("data") or {}), **encoded}
    return tree
