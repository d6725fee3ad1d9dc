"""Revisions and records to begin with, so that a test names only what it is about."""

from __future__ import annotations

from reconciler.core.identity import revision_of
from reconciler.model.names import CommitId, EnvironmentName
from reconciler.model.release import Revision, TreeEntry, Values

COMMIT = CommitId("a" * 40)
RENDERER = "assembly/1"


def revision(
    version: str = "1.0.0",
    *,
    image: str | None = None,
    tree: str = "b" * 40,
    values: Values | None = None,
    source: CommitId = COMMIT,
    renderer: str = RENDERER,
) -> Revision:
    """Returns a revision; another version has another image unless one is named."""
    return revision_of(
        version=version,
        images=[("registry.example.com/web", image or f"v{version}")],
        source=source,
        values=values or Values(),
        cluster_values=Values(),
        entries=(TreeEntry("web.yaml", 0o100644, tree),),
        service_yaml_identity=b"",
        environment=EnvironmentName("dev"),
        renderer=renderer,
    )
