"""What a registry says of an image repository."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tags:
    """Every tag of a repository, sorted; a list that was cut is no list."""

    repository: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagDigest:
    """What a tag names just now.

    Attributes:
        digest: `sha256:<64 hex>` of the manifest or index; None: the registry says that there is no such tag.
    """

    repository: str
    tag: str
    digest: str | None
