"""Whether an object is one at all: names that fit into a URL, metadata a person may write, a size that fits."""

from __future__ import annotations

import json
import re
from typing import Any

from reconciler.core.assembly.pods import Tree
from reconciler.core.stored import canonical
from reconciler.errors import InvalidInput
from reconciler.model.objects import KubeObject

OBJECT_BYTES_MAX = 1024 * 1024
"""The API server's limit on a ConfigMap's data; etcd takes 1.5 MiB, of which managed fields need a part."""

_API_VERSION = re.compile(r"(?:[a-z0-9](?:[a-z0-9.\-]{0,251}[a-z0-9])?/)?v[a-z0-9]{1,62}")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:@\-]{1,253}")
"""What all kinds' names have in common as one part of a URL; RBAC names hold colons."""
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?")

_SERVERS_OWN = (
    "uid",
    "resourceVersion",
    "generation",
    "managedFields",
    "ownerReferences",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_OUR_ANNOTATIONS = ("reconciler.dev/suspend-until", "reconciler.dev/config-hash")


class _Misshapen(Exception):
    """What is wrong with one object: what, why, fix."""


def shaped(obj: KubeObject, *, index: int) -> Tree:
    """Returns a copy of one object that the rest of assembly may rely on and change.

    `status` and the empty `creationTimestamp` that generators write are left out.

    Args:
        obj: As it was built; of any shape.
        index: The object's place among the built ones, from 0; names it where it has no name.

    Raises:
        InvalidInput: It is no object, or one that only a server writes.
    """
    try:
        octets = canonical(obj)
        copy: Any = json.loads(octets)
        _check_names(copy)
        _check_metadata(copy["metadata"])
        if len(octets) > OBJECT_BYTES_MAX:
            raise _Misshapen(
                "it is too large",
                f"{len(octets)} bytes, and a cluster takes {OBJECT_BYTES_MAX}",
                "split it, or keep its content elsewhere",
            )
    except _Misshapen as misshapen:
        raise InvalidInput(_called(obj, index), *misshapen.args) from None
    except ValueError as error:
        why = f"it cannot be written as JSON ({type(error).__name__})"
        raise InvalidInput(_called(obj, index), "it is no object", why) from error
    copy.pop("status", None)
    copy["metadata"].pop("creationTimestamp", None)
    return dict(copy)


def _check_names(obj: Any) -> None:
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata"), dict):
        raise _Misshapen("it is no object", "it has no metadata", "give it a kind and a name")
    meta = obj["metadata"]
    for field, value, pattern in (
        ("apiVersion", obj.get("apiVersion"), _API_VERSION),
        ("kind", obj.get("kind"), _KIND),
    ):
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _Misshapen(f"its {field} is wrong", "it is missing or has a form no API has")
    if "generateName" in meta:
        raise _Misshapen(
            "it has no name of its own",
            "generateName makes another object at every apply",
            "write metadata.name",
        )
    name, namespace = meta.get("name"), meta.get("namespace")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _Misshapen("it has no name", "metadata.name is missing or no name", "name it")
    if namespace is not None and not (
        isinstance(namespace, str) and _NAMESPACE.fullmatch(namespace)
    ):
        raise _Misshapen("its namespace is wrong", "metadata.namespace is no namespace's name")


def _check_metadata(meta: Tree) -> None:
    for field in ("labels", "annotations"):
        entries = meta.get(field)
        if entries is None:
            meta.pop(field, None)
        elif not isinstance(entries, dict) or not all(isinstance(v, str) for v in entries.values()):
            raise _Misshapen(
                f"its {field} have the wrong shape",
                "each must be text by text",
                "put numbers and booleans in quotes",
            )
    present = [field for field in _SERVERS_OWN if meta.get(field)]
    if present:
        raise _Misshapen(
            "it carries what only a server writes",
            f"metadata.{present[0]} belongs to one live object",
            "take it out of the manifest",
        )
    for annotation in _OUR_ANNOTATIONS:
        if annotation in meta.get("annotations", {}):
            raise _Misshapen(
                "it carries an annotation that a manifest cannot have",
                f"{annotation} is for live objects",
                "take it out of the manifest",
            )


def _called(obj: Any, index: int) -> str:
    """Names an object of which nothing is certain."""
    tree = obj if isinstance(obj, dict) else {}
    meta = tree.get("metadata")
    name = meta.get("name") if isinstance(meta, dict) else None
    kind = tree.get("kind")
    if isinstance(kind, str) and isinstance(name, str) and kind and name:
        return f"{kind[:63]}/{name[:253]}"
    return f"object {index + 1} ({kind[:63] if isinstance(kind, str) and kind else 'no kind'})"
