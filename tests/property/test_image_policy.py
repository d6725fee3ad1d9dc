"""What always holds of the tag that a policy follows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.image_policy import Outcome, choose
from reconciler.model.image_policy import (
    ImagePolicy,
    PatternPolicy,
    SemverPolicy,
    TagOrder,
    VersionRange,
    version_of,
)

WEB = "registry.example.com/web"

number = st.integers(0, 12)
version = st.builds(
    lambda v, a, b, c, pre: f"{v}{a}.{b}.{c}{pre}",
    *(st.sampled_from(["", "v"]), number, number, number),
    st.sampled_from(["", "", "-rc.1", "-rc.2", "-alpha", "-0"]),
)
dated = st.builds(lambda a, b: f"main-{a:07x}-{b}", st.integers(0, 16**7 - 1), number)
anything = st.text(min_size=0, max_size=130)
tag = st.one_of(version, dated, anything)
tags = st.lists(tag, max_size=12)

bounds = st.sampled_from(
    ["*", "1.x", ">=1.4 <2", "^2.3", "~3.1", ">=1.2.0-rc.1 <3", "<2 || >=4", ">=2, <=5.0.0", ">11"]
)
by_version = st.builds(SemverPolicy, st.just(WEB), bounds, st.booleans(), st.booleans())
by_pattern = st.builds(
    PatternPolicy,
    st.just(WEB),
    st.sampled_from([r"^main-[0-9a-f]{7}-(?P<ts>\d+)$", "(?P<ts>[0-9a-z]+)", "^(?P<ts>.*)$"]),
    st.just("ts"),
    st.sampled_from(TagOrder),
    st.booleans(),
)
policies = st.one_of(by_version, by_pattern)
pinned = st.one_of(st.none(), tag)


@given(policies, tags, pinned, st.randoms(use_true_random=False))
def test_the_order_of_the_tags_makes_no_difference(
    policy: ImagePolicy, tags: list[str], pinned: str | None, random: object
) -> None:
    shuffled = [*tags, *tags[:3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert choose(policy, shuffled, pinned=pinned) == choose(policy, tags, pinned=pinned)


@given(policies, tags, pinned)
def test_what_is_followed_is_a_tag_that_is_there(
    policy: ImagePolicy, tags: list[str], pinned: str | None
) -> None:
    choice = choose(policy, tags, pinned=pinned)
    assert choice.newest is None or choice.newest in tags
    assert choice.moves_to in (None, choice.newest)


@given(by_version, tags, pinned)
def test_a_version_is_in_the_range_and_released_unless_it_is_asked_for(
    policy: SemverPolicy, tags: list[str], pinned: str | None
) -> None:
    newest = choose(policy, tags, pinned=pinned).newest
    if newest is not None:
        found = version_of(newest)
        assert found is not None
        assert policy.prerelease or not found.prerelease
        assert VersionRange(policy.range).holds(found, prerelease=policy.prerelease)


@given(policies, tags, tag)
def test_it_never_goes_down_by_itself(policy: ImagePolicy, tags: list[str], pinned: str) -> None:
    choice = choose(policy, tags, pinned=pinned)
    if choice.moves_to is not None and not policy.downgrade:
        assert choice.outcome is Outcome.NEWER
        # What it moves to is still the newest with what was pinned beside it.
        back = choose(policy, [*tags, pinned], pinned=choice.moves_to)
        assert back.moves_to is None or back.outcome is Outcome.NEWER


@given(policies, tags, pinned)
def test_where_it_has_moved_it_stays(
    policy: ImagePolicy, tags: list[str], pinned: str | None
) -> None:
    moved = choose(policy, tags, pinned=pinned).moves_to
    if moved is not None:
        assert choose(policy, tags, pinned=moved).outcome is Outcome.SAME


@given(policies, tags, pinned, anything)
def test_a_tag_that_means_nothing_to_the_policy_is_passed_over(
    policy: ImagePolicy, tags: list[str], pinned: str | None, stranger: str
) -> None:
    if choose(policy, [stranger], pinned=None).outcome is Outcome.NONE:
        assert choose(policy, [*tags, stranger], pinned=pinned) == choose(
            policy, tags, pinned=pinned
        )
