"""How a kind is watched: when what was seen counts, and how soon a watch that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from reconciler.errors import Denied, Expired, NotServed, Throttled, Unreachable
from reconciler.model.objects import KubeObject
from reconciler.ports.kube import Change, Listing, WatchEvent
from reconciler.shell.runner import VirtualClock
from reconciler.shell.watching import DENIED_S, RETRY_FIRST_S, RETRY_MAX_S, SESSION_S, KindWatch

FRESH_S = 60.0
THEIRS = ("Pod on a", "cannot be watched", "the server says so")


def pod(version: int, name: str = "web") -> KubeObject:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "web", "resourceVersion": str(version)},
    }


Session = Callable[["Scripted"], Iterator[WatchEvent]]


def lasting(seconds: float, *events: WatchEvent, then: Exception | None = None) -> Session:
    """A session that says something at once, is silent for a time, and ends or fails."""

    def session(api: Scripted) -> Iterator[WatchEvent]:
        yield from events
        api.clock.advance(seconds)
        if then is not None:
            raise then

    return session


@dataclass
class Scripted:
    """A cluster whose watches go as they are told, one after the other.

    Attributes:
        sessions: The coming ones; after them every session is silent and ends in order.
        lists: How often everything was listed.
        refusal: What lists meet.
        asked_from: The version that each watch was to go on from.
        forgotten: The last version that a watch can not go on from any more.
    """

    clock: VirtualClock
    sessions: list[Session] = field(default_factory=list)
    lists: int = 0
    refusal: Exception | None = None
    asked_from: list[str] = field(default_factory=list)
    forgotten: int = 0

    def list(self, *_: str, label_selector: str, **__: Any) -> Listing:
        if self.refusal is not None:
            raise self.refusal
        if "no-object" not in label_selector:
            self.lists += 1
        return Listing((), "10")

    def watch(self, *_: str, resource_version: str, **__: Any) -> Iterator[WatchEvent]:
        self.asked_from.append(resource_version)
        if int(resource_version) <= self.forgotten:
            raise Expired(*THEIRS)
        session = self.sessions.pop(0) if self.sessions else lasting(SESSION_S)
        return session(self)


@dataclass
class Watched:
    api: Scripted
    watch: KindWatch
    clock: VirtualClock


@pytest.fixture
def made() -> Watched:
    clock = VirtualClock()
    api = Scripted(clock)
    watch = KindWatch(
        api,  # type: ignore[arg-type]  # only what a watch asks for
        ("v1", "Pod"),
        namespace=None,
        label_selector="",
        clock=clock,
        fresh_s=FRESH_S,
        on_event=lambda event: None,
        on_fresh=lambda: None,
        jitter=random.Random(1),
    )
    return Watched(api, watch, clock)


def is_fresh(made: Watched) -> bool:
    return made.watch.is_fresh


ADDED = WatchEvent(Change.ADDED, pod(11))


def bookmark(version: int) -> WatchEvent:
    return WatchEvent(Change.BOOKMARK, {"metadata": {"resourceVersion": str(version)}})


def test_the_end_of_a_session_is_a_word_from_the_server(made: Watched) -> None:
    # Told of something at its begin, silent since, and then a session that says nothing either.
    made.api.sessions = [lasting(SESSION_S, ADDED), lasting(SESSION_S - 1)]
    made.watch.step()
    assert made.watch.fresh_until_s == made.clock.monotonic_s() + FRESH_S
    made.watch.step()
    assert made.watch.is_fresh


def test_a_watch_goes_on_from_where_it_was_told_last_be_it_by_a_bookmark(made: Watched) -> None:
    made.api.sessions = [
        lasting(SESSION_S, ADDED, bookmark(40)),
        lasting(20, bookmark(55), then=Unreachable(*THEIRS)),
        lasting(SESSION_S),
    ]
    for _ in range(3):
        made.watch.step()
    assert made.api.asked_from == ["10", "40", "55"]


def test_what_a_server_forgets_before_a_bookmark_is_not_listed_again(made: Watched) -> None:
    made.api.sessions = [lasting(SESSION_S, ADDED, bookmark(40)), lasting(SESSION_S, bookmark(41))]
    made.watch.step()
    made.api.forgotten = 39
    for _ in range(2):
        made.watch.step()
    assert made.api.lists == 1


def test_a_watch_that_breaks_again_and_again_is_asked_less_and_less_often(made: Watched) -> None:
    made.api.sessions = [lasting(0.1, then=Unreachable(*THEIRS)) for _ in range(12)]
    waits = [made.watch.step() for _ in range(12)]
    assert waits[0] < 2 * RETRY_FIRST_S
    assert RETRY_MAX_S / 2 < waits[-1] <= 1.5 * RETRY_MAX_S
    assert made.api.lists == 1, "what was listed still holds"


def test_a_watch_that_stood_for_a_while_is_asked_again_at_once_however_often(made: Watched) -> None:
    made.api.sessions = [lasting(20, ADDED, then=Unreachable(*THEIRS)) for _ in range(12)]
    assert all(made.watch.step() < 2 * RETRY_FIRST_S for _ in range(12))


def test_after_an_outage_a_version_that_is_too_old_is_listed_anew_at_once(made: Watched) -> None:
    outage = [lasting(0.1, then=Unreachable(*THEIRS)) for _ in range(12)]
    made.api.sessions = [*outage, lasting(0, then=Expired(*THEIRS)), lasting(SESSION_S)]
    for _ in outage:
        made.watch.step()
    assert made.watch.step() < 2 * RETRY_FIRST_S
    made.watch.step()
    assert made.api.lists == 2


def test_a_server_whose_versions_are_always_too_old_is_not_listed_without_end(
    made: Watched,
) -> None:
    made.api.sessions = [lasting(0.1, then=Expired(*THEIRS)) for _ in range(12)]
    waits = [made.watch.step() for _ in range(12)]
    assert waits[-1] > RETRY_MAX_S / 2


def test_a_server_that_asks_for_time_is_given_it(made: Watched) -> None:
    made.api.sessions = [lasting(0, then=Throttled(*THEIRS, retry_after_s=7.0))]
    assert made.watch.step() == 7.0
    made.api.sessions = [lasting(0, then=Throttled(*THEIRS, retry_after_s=9_999.0))]
    assert made.watch.step() == RETRY_MAX_S


def test_what_may_not_be_watched_is_not_known_any_more_until_it_was_listed_again(
    made: Watched,
) -> None:
    made.watch.step()
    assert is_fresh(made)
    made.api.sessions = [lasting(0, then=Denied(*THEIRS))]
    assert made.watch.step() == DENIED_S
    assert not is_fresh(made)
    assert "the server says so" in made.watch.denied
    made.api.refusal = Denied("Pod on a", "cannot be listed", "the server says so")
    made.watch.step()
    assert not is_fresh(made) and "cannot be listed" in made.watch.denied
    made.api.refusal = None
    made.watch.step()
    assert is_fresh(made) and not made.watch.denied


def test_a_kind_whose_definition_is_still_to_come_is_asked_for_again_soon_and_then_less_often(
    made: Watched,
) -> None:
    made.api.refusal = NotServed("Thing on a", "cannot be listed", "it is not served")
    waits = [made.watch.step() for _ in range(12)]
    assert waits[0] <= RETRY_FIRST_S * 1.5
    assert waits[-1] == DENIED_S
    assert not is_fresh(made) and made.watch.denied
    made.api.refusal = None
    made.watch.step()
    assert is_fresh(made) and not made.watch.denied


@pytest.mark.parametrize("error", [Unreachable, Denied, Expired])
def test_a_watch_that_is_stopped_breaks_off_untold_and_asks_nothing_more(
    error: type[Exception], made: Watched
) -> None:
    def stopped(api: Scripted) -> Iterator[WatchEvent]:
        made.watch.stop()
        return lasting(0, then=error(*THEIRS))(api)

    made.watch._expiries = 1  # The first is never told.
    made.api.sessions = [stopped]
    with structlog.testing.capture_logs() as told:
        made.watch.step()
        made.watch.step()
    assert told == [] and len(made.api.asked_from) == 1
