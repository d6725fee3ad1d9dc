"""A builder that remembers: whoever starts anew renders what was rendered before."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from reconciler.adapters.render.builder import ServiceBuilder
from reconciler.model.env_repo import SourceKind
from reconciler.model.names import EnvironmentName
from reconciler.model.objects import KubeObject

_Key = tuple[SourceKind, tuple[tuple[str, bytes], ...]]
_BUILT: dict[_Key, tuple[KubeObject, ...]] = {}


class SharedBuilder:
    """Builds plain manifests, each of them once in this process: what they build to hangs on nothing else."""

    def __init__(self) -> None:
        self._builder = ServiceBuilder()

    def version(self, kind: SourceKind) -> str:
        """Returns what a kind is built by."""
        return self._builder.version(kind)

    def build(
        self, kind: SourceKind, files: Mapping[str, bytes], environment: EnvironmentName
    ) -> tuple[KubeObject, ...]:
        """Builds; raises as the builder does."""
        key = (kind, tuple(sorted(files.items())))
        if key not in _BUILT:
            _BUILT[key] = self._builder.build(kind, files, environment)
        return copy.deepcopy(_BUILT[key])
