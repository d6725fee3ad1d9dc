"""Stored objects over any content and any damage."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.stored import pack, render_digest, unpack
from reconciler.errors import InvalidInput

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # No half characters: JSON in UTF-8 has none.
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text("xyz", max_size=2), JSON, max_size=3), max_size=3)


@given(OBJECTS)
def test_what_is_packed_comes_back(objects: list[dict[str, object]]) -> None:
    assert list(unpack(pack(objects))) == objects
    assert render_digest(unpack(pack(objects)), b"k") == render_digest(objects, b"k")


@given(OBJECTS, st.data())
def test_any_changed_byte_is_noticed(objects: list[dict[str, object]], data: st.DataObject) -> None:
    (chunk,) = pack(objects)
    place = data.draw(st.integers(0, len(chunk) - 1))
    damaged = bytes([*chunk[:place], chunk[place] ^ data.draw(st.integers(1, 255))])
    try:
        unpack([damaged + chunk[place + 1 :]])
    except InvalidInput:
        return
    raise AssertionError("a damaged store was taken for a whole one")


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_nothing_foreign_is_ever_anything_but_refused(chunks: list[bytes]) -> None:
    try:
        unpack(chunks)
    except InvalidInput:
        return
    raise AssertionError("foreign bytes were taken for stored objects")
