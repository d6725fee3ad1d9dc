"""Looks a kustomization through before the tool runs: it may name files of its own tree and nothing else.

The tool would fetch from the network, run plugins and read any file. Here each field is known or
refused, and each path must name a file or folder that the service has, so nothing remote is left.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reconciler.adapters.render.documents import documents
from reconciler.core.assembly.faults import Faults
from reconciler.errors import InvalidInput

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

_PATHS = ("resources", "components", "bases", "crds", "configurations", "patchesStrategicMerge")
"""Fields that list paths; in the last an entry may be a patch itself."""

_ENTRIES = {
    "patches": {"path", "patch", "target", "options"},
    "patchesJson6902": {"path", "patch", "target", "options"},
    "replacements": {"path", "source", "targets"},
    "configMapGenerator": {"name", "namespace", "behavior", "literals", "options", "files", "envs"}
    | {"env"},
    "secretGenerator": {"name", "namespace", "behavior", "literals", "options", "files", "envs"}
    | {"env", "type"},
    "openapi": {"path"},
}
"""Fields whose entries may name files, with every key that an entry may have.

The tool reads keys in any case of letters, so a key that is not exactly one of these is refused.
"""

_ENTRY_PATHS = ("path", "env", "envs", "files")

_HARMLESS = {
    *("apiVersion", "kind", "metadata", "namespace", "namePrefix", "nameSuffix", "images"),
    *("replicas", "labels", "commonLabels", "commonAnnotations", "generatorOptions"),
    *("buildMetadata", "sortOptions", "vars"),
}

_CHARTS = {"helmCharts", "helmGlobals", "helmChartInflationGenerator"}
_PLUGINS = {"generators", "transformers", "validators"}

_DEPTH_MAX = 50
"""Folders that lead to one another in a row; people build three or four."""

_PATH_CHARACTERS_MAX = 1_024
_SHOWN_MAX = 100


class Kustomizations:
    """The kustomizations of one service, looked through from one folder on.

    Args:
        files: Content by path, of everything that the tool will see.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._folders = {
            folder for path in files for folder in _ancestors(posixpath.dirname(path))
        } | {"."}
        self._faults = Faults()
        self._done: set[str] = set()

    def check(self, root: str) -> None:
        """Looks through a folder's kustomization and all that it leads to.

        Raises:
            Unrenderable: With the faults found.
        """
        self._visit(root, ())
        self._faults.raise_any("the kustomization")

    def _visit(self, folder: str, above: tuple[str, ...]) -> None:
        if folder in self._done:
            return
        self._done.add(folder)
        for path, tree in self._read(folder):
            for target in self._targets(path, tree):
                if target not in self._folders:
                    continue
                if target == "." or target in (*_ancestors(folder), *above):
                    names = " -> ".join((*above, folder, target))
                    why = f"{names}: no folder builds on itself or on one above"
                    self._fault(path, "it leads back to itself", why, "move the rest into base/")
                elif len(above) == _DEPTH_MAX:
                    self._fault(path, "it leads too far", f"over {_DEPTH_MAX} folders in a row")
                else:
                    self._visit(target, (*above, folder))

    def _read(self, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
        names = [posixpath.normpath(posixpath.join(folder, name)) for name in FILE_NAMES]
        present = [name for name in names if name in self._files]
        if len(present) != 1:
            found = " and ".join(present) or "there is none"
            self._fault(names[0], "a folder needs exactly one kustomization", found)
            return
        path = present[0]
        try:
            loaded = documents(path, self._files[path])
        except InvalidInput as fault:
            self._faults.note(fault)
            return
        if len(loaded) == 1 and isinstance(loaded[0], dict):
            yield path, loaded[0]
        else:
            self._fault(path, "it is no kustomization", "it is not one mapping")

    def _targets(self, path: str, tree: dict[str, Any]) -> Iterator[str]:
        """Yields every place that a kustomization names and may name."""
        for field, value in tree.items():
            if field in _PATHS:
                for place, entry in _entries(field, value):
                    if not (field == "patchesStrategicMerge" and "\n" in str(entry)):
                        yield from self._target(path, place, entry)
            elif field in _ENTRIES:
                for place, entry in _entries(field, value):
                    yield from self._targets_of_entry(path, place, entry, _ENTRIES[field])
            elif field in _CHARTS:
                self._fault(path, f"{field} cannot be used", "charts are not supported yet")
            elif field in _PLUGINS:
                why = "what it runs is not known before it runs"
                self._fault(path, f"{field} cannot be used", why, "write a patch or a component")
            elif field not in _HARMLESS:
                why = "this field is not known, and it could name something outside"
                self._fault(path, f"{field[:_SHOWN_MAX]!r} cannot be used", why)

    def _targets_of_entry(
        self, path: str, place: str, entry: Any, keys: Collection[str]
    ) -> Iterator[str]:
        if not isinstance(entry, dict) or not entry.keys() <= set(keys):
            self._fault(path, place, "it is no mapping, or has a field that is not known")
            return
        for key in _ENTRY_PATHS:
            for inner, named in _entries(f"{place}.{key}", entry.get(key)):
                if key == "files" and isinstance(named, str):
                    yield from self._target(path, inner, named.partition("=")[2] or named)
                else:
                    yield from self._target(path, inner, named)

    def _target(self, path: str, place: str, named: Any) -> Iterator[str]:
        if not isinstance(named, str) or not 0 < len(named) <= _PATH_CHARACTERS_MAX:
            self._fault(path, place, "it is no path")
            return
        # What may carry a user's name and token is never shown.
        if "://" in named or "@" in named or "?" in named or "::" in named:
            why = "it names something outside the repo, and nothing is fetched"
            self._fault(path, place, why, "copy it into the service's folder")
            return
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), named))
        if named.startswith("/") or target.startswith(".."):
            why = f"{named[:_SHOWN_MAX]!r} is outside the service's folder"
            self._fault(path, place, why, "copy it into the service's folder")
        elif target not in self._files and target not in self._folders:
            self._fault(
                path,
                place,
                f"{named[:_SHOWN_MAX]!r} is not there",
                "service.yaml, *.md and the overlays of other environments are no part of a render",
            )
        else:
            yield target

    def _fault(self, path: str, what: str, why: str, fix: str = "") -> None:
        self._faults.note(InvalidInput(path, what, why, fix))


def _entries(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yields the entries of a field with their places; a field may hold one entry without a list."""
    if isinstance(value, list):
        yield from ((f"{place}[{index}]", entry) for index, entry in enumerate(value))
    elif value is not None:
        yield place, value


def _ancestors(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = posixpath.dirname(folder)
