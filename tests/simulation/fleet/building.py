"""A builder that remembers: whoever starts anew renders what was rendered before."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.model.env_repo import SourceKind
from reconciler.model.names import EnvironmentName
from reconciler.model.objects import KubeObject

MARK = "renderer"
"""The annotation of a Pod template that tells which renderer made it, where that is not the first."""

_Key = tuple[SourceKind, tuple[tuple[str, bytes], ...], str]
_BUILT: dict[_Key, tuple[KubeObject, ...]] = {}


class SharedBuilder:
    """Builds plain manifests, each of them once in this process: what they build to hangs on nothing else.

    Attributes:
        number: Of the version; a later one may render otherwise.
        mark: What it writes into Pod templates; empty: nothing.
    """

    def __init__(self) -> None:
        self._builder = ServiceBuilder()
        self.number = 1
        self.mark = ""

    def upgrade(self, *, changes: bool) -> None:
        """Becomes the next version."""
        self.number += 1
        self.mark = str(self.number) if changes else self.mark

    def version(self, kind: SourceKind) -> str:
        """Returns what a kind is built by."""
        own = self._builder.version(kind)
        return own if self.number == 1 else f"builder/{self.number}"

    def build(
        self, kind: SourceKind, files: Mapping[str, bytes], environment: EnvironmentName
    ) -> tuple[KubeObject, ...]:
        """Builds; raises as the builder does."""
        key = (kind, tuple(sorted(files.items())), self.mark)
        if key not in _BUILT:
            found = copy.deepcopy(self._builder.build(kind, files, environment))
            for obj in found if self.mark else ():
                if "template" in (obj.get("spec") or {}):
                    meta = obj["spec"]["template"].setdefault("metadata", {})
                    meta.setdefault("annotations", {})[MARK] = self.mark
            _BUILT[key] = found
        return copy.deepcopy(_BUILT[key])
