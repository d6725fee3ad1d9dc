"""Identity over any input: equal exactly when the content is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.identity import images_digest, overlay_digest, tree_digest, values_digest
from reconciler.model.names import EnvironmentName, PartDigest
from reconciler.model.release import TreeEntry, Values

# Few letters, and those that a careless join would trip over.
TEXT = st.text(alphabet="a0:,/", max_size=4)
IMAGES = st.lists(st.tuples(TEXT, TEXT), max_size=3, unique_by=lambda image: image[0])
ENTRIES = st.lists(
    st.builds(
        TreeEntry,
        path=st.text(alphabet="a:/.md", min_size=1, max_size=6),
        mode=st.sampled_from([0o100644, 0o100755]),
        blob=TEXT,
    ),
    max_size=4,
    unique_by=lambda entry: entry.path,
)


def counted(entries: list[TreeEntry]) -> set[TreeEntry]:
    return {entry for entry in entries if not entry.path.endswith(".md")}


@given(IMAGES, IMAGES)
def test_images_have_one_digest_exactly_when_they_are_the_same(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    assert (images_digest(one) == images_digest(other)) == (sorted(one) == sorted(other))


@given(ENTRIES, ENTRIES, st.binary(max_size=3), st.binary(max_size=3))
def test_trees_have_one_digest_exactly_when_what_counts_is_the_same(
    one: list[TreeEntry], other: list[TreeEntry], service: bytes, other_service: bytes
) -> None:
    is_same = counted(one) == counted(other) and service == other_service
    assert (tree_digest(one, service) == tree_digest(other, other_service)) == is_same


@given(ENTRIES)
def test_a_tree_and_an_overlay_never_share_a_digest(entries: list[TreeEntry]) -> None:
    assert tree_digest(entries, b"") != overlay_digest(entries, EnvironmentName("a"))


@given(TEXT, TEXT, TEXT, TEXT)
def test_a_value_cannot_be_moved_to_the_clusters_unseen(a: str, b: str, c: str, d: str) -> None:
    overlay = PartDigest("sha256:0")
    first = values_digest(Values(a), Values(b), overlay)
    assert (first == values_digest(Values(c), Values(d), overlay)) == ((a, b) == (c, d))
