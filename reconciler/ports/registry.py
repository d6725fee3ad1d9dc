"""Image registries: which tags a repository has, and what a tag names."""

from __future__ import annotations

from typing import Protocol

from reconciler.model.answers import NotKnown
from reconciler.model.registry import TagDigest, Tags


class Registry(Protocol):
    """Every registry that the operator lets us ask. A question not answered in whole is NotKnown, never empty."""

    def tags(self, repository: str) -> Tags | NotKnown:
        """Returns every tag of a repository.

        Args:
            repository: As in a pin, `registry.example.com/team/web`.
        """
        ...

    def digest(self, repository: str, tag: str) -> TagDigest | NotKnown:
        """Returns the digest that a tag names just now, or that there is no such tag."""
        ...
