"""Copies of JSON trees: a store that hands out its own objects would be changed by whoever reads them."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


def copied(tree: T) -> T:
    """Returns a tree that shares no dict and no list with another.

    Many times faster than `copy.deepcopy`, which has to expect more than dicts, lists and what cannot change.
    """
    found: Any = _copied(tree)
    return found  # type: ignore[no-any-return]


def _copied(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _copied(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_copied(item) for item in tree]
    return tree
