"""Questions put to somebody outside by a task of its own, so that no turn waits for their answers.

Whoever needs an answer names the question again in each turn, and is told of a service when there is
another answer than before. What nobody names any more is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from reconciler.model.answers import NotKnown
from reconciler.model.names import ServiceName
from reconciler.ports.clock import Clock
from reconciler.shell.bugs import bug
from reconciler.shell.runner import IDLE_MAX_S, AtStop, Runner, Wake

FORGET_S = 75.0
"""Two sweeps of the coordinator, and some: what is not named in either is not waited for."""

QUESTIONS_MAX = 2_000
"""A fleet of 300 services in six environments that all wait at once."""

PACE_S = 0.1
"""Between two questions: ten a second trouble no forge, and a whole fleet's are asked in minutes."""

RETRY_FIRST_S, RETRY_MAX_S = 5.0, 300.0
"""Who does not answer is asked again soon, then less and less; and never less than they ask us to."""

Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Heard(Generic[Answer]):
    """What is known of a question.

    Attributes:
        answer: None: it has not been answered yet.
        age_s: Seconds since it was asked.
    """

    answer: Answer | NotKnown | None
    age_s: float = 0.0


@dataclass(slots=True)
class _Entry(Generic[Answer]):
    named_s: float
    due_s: float
    answer: Answer | NotKnown | None = None
    asked_s: float = 0.0
    failures: int = 0
    services: set[ServiceName] = field(default_factory=set)


class Inquiry(Generic[Question, Answer]):
    """Asks questions, one after the other. All but `step` may be called from any thread.

    Args:
        ask: Asks one question of the world; it has its own limit of time, and does not raise.
        again_s: Returns after how many seconds an answer is asked for again.
        clock: Time.
        on_answer: Told of each service that named a question whose answer is another now.
        pace_s: Between two questions.
    """

    def __init__(
        self,
        ask: Callable[[Question], Answer | NotKnown],
        *,
        again_s: Callable[[Question, Answer], float],
        clock: Clock,
        on_answer: Callable[[ServiceName], None],
        pace_s: float = PACE_S,
    ) -> None:
        self._pace_s = pace_s
        self._ask = ask
        self._again_s = again_s
        self._clock = clock
        self._on_answer = on_answer
        self._lock = threading.Lock()
        self._entries: dict[Question, _Entry[Answer]] = {}
        self._wake: Wake = lambda: None
        self._free_s = float("-inf")

    def start(self, name: str, runner: Runner) -> None:
        """Hands its task to a runner; a stop leaves it, since it may hang in a question and has nothing to lose."""
        runner.spawn(name, self.step, at_stop=AtStop.LEAVE, on_wake=self._wake_by)

    def of(self, question: Question, service: ServiceName, *, fresh_s: float) -> Heard[Answer]:
        """Returns what is known of a question, and has it asked as long as somebody names it.

        Args:
            question: What is asked.
            service: Whom it matters to.
            fresh_s: An answer that is older is asked for at once.
        """
        now_s = self._clock.monotonic_s()
        with self._lock:
            entry = self._entries.get(question)
            if entry is None:
                entry = self._entries[question] = _Entry(now_s, now_s)
                self._forget(now_s)
            entry.named_s = now_s
            entry.services.add(service)
            age_s = now_s - entry.asked_s if entry.answer is not None else 0.0
            heard = Heard(entry.answer, age_s)
            if _is_answer(entry.answer) and heard.age_s > fresh_s:
                entry.due_s = min(entry.due_s, now_s)
            is_due = entry.due_s <= now_s
        if is_due:
            self._wake()
        return heard

    @property
    def is_answered(self) -> bool:
        """Whether each question was answered at least once, or it is known why not."""
        with self._lock:
            return all(entry.answer is not None for entry in self._entries.values())

    def catch_up(self) -> None:
        """Asks what was never asked, in the caller's own thread, until somebody does not answer."""
        with self._lock:
            questions = [q for q, entry in self._entries.items() if entry.answer is None]
        for question in questions:
            if not _is_answer(self._put(question)):
                return

    def step(self) -> float:
        """Asks one question that is due; returns the seconds until the next one is."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            self._forget(now_s)
            question = min(self._entries, key=lambda q: self._entries[q].due_s, default=None)
            if question is None:
                return IDLE_MAX_S
            # However often it is woken meanwhile.
            left_s = max(self._entries[question].due_s, self._free_s) - now_s
        if left_s > 0:
            return left_s
        self._put(question)
        self._free_s = self._clock.monotonic_s() + self._pace_s
        return self._pace_s

    def _put(self, question: Question) -> Answer | NotKnown:
        asked_s = self._clock.monotonic_s()
        try:
            answer = self._ask(question)
        except Exception as error:  # noqa: BLE001  # our bug must not keep the others from being asked
            answer = NotKnown("ActionFailed", str(bug("a question to others", error)))
        for service in self._take(question, answer, asked_s):
            self._on_answer(service)
        return answer

    def _take(
        self, question: Question, answer: Answer | NotKnown, asked_s: float
    ) -> tuple[ServiceName, ...]:
        """Keeps an answer; returns whom it is news to."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            entry = self._entries.get(question)
            if entry is None:
                return ()
            # One that let something through may have been too old; to be told so anew is news.
            is_news = _is_answer(answer) or entry.answer != answer
            entry.answer, entry.asked_s = answer, asked_s
            if isinstance(answer, NotKnown):
                wait_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(entry.failures, 10))
                entry.failures += 1
                entry.due_s = now_s + max(wait_s, answer.retry_after_s or 0.0)
            else:
                entry.failures = 0
                entry.due_s = now_s + self._again_s(question, answer)
            return tuple(sorted(entry.services)) if is_news else ()

    def _forget(self, now_s: float) -> None:
        """Drops what nobody waits for any more, and of too many what was named the longest ago."""
        gone = [q for q, entry in self._entries.items() if now_s - entry.named_s > FORGET_S]
        by_age = sorted(self._entries, key=lambda q: self._entries[q].named_s)
        for question in {*gone, *by_age[: max(0, len(self._entries) - QUESTIONS_MAX)]}:
            del self._entries[question]

    def _wake_by(self, wake: Wake) -> None:
        self._wake = wake


def _is_answer(answer: object) -> bool:
    return answer is not None and not isinstance(answer, NotKnown)
