"""Questions put to others: asked by a task of its own, kept for a while, with limits on all of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from reconciler.model.answers import NotKnown
from reconciler.model.names import ServiceName
from reconciler.shell import inquiry
from reconciler.shell.inquiry import (
    FORGET_S,
    PACE_S,
    RETRY_FIRST_S,
    RETRY_MAX_S,
    Heard,
    Inquiry,
)
from reconciler.shell.runner import SeededRunner, VirtualClock

WEB, API = ServiceName("web"), ServiceName("api")
AWAY = NotKnown("Unreachable", "nobody answers")
AGAIN_S, FRESH_S = 30.0, 60.0


class Desk:
    """An inquiry, whom it asks, and what it tells."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.runner = SeededRunner(self.clock, 1)
        self.asked: list[tuple[float, str]] = []
        self.told: list[ServiceName] = []
        self.answer: Callable[[str], str | NotKnown] = lambda question: f"{question}!"
        self.inquiry: Inquiry[str, str] = Inquiry(
            self._ask,
            again_s=lambda question, answer: AGAIN_S,
            clock=self.clock,
            on_answer=self.told.append,
        )
        self.inquiry.start("questions", self.runner)

    def _ask(self, question: str) -> str | NotKnown:
        self.asked.append((self.clock.monotonic_s(), question))
        return self.answer(question)

    def of(self, question: str = "a", service: ServiceName = WEB) -> Heard[str]:
        return self.inquiry.of(question, service, fresh_s=FRESH_S)

    def pass_(self, seconds: float, *, naming: str = "") -> None:
        """Lets time pass, in which a question is named by every second's turn."""
        until_s = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < until_s:
            if naming:
                self.of(naming)
            self.runner.run_until(lambda: False, limit_s=1.0)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_nothing_is_known_before_it_was_asked_and_whoever_named_it_is_told(desk: Desk) -> None:
    assert desk.of() == Heard(None)
    assert not desk.inquiry.is_answered
    desk.of(service=API)
    desk.pass_(1)
    assert desk.told == [API, WEB]
    assert desk.of() == Heard("a!", 1.0)
    assert desk.inquiry.is_answered


def test_it_is_asked_again_as_long_as_it_is_named_and_no_more_after_that(desk: Desk) -> None:
    desk.pass_(3 * AGAIN_S + 1, naming="a")
    assert [at_s for at_s, _ in desk.asked] == [0.0, AGAIN_S, 2 * AGAIN_S, 3 * AGAIN_S]
    desk.asked.clear()
    desk.pass_(FORGET_S + 3 * AGAIN_S)
    assert len(desk.asked) <= FORGET_S / AGAIN_S
    assert desk.of() == Heard(None)


def test_an_answer_that_is_too_old_is_asked_for_at_once(desk: Desk) -> None:
    desk.inquiry._again_s = lambda question, answer: 10 * FRESH_S
    desk.of()
    desk.pass_(FRESH_S + 1)
    assert len(desk.asked) == 1
    assert desk.of().answer == "a!"
    desk.pass_(1)
    assert len(desk.asked) == 2
    assert desk.of().age_s == 1.0


def test_who_does_not_answer_is_asked_less_and_less_but_never_given_up(desk: Desk) -> None:
    desk.answer = lambda question: AWAY
    desk.pass_(1200, naming="a")
    waits = [b - a for a, b in pairwise(at_s for at_s, _ in desk.asked)]
    assert waits[:4] == [RETRY_FIRST_S, 2 * RETRY_FIRST_S, 4 * RETRY_FIRST_S, 8 * RETRY_FIRST_S]
    assert max(waits) == RETRY_MAX_S
    assert desk.told == [WEB], "that it is still away is no news"
    desk.answer = lambda question: "back"
    desk.pass_(RETRY_MAX_S, naming="a")
    assert desk.of().answer == "back"
    desk.answer = lambda question: AWAY
    desk.asked.clear()
    desk.pass_(AGAIN_S + RETRY_FIRST_S + 1, naming="a")
    assert len(desk.asked) >= 2, "the wait begins anew after an answer"


def test_a_wait_that_the_other_side_asks_for_is_kept(desk: Desk) -> None:
    desk.answer = lambda question: NotKnown("Throttled", "too many", 100.0)
    desk.pass_(101, naming="a")
    assert [at_s for at_s, _ in desk.asked] == [0.0, 100.0]


def test_an_error_takes_the_place_of_what_was_known(desk: Desk) -> None:
    desk.of()
    desk.pass_(1)
    desk.answer = lambda question: AWAY
    desk.pass_(AGAIN_S, naming="a")
    assert desk.of().answer is AWAY


def test_a_bug_of_ours_keeps_no_other_question_waiting(desk: Desk) -> None:
    def broken(question: str) -> str:
        if question == "a":
            raise KeyError("canary")
        return question

    desk.answer = broken
    desk.of("a")
    desk.of("b")
    desk.pass_(1)
    found = desk.of("a").answer
    assert isinstance(found, NotKnown) and found.reason == "ActionFailed"
    assert desk.of("b").answer == "b"


def test_many_are_asked_one_after_the_other_however_often_it_is_woken(desk: Desk) -> None:
    for number in range(30):
        desk.of(str(number))
        desk.runner.run_until(lambda: False, limit_s=0.01)
    desk.runner.run_until(lambda: len(desk.asked) == 30, limit_s=60)
    times = [at_s for at_s, _ in desk.asked]
    assert min(b - a for a, b in pairwise(times)) >= PACE_S - 1e-9


def test_of_too_many_the_ones_that_were_named_longest_ago_are_forgotten(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiry, "QUESTIONS_MAX", 3)
    for question in "abcd":
        desk.of(question)
        desk.clock.advance(1)
    desk.pass_(1)
    assert "a" not in {question for _, question in desk.asked}


def test_to_catch_up_asks_each_until_one_is_not_answered(desk: Desk) -> None:
    for question in "abc":
        desk.of(question)
    desk.answer = lambda question: AWAY if question == "b" else question
    desk.inquiry.catch_up()
    assert [question for _, question in desk.asked] == ["a", "b"]
