"""Kubernetes objects: user objects stay JSON trees, our references to them are values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KubeObject = Mapping[str, Any]
"""A decoded Kubernetes object. User objects keep unknown fields, so they have no class of ours."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one object in a cluster; ordered by its fields.

    Attributes:
        namespace: Empty for a cluster-scoped object.
    """

    api_version: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, obj: KubeObject) -> ObjectRef:
        """Reads the reference out of an object that has passed validation."""
        meta = obj["metadata"]
        return cls(
            str(obj["apiVersion"]),
            str(obj["kind"]),
            str(meta.get("namespace") or ""),
            str(meta["name"]),
        )

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        return "/".join(p for p in (self.kind, self.namespace, self.name) if p)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a revision renders to in one environment and cluster.

    Attributes:
        objects: In apply order.
        digest: RenderDigest over the objects.
    """

    objects: tuple[KubeObject, ...]
    digest: str


NOTHING = Rendered((), f"sha256:{hashlib.sha256().hexdigest()}")
"""What a tombstone renders to; no release does, since one without objects is a fault."""
