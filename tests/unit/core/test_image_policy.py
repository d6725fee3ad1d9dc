"""Which tag a policy follows."""

from __future__ import annotations

import pytest

from reconciler.core.image_policy import Choice, Outcome, choose, newer
from reconciler.model.image_policy import (
    ImagePolicy,
    PatternPolicy,
    SemverPolicy,
    TagOrder,
    TagPattern,
    VersionRange,
    version_of,
)

WEB = "registry.example.com/web"
MAIN = r"^main-[0-9a-f]{7}-(?P<ts>\d+)$"


def semver(text: str, **more: bool) -> ImagePolicy:
    return SemverPolicy(WEB, text, **more)


def pattern(text: str = MAIN, order: str = "numerical", *, downgrade: bool = False) -> ImagePolicy:
    return PatternPolicy(WEB, text, "ts", TagOrder(order), downgrade)


@pytest.mark.parametrize(
    ("policy", "tags", "newest"),
    [
        pytest.param(
            semver(">=1.4 <2"), "1.4.0 1.10.0 1.9.3 2.0.0", "1.10.0", id="by number, not by letter"
        ),
        pytest.param(
            semver(">=1.4, <2"), "1.4.0 1.5.0 2.0.0", "1.5.0", id="with a comma, as Flux has it"
        ),
        pytest.param(semver(">= 1.4 < 2"), "1.4.0 1.5.0 2.0.0", "1.5.0", id="with spaces"),
        pytest.param(semver("1.x"), "1.4.0 1.5.0 2.0.0", "1.5.0", id="any of a major version"),
        pytest.param(semver("~1.4.1"), "1.4.0 1.4.7 1.5.0", "1.4.7", id="any patch"),
        pytest.param(semver("^1.4"), "1.3.0 1.9.0 2.0.0", "1.9.0", id="anything compatible"),
        pytest.param(semver("^0.4"), "0.4.1 0.4.9 0.5.0", "0.4.9", id="compatible before 1.0"),
        pytest.param(semver("1.2.0 - 1.4.0"), "1.1.0 1.4.0 1.5.0", "1.4.0", id="from, to"),
        pytest.param(semver("1.x || 3.x"), "1.4.0 2.0.0 3.1.0", "3.1.0", id="either"),
        pytest.param(semver("*"), "1.4.0 9.0.0 v10.0.0", "v10.0.0", id="with a v"),
        pytest.param(
            semver("*"),
            "latest 1.2 1 main v1 1.2.3.4 sha-1 01.2.3 1.2.3",
            "1.2.3",
            id="others are no versions",
        ),
        pytest.param(semver("*"), "1.2.3 1.3.0-rc.1", "1.2.3", id="no pre-release"),
        pytest.param(semver(">=1.2.0-rc.1"), "1.2.0-rc.2", None, id="nor where a bound has one"),
        pytest.param(
            semver("1.x", prerelease=True),
            "1.2.3 1.3.0-rc.1 1.3.0-rc.10 1.3.0-rc.9",
            "1.3.0-rc.10",
            id="a pre-release",
        ),
        pytest.param(
            semver(">=1.4 <2", prerelease=True),
            "1.5.0 2.0.0-rc.1",
            "1.5.0",
            id="none of what is out of range",
        ),
        pytest.param(
            semver(">=1.4.0-rc.2 <2", prerelease=True),
            "1.4.0-rc.1",
            None,
            id="none before the bound",
        ),
        pytest.param(
            semver(">=1.4.0-rc.2 <2", prerelease=True),
            "1.4.0-rc.1 1.4.0-rc.3 1.4.0-alpha",
            "1.4.0-rc.3",
            id="one after the bound",
        ),
        pytest.param(
            semver("1.x", prerelease=True), "1.3.0-rc.1 1.3.0", "1.3.0", id="the release is newer"
        ),
        pytest.param(semver(">=3"), "1.0.0 2.0.0", None, id="nothing fits"),
        pytest.param(semver("*"), "", None, id="no tags"),
        pytest.param(
            pattern(),
            "main-abcdef0-9 main-abcdef1-10 main-ffffff0-8 dev-abcdef0-99",
            "main-abcdef1-10",
            id="the highest number",
        ),
        pytest.param(
            pattern(r"^(?P<ts>[0-9.]+)$"), "1.2 3 4.5", "3", id="what is no number is passed over"
        ),
        pytest.param(
            pattern(r"(?P<ts>\d+)$"), "a1 b" + "9" * 100, "b" + "9" * 100, id="a long number"
        ),
        pytest.param(
            pattern(order="alphabetical"),
            "main-abcdef0-9 main-abcdef1-10",
            "main-abcdef0-9",
            id="the last by letter",
        ),
        pytest.param(
            pattern(r"^r(?P<ts>.*)$", "alphabetical"),
            "r2026-01-02 r2026-01-10 r",
            "r2026-01-10",
            id="a date; and not what is empty",
        ),
        pytest.param(
            pattern(r"^(?:a(?P<ts>\d)|b\d)$"), "a1 b9", "a1", id="not one that leaves the group out"
        ),
    ],
)
def test_the_newest_that_fits(policy: ImagePolicy, tags: str, newest: str | None) -> None:
    assert choose(policy, tags.split(), pinned=None).newest == newest


