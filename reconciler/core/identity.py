"""What makes two releases or revisions the same: digests over images, tree, values, overlay and renderer.

Every digest is SHA-256 over a label and a list of fields, each written as `<length>:<bytes>,`, so
that no two different lists give the same bytes, and no digest of one sort is ever one of another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

from reconciler.errors import InvalidInput
from reconciler.model.env_repo import Pin
from reconciler.model.names import (
    ClusterName,
    CommitId,
    EnvironmentName,
    Identity,
    PartDigest,
    RevisionId,
)
from reconciler.model.policy import EnvironmentPolicy
from reconciler.model.release import ABSENT, Release, Revision, TreeEntry, Values

ClusterLabel = tuple[ClusterName, str, str]
"""A cluster, and the key and value of one of its labels."""

CLUSTERS_KEY = "clusters"
"""The key of `Revision.values` under which the overrides by cluster stand."""

SERVICE_FILE = "service.yaml"
OVERLAYS = "overlays/"


def is_rendered(path: str, environment: EnvironmentName) -> bool:
    """Whether a renderer may see a file: only what counts towards identity or the overlay.

    service.yaml counts by what it says and not as a file, so it is kept from renderers too.
    """
    if path == SERVICE_FILE or _is_documentation(path):
        return False
    return not path.startswith(OVERLAYS) or path.startswith(f"{OVERLAYS}{environment}/")


def images_digest(images: Iterable[tuple[str, str]]) -> PartDigest:
    """Returns the digest of (repository, digest or tag) pairs, in whatever order they come."""
    return PartDigest(_digest("images", *_flat(sorted(images))))


def tree_digest(entries: Iterable[TreeEntry], service_yaml_identity: bytes) -> PartDigest:
    """Returns the digest of a service's folder, without overlays and documentation.

    Args:
        entries: Every file below `services/<svc>`, in any order.
        service_yaml_identity: What service.yaml says, without `owners` and `policy`, in canonical
            form; it stands in the place of the file's own blob.
    """
    return _tree_digest(tuple(entries), service_yaml_identity)


# Each cluster of an environment asks for the same ones, and so does each commit that leaves a folder as it is.
@lru_cache(maxsize=1024)
def _tree_digest(entries: tuple[TreeEntry, ...], service_yaml_identity: bytes) -> PartDigest:
    kept = (
        entry
        for entry in entries
        if entry.path != SERVICE_FILE
        and not entry.path.startswith(OVERLAYS)
        and not _is_documentation(entry.path)
    )
    return PartDigest(_digest("tree", service_yaml_identity, *_listed(kept)))


def overlay_digest(entries: Iterable[TreeEntry], environment: EnvironmentName) -> PartDigest:
    """Returns the digest of `overlays/<environment>` in a service's folder."""
    return _overlay_digest(tuple(entries), environment)


@lru_cache(maxsize=1024)
def _overlay_digest(entries: tuple[TreeEntry, ...], environment: EnvironmentName) -> PartDigest:
    folder = f"{OVERLAYS}{environment}/"
    kept = (e for e in entries if e.path.startswith(folder) and not _is_documentation(e.path))
    return PartDigest(_digest("overlay", *_listed(kept)))


def values_digest(
    values: Values,
    cluster_values: Values,
    overlay: PartDigest,
    labels: Iterable[ClusterLabel] = (),
) -> PartDigest:
    """Returns the digest of what belongs to one environment alone: its values and its overlay.

    Args:
        values: The pin's, without `clusters`.
        cluster_values: By cluster.
        overlay: The overlay's digest.
        labels: Those that the values ask for, as clusters have them.
    """
    put_in = [part for label in sorted(labels) for part in label]
    return PartDigest(_digest("values", values.text, cluster_values.text, overlay, *put_in))


def identity_of(images: PartDigest, tree: PartDigest) -> Identity:
    """Returns the digest by which proof crosses environments."""
    return Identity(_digest("identity", images, tree))


