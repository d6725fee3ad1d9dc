"""A registry in memory."""

from __future__ import annotations

import hashlib

from reconciler.model.answers import NotKnown
from reconciler.model.registry import TagDigest, Tags


class MemoryRegistry:
    """The Registry port; what people push is pushed by its other methods.

    Attributes:
        away: What every question is answered with; None while it is there.
        asked: How often somebody asked for tags.
    """

    def __init__(self) -> None:
        self.away: NotKnown | None = None
        self.asked = 0
        self._tags: dict[str, dict[str, str]] = {}

    def tags(self, repository: str) -> Tags | NotKnown:
        """As the port has it."""
        self.asked += 1
        if self.away is not None:
            return self.away
        if repository not in self._tags:
            return NotKnown("Refused", f"{repository}: there is none")
        return Tags(repository, tuple(sorted(self._tags[repository])))

    def digest(self, repository: str, tag: str) -> TagDigest | NotKnown:
        """As the port has it."""
        if self.away is not None:
            return self.away
        return TagDigest(repository, tag, self._tags.get(repository, {}).get(tag))

    def push(self, repository: str, tags: list[str], of: str = "") -> str:
        """Pushes an image under tags; returns its digest."""
        digest = f"sha256:{hashlib.sha256(of.encode()).hexdigest()}"
        self._tags.setdefault(repository, {}).update(dict.fromkeys(tags, digest))
        return digest

    def put(self, repository: str, tag: str, digest: str) -> None:
        """Has a tag name an image that is there."""
        self._tags.setdefault(repository, {})[tag] = digest

    def delete(self, repository: str, digest: str) -> None:
        """Deletes an image, with the tags that name it."""
        kept = {tag: named for tag, named in self._tags[repository].items() if named != digest}
        self._tags[repository] = kept
