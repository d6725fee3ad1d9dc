"""Which changes make another identity or revision, and which do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core import identity
from reconciler.errors import InvalidInput
from reconciler.model.names import CommitId, EnvironmentName
from reconciler.model.release import Part, Revision, TreeEntry, Values

DIGEST = "sha256:" + "4f" * 32
PROD = EnvironmentName("prod")
BASIS: dict[str, Any] = {
    "version": "1.8.2",
    "images": (("registry.example.com/web", DIGEST),),
    "source": CommitId("9" * 40),
    "values": Values.of({"replicas": 2}),
    "cluster_values": Values.of({"prod-1": {"replicas": 3}}),
    "entries": (
        TreeEntry("deployment.yaml", 0o100644, "aa"),
        TreeEntry("overlays/dev/kustomization.yaml", 0o100644, "bb"),
        TreeEntry("overlays/prod/kustomization.yaml", 0o100644, "cc"),
        TreeEntry("README.md", 0o100644, "dd"),
        TreeEntry("service.yaml", 0o100644, "ee"),
    ),
    "service_yaml_identity": b'{"namespace":"web"}',
    "environment": PROD,
    "renderer": "assembly/1",
}


def revision(**changes: Any) -> Revision:
    """Builds a revision that differs from the basis in what is named."""
    return identity.revision_of(**(BASIS | changes))


def entries(**blobs: str) -> tuple[TreeEntry, ...]:
    """Returns the basis's files, the one whose blob is named given another."""
    return tuple(replace(e, blob=blobs.get(e.blob, e.blob)) for e in BASIS["entries"])


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        pytest.param({}, set(), id="the same input is the same revision"),
        pytest.param({"version": "2.0"}, set(), id="another version is only another name"),
        pytest.param({"source": CommitId("8" * 40)}, set(), id="another commit with the same tree"),
        pytest.param({"entries": entries(dd="d0")}, set(), id="documentation is no part"),
        pytest.param({"entries": entries(ee="e0")}, set(), id="owners of service.yaml are no part"),
        pytest.param({"entries": entries(bb="b0")}, set(), id="another environment's overlay"),
        pytest.param({"entries": entries()[::-1]}, set(), id="the order of files is no part"),
        pytest.param({"images": (("r/web", "1.0"),)}, {Part.IMAGES}, id="another image"),
        pytest.param({"entries": entries(aa="a0")}, {Part.TREE}, id="another manifest"),
        pytest.param(
            {"entries": (*entries(), TreeEntry("x.yaml", 0o100644, "aa"))},
            {Part.TREE},
            id="one more manifest",
        ),
        pytest.param(
            {"entries": (replace(entries()[0], mode=0o120000), *entries()[1:])},
            {Part.TREE},
            id="a file that became a link",
        ),
        pytest.param({"service_yaml_identity": b"{}"}, {Part.TREE}, id="what service.yaml says"),
        pytest.param({"values": Values.of({"replicas": 9})}, {Part.VALUES}, id="other values"),
        pytest.param({"cluster_values": Values()}, {Part.VALUES}, id="other values of a cluster"),
        pytest.param({"entries": entries(cc="c0")}, {Part.VALUES}, id="this one's overlay"),
        pytest.param(
            {"labels": [("prod-1", "size", "3")]}, {Part.VALUES}, id="a label of a cluster"
        ),
        pytest.param({"renderer": "assembly/2"}, {Part.RENDERER}, id="another renderer"),
    ],
)
def test_a_change_is_seen_in_its_part_alone(changes: dict[str, Any], parts: set[Part]) -> None:
    before, after = revision(), revision(**changes)
    assert {part for part in Part if before.part(part) != after.part(part)} == parts
    assert (before.id != after.id) == bool(parts)
    assert (before.identity != after.identity) == bool(parts & {Part.IMAGES, Part.TREE})


def test_the_digests_never_change_from_one_version_to_the_next() -> None:
    # They are kept in records and in quarantine files; another formula would orphan them all.
    assert revision().identity == (
        "sha256:798d57b8fa787ee9b6473ffe9ec060dc9fab8f2b3edc36b6f3f21a4540f8389f"
    )
    assert revision().id == (
        "sha256:8a4c6a709e5d1fa5447e68e92a5251bf4b599e6f3afde641ef7f7946ddec0a1b"
    )


def test_labels_count_in_whatever_order_they_come() -> None:
    labels = [("prod-1", "size", "3"), ("prod-2", "size", "5")]
    assert revision(labels=labels).id == revision(labels=labels[::-1]).id
    assert revision(labels=labels).id != revision(labels=labels[:1]).id


def test_fields_that_join_to_the_same_text_do_not_collide() -> None:
    assert identity.images_digest([("a", "bc")]) != identity.images_digest([("ab", "c")])
    assert identity.images_digest([]) != identity.tree_digest([], b"")


@pytest.mark.parametrize(
    ("reference", "unpinned"),
    [(DIGEST, False), ("1.8.2", True), ("sha256:abc", True), ("sha512:" + "4f" * 32, True)],
)
def test_only_a_whole_digest_pins(reference: str, unpinned: bool) -> None:
    assert revision(images=(("r/web", reference),)).unpinned is unpinned


def test_overrides_by_cluster_are_kept_in_the_values() -> None:
    assert revision().values.tree() == {"replicas": 2, "clusters": {"prod-1": {"replicas": 3}}}
    assert revision(cluster_values=Values()).values.tree() == {"replicas": 2}


def test_a_value_named_clusters_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"values\.clusters"):
        revision(values=Values.of({"clusters": {}}))


def test_a_path_that_is_not_text_still_has_a_digest() -> None:
    odd = b"\xff.yaml".decode("utf-8", "surrogateescape")
    assert identity.tree_digest([TreeEntry(odd, 0o100644, "aa")], b"")