@pytest.mark.parametrize(
    ("policy", "pinned", "choice"),
    [
        (semver("1.x"), None, Choice(Outcome.FIRST, "1.5.0", "1.5.0")),
        (semver("1.x"), "1.4.0", Choice(Outcome.NEWER, "1.5.0", "1.5.0")),
        (semver("1.x"), "1.5.0", Choice(Outcome.SAME, "1.5.0", None)),
        (semver("1.x"), "v1.5.0", Choice(Outcome.SAME, "1.5.0", None)),
        (semver("1.x"), "1.6.0", Choice(Outcome.OLDER, "1.5.0", None)),
        (semver("1.x"), "2.0.0", Choice(Outcome.OLDER, "1.5.0", None)),
        (semver("1.x"), "1.6.0-rc.1", Choice(Outcome.OLDER, "1.5.0", None)),
        (semver("1.x"), "1.5.0-rc.1", Choice(Outcome.NEWER, "1.5.0", "1.5.0")),
        (semver("1.x"), "latest", Choice(Outcome.INCOMPARABLE, "1.5.0", None)),
        (semver("1.x", downgrade=True), "2.0.0", Choice(Outcome.OLDER, "1.5.0", "1.5.0")),
        (semver("1.x", downgrade=True), "latest", Choice(Outcome.INCOMPARABLE, "1.5.0", "1.5.0")),
        (semver("3.x", downgrade=True), "2.0.0", Choice(Outcome.NONE, None, None)),
    ],
)
def test_what_becomes_of_what_is_pinned(
    policy: ImagePolicy, pinned: str | None, choice: Choice
) -> None:
    assert choose(policy, ["1.4.0", "1.5.0", "2.0.0", "latest"], pinned=pinned) == choice


def test_a_pattern_goes_no_step_down_either() -> None:
    tags = ["main-abcdef0-5", "main-abcdef0-7"]
    assert choose(pattern(), tags, pinned="main-abcdef9-9").moves_to is None
    assert choose(pattern(), tags, pinned="main-abcdef9-6").moves_to == "main-abcdef0-7"
    down = pattern(downgrade=True)
    assert choose(down, tags, pinned="main-abcdef9-9").moves_to == "main-abcdef0-7"


def test_what_is_pinned_stays_where_another_tag_says_the_same() -> None:
    tags = ["main-abcdef0-7", "main-ffffff0-7", "main-ffffff0-07"]
    assert choose(pattern(), tags, pinned="main-abcdef0-7").outcome is Outcome.SAME


@pytest.mark.parametrize("text", ["", " ", "latest", ">=", "1.2.3.4", ">=1 <", "a" * 201, ">=1;2"])
def test_what_is_no_range_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="it is"):
        VersionRange(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(",
        "(?P<ts>a",
        r"(?P<ts>a)\1",
        "(?P<ts>(?=a))",
        "(?P<ts>((a{999}){999}){9})",
        "a",
        "(a)",
        "a" * 201,
    ],
)
def test_what_is_no_pattern_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="it "):
        TagPattern(text, "ts")


@pytest.mark.timeout(5)
def test_a_pattern_that_would_run_for_ever_does_not() -> None:
    found = TagPattern(r"^(?P<ts>(a+)+)+$", "ts")
    assert found.part_of("a" * 127 + "!") is None
    assert found.part_of("a" * 129) is None, "no tag is that long"


def test_a_version_is_read_as_flux_reads_it() -> None:
    assert [
        tag
        for tag in ("1.2.3", "v1.2.3", "V1.2.3", "1.2", "1.2.3\n", "١.2.3", "1.2.3-01")
        if version_of(tag)
    ] == ["1.2.3", "v1.2.3"]


@pytest.mark.parametrize(
    ("policy", "tags", "pinned", "expected"),
    [
        pytest.param(
            semver("1.x"),
            "1.1.0 1.2.0 1.3.0 1.4.0 2.0.0",
            "1.1.0",
            (Outcome.NEWER, "1.4.0", ("1.4.0", "1.3.0")),
            id="the newest, and what comes next",
        ),
        pytest.param(
            semver("1.x"), "1.1.0 1.2.0", "1.2.0", (Outcome.SAME, "1.2.0", ()), id="nothing newer"
        ),
        pytest.param(
            semver("1.x"), "1.1.0", "1.2.0", (Outcome.OLDER, "1.1.0", ()), id="only what is older"
        ),
        pytest.param(
            semver("1.x", downgrade=True),
            "1.0.0 1.1.0",
            "1.2.0",
            (Outcome.OLDER, "1.1.0", ("1.1.0",)),
            id="of what is older the newest alone",
        ),
        pytest.param(
            semver("1.x", downgrade=True),
            "1.0.0 1.1.0",
            "main",
            (Outcome.INCOMPARABLE, "1.1.0", ("1.1.0",)),
            id="or of what cannot be compared",
        ),
        pytest.param(semver("1.x"), "", "1.2.0", (Outcome.NONE, None, ()), id="nothing at all"),
        pytest.param(
            pattern(),
            "main-aaaaaaa-1 main-bbbbbbb-10 main-ccccccc-9",
            "main-aaaaaaa-1",
            (Outcome.NEWER, "main-bbbbbbb-10", ("main-bbbbbbb-10", "main-ccccccc-9")),
            id="by a pattern",
        ),
    ],
)
def test_what_may_be_moved_to(
    policy: ImagePolicy, tags: str, pinned: str, expected: tuple[Outcome, str | None, tuple[str]]
) -> None:
    assert newer(policy, tags.split(), pinned=pinned, most=2) == expected
