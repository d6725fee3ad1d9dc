"""What the history of pins says of a release: older, newer, gone back from, or had its turn."""

from __future__ import annotations

from itertools import count

import pytest

from reconciler.core.boarding import FormerPin
from reconciler.core.line import Before, Story, line_of, may_follow, story_of
from reconciler.model.env_repo import Pin
from reconciler.model.names import CommitId, EnvironmentName, ServiceName
from reconciler.model.release import Release, Values

SOURCES = {"s": "5" * 40, "t": "7" * 40}
"""Commits, by the letters that a case names them by."""


def pin(word: str) -> Pin:
    """Returns a pin: `b` floats, `b@s` has a source, and `-` asks for the service to be gone."""
    image, _, source = word.partition("@")
    gone = image == "-"
    return Pin(
        ServiceName("web"),
        EnvironmentName("dev"),
        "absent" if gone else image,
        () if gone else (("web", image),),
        SOURCES[source][:7] if source else None,
        Values(),
        Values(),
        paused=False,
        adopt_overwrite=False,
        absent=gone,
    )


def history(words: str, at: int = 0) -> tuple[FormerPin, ...]:
    """Returns what a pin was, newest first, from words that are written oldest first."""
    numbers = count(at)
    pins = [FormerPin(CommitId(f"{next(numbers):040}"), pin(word)) for word in words.split()]
    return tuple(reversed(pins))


def release(word: str) -> Release:
    """Returns the release `b`, or `b@s` from a source."""
    image, _, source = word.partition("@")
    return Release(image, (("web", image),), CommitId(SOURCES[source or "s"]))


def follows(
    word: str, own: str, *before: str, just: int = 1, own_at: int = 0, before_at: int = 0
) -> bool:
    lines = [line_of(history(words, before_at)) for words in before]
    return may_follow(
        release(word),
        Story(history(own, own_at)),
        [Before(line, i >= len(lines) - just) for i, line in enumerate(lines)],
        is_after=lambda later, earlier: later > earlier,
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        pytest.param("a b c", "a b c", id="one after the other"),
        pytest.param("a b a", "a", id="what was gone back from is left out"),
        pytest.param("a b c b d", "a b d", id="and so is all after what was gone back to"),
        pytest.param("a b a b", "a b", id="pinned again, it counts anew"),
        pytest.param("a b a@s", "a", id="a revert writes the source out"),
        pytest.param("a@s a@t", "a@s a@t", id="another source is another release"),
        pytest.param("a - b", "b", id="nothing comes from before it was to be gone"),
    ],
)
def test_a_line(words: str, line: str) -> None:
    found = line_of(history(words))
    assert [one.pin for one in found] == [pin(word) for word in line.split()]


@pytest.mark.parametrize(
    ("expected", "word", "own", "before"),
    [
        pytest.param(True, "b", "a", ("a b",), id="the next"),
        pytest.param(True, "c", "a", ("a b c",), id="one may be passed over"),
        pytest.param(True, "b", "a", ("a b c",), id="while a newer one is not proven yet"),
        pytest.param(False, "b", "a b", ("a b",), id="it is pinned already"),
        pytest.param(False, "a", "b", ("a b",), id="an older one"),
        pytest.param(False, "b", "a b a", ("a b",), id="a person took it back here"),
        pytest.param(False, "b", "a b a@s", ("a b",), id="the daemon took it back here"),
        pytest.param(False, "b", "a", ("a b a",), id="it was gone back from before"),
        pytest.param(False, "b", "a", ("a b a", "a b"), id="or further before"),
        pytest.param(True, "b", "a", ("a b", "a b"), id="all before ask for it"),
        pytest.param(False, "b", "a", ("a b", "a"), id="one before does not"),
        pytest.param(False, "b", "a", ("a",), id="nobody asked for it"),
        pytest.param(False, "b", "-", ("a b",), id="the service is to be gone here"),
        pytest.param(False, "b", "a", ("a b -",), id="and before"),
        pytest.param(False, "b", "", ("a b",), id="there is no pin"),
        pytest.param(False, "b@t", "b@s", ("a b",), id="a fixed source stays"),
        pytest.param(True, "b@t", "b@s", ("b@s b@t",), id="unless those before have one"),
        pytest.param(False, "b@t", "b", ("b@s b@t",), id="one that floats follows by itself"),
    ],
)
def test_what_may_follow(expected: bool, word: str, own: str, before: tuple[str, ...]) -> None:
    assert follows(word, own, *before) is expected


