"""The queue of builds: each once, one of a service at a time, the quick ones first."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from reconciler.model.names import ServiceName
from reconciler.shell.building import BUILDERS, BuildQueue
from reconciler.shell.runner import IDLE_MAX_S, SeededRunner, ThreadRunner, VirtualClock

WATCHDOG_S = 5.0
"""A test that has failed ends after this."""

A, B, C = ServiceName("a"), ServiceName("b"), ServiceName("c")


class Site:
    """A queue, and what was built."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.told: list[ServiceName] = []
        self.built: list[str] = []
        self.queue = BuildQueue(self.clock, self.told.append)

    def put(
        self,
        service: ServiceName,
        key: str,
        *,
        takes_s: float = 0.0,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        def build() -> None:
            self.built.append(f"{service} {key}")
            self.clock.advance(takes_s)
            meanwhile()

        self.queue.put(service, key, build)

    def build_all(self) -> list[str]:
        while self.queue.step() == 0.0:
            pass
        return self.built


@pytest.fixture
def site() -> Site:
    return Site()


def test_what_is_asked_for_again_while_it_waits_is_built_once(site: Site) -> None:
    for _ in range(3):
        site.put(A, "x")
    assert site.build_all() == ["a x"]
    assert site.told == [A]
    site.put(A, "x")
    assert site.build_all() == ["a x"] * 2


def test_what_is_asked_for_again_while_it_is_built_is_not_built_after_it(site: Site) -> None:
    site.put(A, "x", meanwhile=lambda: site.put(A, "x"))
    assert site.build_all() == ["a x"]


def test_a_service_has_one_builder_whatever_else_of_it_waits(site: Site) -> None:
    seen: list[tuple[float, list[str]]] = []

    def second() -> None:
        seen.append((site.queue.step(), list(site.built)))

    site.put(A, "x", meanwhile=second)
    site.put(A, "y")
    site.queue.step()
    assert seen == [(IDLE_MAX_S, ["a x"])]
    # Whoever built the first looks for more.
    assert site.build_all() == ["a x", "a y"]


def test_a_second_builder_builds_for_another_service_meanwhile(site: Site) -> None:
    site.put(A, "x", meanwhile=site.queue.step)
    site.put(A, "y")
    site.put(B, "x")
    site.queue.step()
    assert site.built == ["a x", "b x"]


def test_services_take_turns(site: Site) -> None:
    for service in (A, B):
        for key in ("x", "y"):
            site.put(service, key)
    assert site.build_all() == ["a x", "b x", "a y", "b y"]


def test_what_was_quick_to_build_goes_before_what_was_not(site: Site) -> None:
    site.put(A, "x", takes_s=30.0)
    site.put(B, "x", takes_s=0.1)
    site.build_all()
    for service in (A, B, C):
        site.put(service, "y")
        site.put(service, "z")
    assert site.build_all()[2:] == ["c y", "c z", "b y", "b z", "a y", "a z"]


def test_what_is_cleared_is_not_built_and_may_be_put_in_again(site: Site) -> None:
    site.put(A, "x", meanwhile=site.queue.clear)
    site.put(A, "y")
    site.put(B, "x")
    assert site.build_all() == ["a x"]
    site.put(B, "x")
    assert site.build_all() == ["a x", "b x"]


def test_a_bug_in_one_build_ends_neither_its_service_nor_the_queue(site: Site) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    site.put(A, "x", meanwhile=fails)
    site.put(A, "y")
    with pytest.raises(ZeroDivisionError):
        site.queue.step()
    assert site.told == [A]
    assert site.build_all() == ["a x", "a y"]


def test_builders_sleep_until_something_is_put_in(site: Site) -> None:
    runner = SeededRunner(site.clock, 1)
    site.queue.start(runner)
    runner.run_until(lambda: False, limit_s=1.0)
    began_s = site.clock.monotonic_s()
    for service in (A, B, C)[: BUILDERS + 1]:
        site.put(service, "x")
    assert runner.run_until(lambda: len(site.built) == BUILDERS + 1, limit_s=1.0)
    assert site.clock.monotonic_s() == began_s


def test_a_stop_saves_what_is_known_before_it_waits_for_a_build(site: Site) -> None:
    runner, began, may_end = ThreadRunner(), threading.Event(), threading.Event()
    built_at_save: list[ServiceName] = []

    def build() -> None:
        began.set()
        may_end.wait(WATCHDOG_S)

    def save() -> None:
        built_at_save.extend(site.told)
        may_end.set()

    site.queue.start(runner)
    site.put(A, "x", meanwhile=build)
    assert began.wait(WATCHDOG_S)
    late = runner.stop(2 * WATCHDOG_S, save)
    assert built_at_save == []
    assert (late, site.told) == ((), [A]), "it is waited for all the same"
