"""The env repo as anybody reads it: what its pins and quarantines say at a commit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from reconciler.model.names import CommitId
from tests.fakes.memory_git import BRANCH, MemoryGit
from tests.simulation.fleet.shape import image_of


class Repo:
    """Reads of Git that ask nobody else.

    Attributes:
        versions: By image, the version that people call it.
    """

    def __init__(self, git: MemoryGit) -> None:
        self.git = git
        self.versions: dict[str, str] = {}

    def knows(self, service: str, version: str) -> None:
        """Is told of a version that people may pin."""
        self.versions["@".join(image_of(service, version))] = version

    def pin(
        self, service: str, environment: str, commit: CommitId | None = None
    ) -> tuple[str, Mapping[str, Any]] | None:
        """Returns the version that a commit pins, and all of the pin; None where none can be read."""
        tree = self.file(f"environments/{environment}/{service}.yaml", commit)
        if not isinstance(tree, dict) or "images" not in (tree.get("release") or {}):
            return None
        repository, digest = next(iter(tree["release"]["images"].items()), ("", ""))
        version = self.versions.get(f"{repository}@{digest}")
        return (version, tree) if version is not None else None

    def quarantine(self, service: str, commit: CommitId | None = None) -> list[dict[str, Any]]:
        """Returns the entries of a quarantine file."""
        tree = self.file(f"quarantine/{service}.yaml", commit)
        return list(tree["entries"]) if isinstance(tree, dict) else []

    def file(self, path: str, commit: CommitId | None = None) -> Any:
        """Returns what a file of a commit, or of the branch, says; None where it cannot be read."""
        files = self.git.files(commit or self.git.branches[BRANCH])
        return _loaded(self.git.blob(files[path])) if path in files else None


@cache
def _loaded(octets: bytes) -> Any:
    try:
        return yaml.load(octets, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return None