@pytest.mark.parametrize(
    ("expected", "own_at", "before_at"),
    [
        pytest.param(True, 0, 5, id="what is asked for after a hotfix is newer"),
        pytest.param(False, 5, 0, id="what was asked for before it is not"),
        pytest.param(False, 1, 1, id="nor is what came in the same commit"),
    ],
)
def test_after_a_hotfix(expected: bool, own_at: int, before_at: int) -> None:
    assert follows("b", "hotfix", "b", own_at=own_at, before_at=before_at) is expected


def test_further_before_a_hotfix_need_not_be_known() -> None:
    # Asked for in dev before, and in staging after the hotfix: staging alone is what it comes from.
    lines = [
        Before(line_of(history("b", 0)), is_just_before=False),
        Before(line_of(history("b", 9)), is_just_before=True),
    ]
    own = Story(history("hotfix", 5))
    assert may_follow(release("b"), own, lines, is_after=lambda later, earlier: later > earlier)


def test_a_change_of_values_is_no_new_ask() -> None:
    # The pin came to ask for the hotfix at 0, and only its values have changed since.
    assert follows("b", "hotfix hotfix hotfix", "b", before_at=1)


@pytest.mark.parametrize(
    ("words", "asked", "cut"),
    [
        pytest.param("a b c", "0a 1b 2c", None, id="one after the other"),
        pytest.param("a a a b b", "0a 3b", None, id="edits of its values are no new ask"),
        pytest.param("a b a", "0a 1b 2a", None, id="going back is"),
        pytest.param("a a@s a@t", "0a 1a@s 2a@t", None, id="and another source"),
        pytest.param("a b c d e", "2c 3d 4e", 2, id="the oldest are left out"),
        pytest.param("a b c c d d", "1b 2c 4d", 1, id="and the oldest that is kept is known whole"),
    ],
)
def test_a_story(words: str, asked: str, cut: int | None) -> None:
    story = story_of(history(words), cut=None, most=3)
    found = [(int(one.commit), one.pin) for one in reversed(story.pins)]
    assert found == [(int(word[0]), pin(word[1:])) for word in asked.split()]
    assert story.cut == (None if cut is None else f"{cut:040}")


@pytest.mark.parametrize(
    ("expected", "before_at"),
    [
        pytest.param(True, 5, id="first asked for before after the oldest that is known"),
        pytest.param(False, 3, id="with it"),
        pytest.param(False, 1, id="before it, it may have had its turn"),
    ],
)
def test_where_the_history_is_cut(expected: bool, before_at: int) -> None:
    # Before asks for `a`, and then for `b` at `before_at`; here nothing is known of what was before commit 3.
    pins = history("a b", before_at - 1)
    before = Before(line_of(pins), is_just_before=True, pins=pins)
    own = Story(history("a", 3), CommitId(f"{3:040}"))
    found = may_follow(release("b"), own, [before], is_after=lambda later, earlier: later > earlier)
    assert found is expected


def test_what_was_asked_for_again_was_first_asked_for_before() -> None:
    pins = history("a b a b", 1)
    before = Before(line_of(pins), is_just_before=True, pins=pins)
    own = Story(history("a", 3), CommitId(f"{3:040}"))
    assert not may_follow(
        release("b"), own, [before], is_after=lambda later, earlier: later > earlier
    )