def revision_of(
    *,
    version: str,
    images: Iterable[tuple[str, str]],
    source: CommitId,
    values: Values,
    cluster_values: Values,
    entries: Iterable[TreeEntry],
    service_yaml_identity: bytes,
    environment: EnvironmentName,
    renderer: str,
    labels: Iterable[ClusterLabel] = (),
) -> Revision:
    """Builds the revision of a release in one environment.

    Args:
        version: The name people use; no part of any digest.
        images: (repository, digest or tag).
        source: The commit that `entries` were listed from.
        values: The pin's values without `clusters`.
        cluster_values: Cluster name to the values that replace the pin's there.
        entries: Every file below `services/<svc>` at `source`.
        service_yaml_identity: See `tree_digest`.
        environment: Whose overlay counts.
        renderer: What will turn it into objects, with versions.
        labels: See `values_digest`.

    Raises:
        InvalidInput: The values hold a key of their own named `clusters`.
    """
    images, entries = tuple(sorted(images)), tuple(entries)
    images_part = images_digest(images)
    tree_part = tree_digest(entries, service_yaml_identity)
    overlay = overlay_digest(entries, environment)
    values_part = values_digest(values, cluster_values, overlay, labels)
    identity = identity_of(images_part, tree_part)
    return Revision(
        id=RevisionId(_digest("revision", identity, values_part, renderer)),
        identity=identity,
        release=Release(version=version, images=images, source=source),
        values=with_clusters(values, cluster_values),
        images_digest=images_part,
        tree_digest=tree_part,
        values_digest=values_part,
        unpinned=any(not is_digest(reference) for _, reference in images),
        renderer=renderer,
    )


def without_files(pin: Pin, source: CommitId) -> Revision:
    """Returns a pin's revision as if its service had no files: its images still tell whether it holds rejected ones."""
    return revision_of(
        version=pin.version,
        images=pin.images,
        source=source,
        values=pin.values,
        cluster_values=pin.cluster_values,
        entries=(),
        service_yaml_identity=b"",
        environment=pin.environment,
        renderer="",
    )


def absence(asked_by: CommitId) -> Revision:
    """Returns the tombstone of any service, in any environment: a revision without objects.

    Args:
        asked_by: The commit whose pin asks for it.
    """
    parts = (PartDigest(_digest(part, ABSENT, ABSENT)) for part in ("images", "tree", "values"))
    images, tree, values = parts
    identity = identity_of(images, tree)
    return Revision(
        id=RevisionId(_digest("revision", identity, values, "")),
        identity=identity,
        release=Release(version=ABSENT, images=(), source=asked_by),
        values=Values(),
        images_digest=images,
        tree_digest=tree,
        values_digest=values,
        absent=True,
    )


def is_digest(reference: str) -> bool:
    """Whether an image reference is a whole `sha256:` digest, and not a tag."""
    algorithm, _, digits = reference.partition(":")
    return algorithm == "sha256" and len(digits) == 64 and set(digits) <= set("0123456789abcdef")


def _is_documentation(path: str) -> bool:
    return path.endswith(".md")


def with_clusters(values: Values, cluster_values: Values) -> Values:
    """Returns the values of a pin as a revision holds them."""
    tree, overrides = values.tree(), cluster_values.tree()
    if CLUSTERS_KEY in tree:
        raise InvalidInput(
            f"values.{CLUSTERS_KEY}",
            "this key cannot be a value",
            "it is where the overrides by cluster stand",
            "write `clusters:` beside `values:`, not in it",
        )
    return Values.of({**tree, CLUSTERS_KEY: overrides}) if overrides else values


def _listed(entries: Iterable[TreeEntry]) -> Iterable[str]:
    return _flat(sorted((entry.path, f"{entry.mode:o}", entry.blob) for entry in entries))


def _flat(rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    """Rows of one list all have the same width, so that their fields in a row stay unambiguous."""
    return (field for row in rows for field in row)


def _digest(label: str, *fields: str | bytes) -> str:
    hashed = hashlib.sha256()
    for field in (label, *fields):
        # A path that is not UTF-8 reaches us with surrogates; it must hash, not crash.
        octets = field if isinstance(field, bytes) else field.encode("utf-8", "surrogatepass")
        hashed.update(b"%d:%b," % (len(octets), octets))
    return f"sha256:{hashed.hexdigest()}"


def policy_digest(policy: EnvironmentPolicy) -> str:
    """Returns a digest of one environment's rules."""
    text = json.dumps(policy, sort_keys=True, default=_plain)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return str(value)
