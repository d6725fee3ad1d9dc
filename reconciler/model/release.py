"""What moves: a release from environment to environment, a revision within one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reconciler.model.names import CommitId, Identity, PartDigest, RevisionId

ABSENT = "absent"
"""What stands in a pin in the place of a release, and in a table in the place of its version."""


@dataclass(frozen=True, slots=True)
class Values:
    """A JSON object kept as canonical text, so that it is immutable and compares by content.

    Attributes:
        text: JSON with sorted keys and no spaces.
    """

    text: str = "{}"

    @classmethod
    def of(cls, tree: Mapping[str, Any]) -> Values:
        """Builds Values from any JSON-like mapping."""
        return cls(json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False))

    def tree(self) -> dict[str, Any]:
        """Returns a fresh mapping that the caller may change."""
        tree: dict[str, Any] = json.loads(self.text)
        return tree


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a Git tree.

    Attributes:
        path: Path relative to the tree it was listed from, `/` between parts.
        mode: Git's file mode, e.g. 0o100644; 0o120000 is a symbolic link, 0o160000 a submodule.
        blob: The blob's id.
    """

    path: str
    mode: int
    blob: str


@dataclass(frozen=True, slots=True)
class Release:
    """What moves from environment to environment.

    Attributes:
        version: The name people use; carries no meaning for identity.
        images: (repository, digest or tag), sorted by repository.
        source: The commit whose `services/<svc>` tree is used.
    """

    version: str
    images: tuple[tuple[str, str], ...]
    source: CommitId


class Part(StrEnum):
    """The parts of a revision that a rejection can name."""

    IMAGES = "images"
    TREE = "tree"
    VALUES = "values"
    RENDERER = "renderer"


@dataclass(frozen=True, slots=True)
class Revision:
    """A release with one environment's values and overlay: the unit of apply, judge and roll back.

    Attributes:
        id: Digest over identity, values, overlay and renderer.
        identity: Digest over image digests and the service's tree.
        release: The release, its `source` written out.
        values: The pin's values, cluster overrides under the key `clusters`.
        images_digest: Digest of the images alone.
        tree_digest: Digest of the service's tree alone.
        values_digest: Digest of the values and the overlay.
        unpinned: True when an image is named by a tag that no registry resolved.
        renderer: What turns it into objects, with versions: `assembly/1 kubectl/1.37.0`. It is no part
            of the identity, which must mean the same to every daemon, but it is of the revision: what
            another renderer makes of it is another thing to prove.
        absent: It is a tombstone: nothing of the service is to be left.
    """

    id: RevisionId
    identity: Identity
    release: Release
    values: Values
    images_digest: PartDigest
    tree_digest: PartDigest
    values_digest: PartDigest
    unpinned: bool = False
    renderer: str = ""
    absent: bool = False

    def part(self, part: Part) -> PartDigest:
        """Returns the digest of one part."""
        match part:
            case Part.IMAGES:
                return self.images_digest
            case Part.TREE:
                return self.tree_digest
            case Part.VALUES:
                return self.values_digest
            case Part.RENDERER:
                return PartDigest(f"sha256:{hashlib.sha256(self.renderer.encode()).hexdigest()}")
