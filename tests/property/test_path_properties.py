"""Paths of any shape."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.names import EnvironmentName
from reconciler.model.path import Path, Step


@st.composite
def paths(draw: st.DrawFn) -> Path:
    """Draws any graph of up to seven environments."""
    names = [EnvironmentName(f"e{number}") for number in range(draw(st.integers(1, 7)))]
    return Path(
        tuple(
            Step(name, tuple(draw(st.sets(st.sampled_from(names[:at])))) if at else ())
            for at, name in enumerate(names)
        )
    )


@given(paths())
def test_before_and_after_are_two_sides_of_one_thing(path: Path) -> None:
    for one in path.names():
        for other in path.names():
            assert (one in path.before(other)) is (other in path.after(one))
            if one in path.before(other):
                assert set(path.before(one)) < set(path.before(other))


@given(paths(), st.data())
def test_no_order_is_lost_with_an_environment(path: Path, data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.sampled_from(path.names())))
    part = path.only(kept)
    assert part.names() == tuple(name for name in path.names() if name in kept)
    for name in part.names():
        assert part.before(name) == tuple(n for n in path.before(name) if n in kept)
