"""Plain manifests: every YAML and JSON file of a service, each with any number of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from reconciler.adapters.render.documents import documents
from reconciler.adapters.render.kustomization import FILE_NAMES
from reconciler.core.assembly.faults import raise_all
from reconciler.errors import InvalidInput
from reconciler.model.objects import KubeObject

_SUFFIXES = {".yaml", ".yml", ".json"}


def build_plain(files: Mapping[str, bytes]) -> tuple[KubeObject, ...]:
    """Returns the objects of all manifests, in order of path.

    Raises:
        Unrenderable: With every fault of every file.
    """
    objects: list[KubeObject] = []
    faults: list[InvalidInput] = []
    for path in sorted(files):
        name = PurePosixPath(path)
        if name.suffix not in _SUFFIXES or name.name in FILE_NAMES:
            continue
        try:
            objects.extend(objects_of(path, documents(path, files[path])))
        except InvalidInput as fault:
            faults.append(fault)
    raise_all("the manifests", faults)
    return tuple(objects)


def objects_of(path: str, loaded: list[Any]) -> Iterator[KubeObject]:
    """Yields the objects among documents, those inside Lists one by one.

    Raises:
        InvalidInput: A document is no object.
    """
    pending = loaded[::-1]
    while pending:
        document = pending.pop()
        why = _no_object(document)
        if why:
            raise InvalidInput(
                path,
                "it holds something that is no object",
                why,
                "keep nothing but manifests in YAML and JSON files",
            )
        items = document.get("items")
        if isinstance(items, list) and document["kind"].endswith("List"):
            pending.extend(items[::-1])
        else:
            yield document


def _no_object(document: Any) -> str:
    """Returns why something is no object, or nothing; what it is like inside is looked at later."""
    if not isinstance(document, dict):
        return "a document, or an item of a List, is no mapping"
    kind = document.get("kind")
    if not isinstance(kind, str):
        return "a document, or an item of a List, has no kind"
    if not isinstance(document.get("metadata"), dict) and not kind.endswith("List"):
        return f"a {kind} has no metadata"
    return ""
