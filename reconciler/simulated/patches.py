"""JSON patch, merge patch, and enough of strategic merge patch for what kubectl sends by hand."""

from __future__ import annotations

from typing import Any

from reconciler.core.diff.list_keys import item_key, list_key
from reconciler.simulated.answers import bad_request
from reconciler.simulated.shelf import Object
from reconciler.simulated.trees import copied


def patched(was: Object, patch: Any, content_type: str) -> Object:
    """Returns an object with a patch applied.

    Raises:
        Answer: 400, the patch is none of these.
    """
    new = copied(was)
    if "json-patch" in content_type:
        for operation in patch:
            _operate(new, operation)
        return new
    if "strategic-merge" in content_type:
        kind = (str(was["apiVersion"]), str(was["kind"]))
        merged: Object = _merge(new, patch, kind, ())
        return merged
    if "merge-patch" in content_type:
        plain: Object = _merge(new, patch, None, ())
        return plain
    raise bad_request(f"the content type {content_type!r} is no patch")


def _merge(was: Any, patch: Any, kind: tuple[str, str] | None, names: tuple[str, ...]) -> Any:
    if isinstance(patch, dict):
        merged = dict(was) if isinstance(was, dict) else {}
        for key, value in patch.items():
            if key.startswith("$"):
                continue
            if value is None:
                merged.pop(key, None)
            else:
                merged[key] = _merge(merged.get(key), value, kind, (*names, key))
        return merged
    keys = list_key(*kind, names) if kind is not None and isinstance(patch, list) else None
    if keys is None or not isinstance(was, list):
        return patch
    found = {item_key(item, keys): item for item in was}
    for item in patch:
        key = item_key(item, keys)
        if isinstance(item, dict) and item.get("$patch") == "delete":
            found.pop(key, None)
        else:
            found[key] = _merge(found.get(key), item, kind, names)
    return list(found.values())


def _operate(obj: Any, operation: Object) -> None:
    steps = [s.replace("~1", "/").replace("~0", "~") for s in operation["path"].split("/")[1:]]
    for step in steps[:-1]:
        obj = obj[int(step)] if isinstance(obj, list) else obj[step]
    last = steps[-1]
    if operation["op"] == "test":
        found = obj[int(last)] if isinstance(obj, list) else obj.get(last)
        if found != operation["value"]:
            raise bad_request("the test of a JSON patch failed")
    elif isinstance(obj, list):
        index = len(obj) if last == "-" else int(last)
        if operation["op"] in ("remove", "replace"):
            obj.pop(index)
        if operation["op"] in ("add", "replace"):
            obj.insert(index, operation["value"])
    elif operation["op"] == "remove":
        obj.pop(last, None)
    else:
        obj[last] = operation["value"]
