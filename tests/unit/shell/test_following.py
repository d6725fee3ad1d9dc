"""Whom a daemon asks for tags, how often, and what it makes of answers that are none."""

from __future__ import annotations

import pytest

from reconciler.model.answers import NotKnown
from reconciler.model.env_repo import Snapshot
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.promotion import FollowState
from reconciler.model.registry import TagDigest
from reconciler.schema.snapshot import read_snapshot
from reconciler.shell.following import LOOK_S, TAGS_MAX, WAIT_MAX_S, Follower
from reconciler.shell.runner import VirtualClock
from tests.fakes.memory_git import MemoryGit
from tests.fakes.memory_registry import MemoryRegistry
from tests.fakes.world import POLICY, SERVICE, env_repo, pins

WEB, DEV, STAGING = ServiceName("web"), EnvironmentName("dev"), EnvironmentName("staging")
REPOSITORY = "registry.example.com/web"
POLL_S = 60.0
AUTO = POLICY.replace("DRIFT", "report").replace(": {", ": {promote: auto, ")


class Following:
    """A follower of one service, and the registry that it asks."""

    def __init__(self, image_policy: str = f"{{repository: {REPOSITORY}, semver: 1.x}}") -> None:
        self.clock = VirtualClock()
        self.registry = MemoryRegistry()
        self.leads = True
        self.news: list[ServiceName] = []
        self.git = MemoryGit(self.clock)
        self._read: Snapshot | None = None
        service = f"{SERVICE}image_policy: {image_policy}\n"
        files = {"services/web/service.yaml": service, "policies/line.yaml": AUTO}
        self.git.merge({**env_repo(), **files, **pins("1.0.0")})
        self.registry.push(REPOSITORY, ["1.0.0"])
        self.follower = Follower(
            clock=self.clock,
            registry=self.registry,
            snapshot=self.snapshot,
            may_ask=lambda: self.leads,
            poll_s=lambda repository: POLL_S,
            on_change=self.news.append,
        )

    def snapshot(self) -> Snapshot:
        head = self.git.branches["main"]
        if self._read is None or self._read.commit != head:
            self._read = read_snapshot(self.git, head)
        return self._read

    def run(self, seconds: float) -> None:
        """Lets time pass, and the task do what it does."""
        until_s = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < until_s:
            self.clock.advance(max(0.01, self.follower.step()))

    def found(self) -> tuple[list[str], FollowState]:
        found = self.follower.of((WEB, DEV))
        assert found is not None
        return [tag for tag, _ in found.tags], found.state


@pytest.fixture
def following() -> Following:
    return Following()


def test_the_newest_are_found_with_their_digests_for_the_first_environment_alone(
    following: Following,
) -> None:
    digests = {
        version: following.registry.push(REPOSITORY, [version], of=version)
        for version in ("1.1.0", "1.2.0", "1.3.0", "1.4.0", "2.0.0")
    }
    following.run(1)
    found = following.follower.of((WEB, DEV))
    assert found is not None and len(found.tags) == TAGS_MAX
    assert found.tags == tuple((v, digests[v]) for v in ("1.4.0", "1.3.0", "1.2.0"))
    assert following.follower.of((WEB, STAGING)) is None
    assert following.news == [WEB]


def test_a_repository_is_asked_as_often_as_is_said(following: Following) -> None:
    following.run(10 * POLL_S)
    assert following.registry.asked == pytest.approx(10, abs=1)
    # What it says again is no news.
    assert following.news == [WEB]


def test_one_that_does_not_answer_is_asked_less_and_less_often(following: Following) -> None:
    following.registry.away = NotKnown("Unreachable", "no answer")
    following.run(60 * POLL_S)
    assert following.registry.asked < 8
    following.run(10 * WAIT_MAX_S)
    assert following.registry.asked == pytest.approx(16, abs=3)
    assert following.found() == ([], FollowState.UNKNOWN)
    following.registry.away = None
    following.run(WAIT_MAX_S)
    assert following.found() == ([], FollowState.KNOWN)


def test_one_that_asks_for_time_is_given_it(following: Following) -> None:
    following.registry.away = NotKnown("Throttled", "later", retry_after_s=10 * POLL_S)
    following.run(9 * POLL_S)
    assert following.registry.asked == 1


def test_a_digest_that_is_not_known_leaves_all_unknown(following: Following) -> None:
    following.registry.push(REPOSITORY, ["1.1.0"])
    following.registry.digest = lambda repository, tag: NotKnown("Unreachable", "no answer")  # type: ignore[method-assign]
    following.run(1)
    assert following.found() == ([], FollowState.UNKNOWN)


def test_a_tag_that_is_gone_by_then_is_passed_over(following: Following) -> None:
    following.registry.push(REPOSITORY, ["1.1.0"])
    following.registry.push(REPOSITORY, ["1.2.0"])
    asks = following.registry.digest
    following.registry.digest = lambda repository, tag: (  # type: ignore[method-assign]
        TagDigest(repository, tag, None) if tag == "1.2.0" else asks(repository, tag)
    )
    following.run(1)
    assert following.found() == (["1.1.0"], FollowState.KNOWN)


@pytest.mark.parametrize(
    ("image_policy", "said"),
    [
        pytest.param(
            f"{{repository: {REPOSITORY}, semver: 3.x}}", "has no tag that", id="nothing fits"
        ),
        pytest.param(
            "{repository: registry.example.com/other, semver: 1.x}",
            "the pin has no image registry.example.com/other",
            id="another image",
        ),
        pytest.param(
            f"{{repository: {REPOSITORY}, pattern: '(?P<w>[a-z]+)$', extract: w, order: alphabetical}}",
            "1.0.0, which is pinned, cannot be compared with main",
            id="not to be compared",
        ),
    ],
)
def test_why_nothing_is_followed_is_said(image_policy: str, said: str) -> None:
    following = Following(image_policy)
    following.registry.push(REPOSITORY, ["main"])
    following.registry.push("registry.example.com/other", ["1.0.0"])
    following.run(1)
    found = following.follower.of((WEB, DEV))
    assert found is not None and found.state is FollowState.NOTHING and said in found.why


def test_who_does_not_decide_asks_nobody(following: Following) -> None:
    following.leads = False
    following.run(10 * POLL_S)
    assert following.registry.asked == 0
    following.leads = True
    following.run(LOOK_S + 1)
    assert following.registry.asked == 1


def test_a_service_that_follows_no_more_is_forgotten(following: Following) -> None:
    following.run(1)
    following.git.merge({"services/web/service.yaml": SERVICE})
    following.run(2 * LOOK_S)
    assert following.follower.of((WEB, DEV)) is None
    asked = following.registry.asked
    following.run(10 * POLL_S)
    assert following.registry.asked == asked
