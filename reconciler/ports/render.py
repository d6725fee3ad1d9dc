"""Turning a service's files into Kubernetes objects."""

from collections.abc import Mapping
from typing import Protocol

from reconciler.model.env_repo import SourceKind
from reconciler.model.names import EnvironmentName
from reconciler.model.objects import KubeObject


class Builder(Protocol):
    """Builds a service's raw objects, before pins, values and labels are put in."""

    def version(self, kind: SourceKind) -> str:
        """Returns the outside tool that a kind is built by, as `name/version`; empty where there is none."""
        ...

    def build(
        self, kind: SourceKind, files: Mapping[str, bytes], environment: EnvironmentName
    ) -> tuple[KubeObject, ...]:
        """Builds from file contents by path relative to `services/<svc>`.

        Raises:
            InvalidInput: The files do not build; names the file and the reason.
            TransientError: The build ran into its time limit, or this machine has no place for it.
        """
        ...
