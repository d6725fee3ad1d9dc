"""Server-side apply: who owns which field, and what one manager's apply makes of an object.

Source: Kubernetes documentation, "Server-Side Apply", and structured-merge-diff's field sets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from reconciler.core.diff import AS_SET, list_key
from reconciler.core.diff.list_keys import item_key
from reconciler.simulated.answers import Answer
from reconciler.simulated.trees import copied

Step = tuple[str, str]
Field = tuple[Step, ...]
Fields = frozenset[Field]


class Owner(NamedTuple):
    """Who has written fields, and how: each has an entry of its own."""

    operation: str
    manager: str
    subresource: str = ""


Owners = dict[Owner, Fields]

_IDENTITY = frozenset({"apiVersion", "kind"})
_SERVER_METADATA = frozenset(
    {
        "creationTimestamp",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "name",
        "namespace",
        "resourceVersion",
        "uid",
    }
)


def fields_of(obj: dict[str, Any]) -> Fields:
    """Returns every leaf that an object names, without what identifies it or is the server's."""
    return frozenset(_values_of(obj, obj))


def _values_of(obj: dict[str, Any], part: dict[str, Any]) -> dict[Field, Any]:
    """Returns every leaf of some top-level fields of an object, and what it says."""
    kind = (str(obj.get("apiVersion", "")), str(obj.get("kind", "")))
    return dict(_leaves(part, kind, (), ()))


def _leaves(
    value: Any, kind: tuple[str, str], at: Field, names: tuple[str, ...]
) -> Iterator[tuple[Field, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            if not names and key in _IDENTITY:
                continue
            if names == ("metadata",) and key in _SERVER_METADATA:
                continue
            yield from _leaves(item, kind, (*at, ("f", key)), (*names, key))
        return
    keys = list_key(*kind, names) if isinstance(value, list) and value else None
    if keys is None:
        if names != ("metadata",):
            yield at, value
        return
    for item in value:
        step = _item_step(item, keys)
        if step is None:
            yield at, value
            return
        yield (*at, step), item
        if keys != AS_SET:
            yield from _leaves(item, kind, (*at, step), names)


def _item_step(item: Any, keys: tuple[str, ...]) -> Step | None:
    key = item_key(item, keys)
    if key is None:
        return None
    if keys == AS_SET:
        return ("v", json.dumps(key[0]))
    return ("k", json.dumps(dict(zip(keys, key, strict=True)), sort_keys=True))


def applied(
    live: dict[str, Any],
    desired: dict[str, Any],
    owners: Owners,
    manager: str,
    *,
    force: bool,
) -> tuple[dict[str, Any], Owners]:
    """Returns what an apply makes of an object, and who owns what then.

    Args:
        live: The stored object; empty when there is none.
        desired: What is applied.
        owners: Who owned what before.
        manager: Who applies.
        force: Take fields from others instead of refusing.

    Raises:
        Answer: 409, another manager owns a field with another value.
    """
    kind = (str(desired.get("apiVersion", "")), str(desired.get("kind", "")))
    me = Owner("Apply", manager)
    wanted = fields_of(desired)
    after = dict(owners)
    conflicts: list[tuple[Owner, Field]] = []
    for owner, owned in owners.items():
        if owner == me:
            continue
        taken = {
            field
            for field in owned & wanted
            if field[-1][0] == "f" and _get(live, field) != _get(desired, field)
        }
        conflicts.extend((owner, field) for field in sorted(taken))
        after[owner] = owned - taken
    if conflicts and not force:
        raise _conflict(desired, conflicts)
    merged = copied(live) if live else {}
    for field in sorted(owners.get(me, frozenset()) - wanted, key=len):
        if not any(_covers(owned, field) for owner, owned in after.items() if owner != me):
            _remove(merged, field)
    merged = _merge(merged, desired, kind, ())
    after[me] = wanted
    return merged, {owner: owned for owner, owned in after.items() if owned}


def written(before: dict[str, Any], now: dict[str, Any], owners: Owners, me: Owner) -> Owners:
    """Returns who owns what after a plain write: the writer owns whatever it changed."""
    # What is equal was not written: most writes are of a status alone.
    moved = {key for key in (*before, *now) if before.get(key) != now.get(key)}
    was, is_ = (_values_of(o, {k: v for k, v in o.items() if k in moved}) for o in (before, now))
    changed = {f for f, value in is_.items() if f not in was or was[f] != value}
    left = {
        owner: frozenset(f for f in owned if f in is_ or f[0][1] not in moved)
        for owner, owned in owners.items()
    }
    after = {owner: owned - (changed if owner != me else set()) for owner, owned in left.items()}
    after[me] = left.get(me, frozenset()) | changed
    return {owner: owned for owner, owned in after.items() if owned}


def managed_fields(
    owners: Owners, times: dict[Owner, str], api_version: str
) -> list[dict[str, Any]]:
    """Returns owners as an object's `metadata.managedFields`."""
    return [
        {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": api_version,
            "time": times.get(owner, ""),
            "fieldsType": "FieldsV1",
            "fieldsV1": _tree(owned),
            **({"subresource": owner.subresource} if owner.subresource else {}),
        }
        for owner, owned in sorted(owners.items())
    ]


def read(entries: list[dict[str, Any]]) -> tuple[Owners, dict[Owner, str]]:
    """Returns the owners that a client's `metadata.managedFields` names, and when each wrote last.

    An empty entry names nobody, which is how a client takes all of them away.
    """
    named = {
        Owner(entry["operation"], entry["manager"], entry.get("subresource", "")): entry
        for entry in entries
        if entry
    }
    owners = {owner: frozenset(_read(entry["fieldsV1"], ())) for owner, entry in named.items()}
    return owners, {owner: entry.get("time", "") for owner, entry in named.items()}


@lru_cache(maxsize=1024)
def _tree(fields: Fields) -> dict[str, Any]:
    """Most writes leave most owners as they are. Nobody changes what is stored in place."""
    tree: dict[str, Any] = {}
    ends: list[dict[str, Any]] = []
    for field in sorted(fields):
        at = tree
        for kind, name in field:
            at = at.setdefault(f"{kind}:{name}", {})
        ends.append(at)
    for end in ends:
        if end:
            end["."] = {}
    return tree


def _read(tree: dict[str, Any], at: Field) -> Iterator[Field]:
    for key, inner in tree.items():
        kind, _, name = key.partition(":")
        if key == ".":
            yield at
        elif inner:
            yield from _read(inner, (*at, (kind, _spelled(kind, name))))
        else:
            yield (*at, (kind, _spelled(kind, name)))


def _spelled(kind: str, name: str) -> str:
    """Returns a step's name as it is written here; a client may set its keys in another order."""
    return json.dumps(json.loads(name), sort_keys=True) if kind in ("k", "v") else name


def _conflict(desired: dict[str, Any], conflicts: list[tuple[Owner, Field]]) -> Answer:
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{owner.manager}"',
            "field": _dotted(field),
        }
        for owner, field in conflicts
    ]
    words = "; ".join(f"{c['message']}: {c['field']}" for c in causes)
    message = f"Apply failed with {len(causes)} conflict{'s' * (len(causes) > 1)}: {words}"
    name = str(desired["metadata"]["name"])
    return Answer(409, "Conflict", message, {"name": name, "causes": causes})


def _dotted(field: Field) -> str:
    parts = [f".{name}" if kind == "f" else f"[{kind}:{name}]" for kind, name in field]
    return "".join(parts)


def _covers(owned: Fields, field: Field) -> bool:
    return any(other[: len(field)] == field for other in owned)


def _get(obj: Any, field: Field) -> Any:
    for kind, name in field:
        obj = _child(obj, kind, name)
        if obj is None:
            return None
    return obj


def _child(obj: Any, kind: str, name: str) -> Any:
    if kind == "f":
        return obj.get(name) if isinstance(obj, dict) else None
    if not isinstance(obj, list):
        return None
    return next((item for item in obj if _is_item(item, kind, name)), None)


_named = lru_cache(maxsize=4096)(json.loads)
"""What a step's name says; nobody changes it."""


def _is_item(item: Any, kind: str, name: str) -> bool:
    wanted = _named(name)
    if kind == "v":
        return bool(item == wanted)
    return item_key(item, tuple(wanted)) == tuple(wanted.values())


def _remove(obj: Any, field: Field) -> None:
    parent = _get(obj, field[:-1]) if field[:-1] else obj
    kind, name = field[-1]
    if isinstance(parent, dict):
        parent.pop(name, None)
    elif isinstance(parent, list):
        parent[:] = [item for item in parent if not _is_item(item, kind, name)]


def _merge(live: Any, desired: Any, kind: tuple[str, str], names: tuple[str, ...]) -> Any:
    if isinstance(desired, dict):
        merged = dict(live) if isinstance(live, dict) else {}
        for key, value in desired.items():
            if value is not None:
                merged[key] = _merge(merged.get(key), value, kind, (*names, key))
        return merged
    keys = list_key(*kind, names) if isinstance(desired, list) else None
    if keys is None or not isinstance(live, list):
        return copied(desired)
    return _merge_list(live, desired, keys, kind, names)


def _merge_list(
    live: list[Any],
    desired: list[Any],
    keys: tuple[str, ...],
    kind: tuple[str, str],
    names: tuple[str, ...],
) -> list[Any]:
    """Keeps the desired order first, then what others added."""
    theirs = {item_key(item, keys): item for item in live}
    merged = [
        item if keys == AS_SET else _merge(theirs.get(item_key(item, keys)), item, kind, names)
        for item in desired
    ]
    own = {item_key(item, keys) for item in desired}
    return merged + [item for key, item in theirs.items() if key not in own]
