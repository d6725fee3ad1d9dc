"""Whoever wakes a task learns how before it runs: what is heard as it starts leaves nobody asleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from reconciler.shell.runner import Runner, SeededRunner, ThreadRunner, VirtualClock, Wake

ASLEEP_S = 600.0


@pytest.mark.parametrize("make", [ThreadRunner, lambda: SeededRunner(VirtualClock(), 1)])
def test_what_wakes_a_task_is_told_before_it_runs(make: Callable[[], Runner]) -> None:
    wakes: list[Wake] = []
    steps: list[int] = []

    def on_wake(wake: Wake) -> None:
        assert not steps
        time.sleep(0.05)  # A thread that had been started by now would have made its step.
        wakes.append(wake)

    def step() -> float:
        steps.append(len(wakes))
        return ASLEEP_S

    runner = make()
    told = runner.spawn("sleeper", step, on_wake=on_wake)
    if isinstance(runner, SeededRunner):
        runner.run_until(lambda: bool(steps), limit_s=1)
    elif isinstance(runner, ThreadRunner):
        ran_by_s = time.monotonic() + 10
        while not steps and time.monotonic() < ran_by_s:
            time.sleep(0.01)
        runner.stop(1.0)
    assert steps[:1] == [1]
    assert wakes and callable(told)


def test_a_task_that_is_woken_by_what_it_was_given_runs_again() -> None:
    runner, ran = ThreadRunner(), threading.Semaphore(0)
    wakes: list[Wake] = []

    def step() -> float:
        ran.release()
        return ASLEEP_S

    runner.spawn("sleeper", step, on_wake=wakes.append)
    assert ran.acquire(timeout=10)
    (wake,) = wakes
    wake()
    assert ran.acquire(timeout=10)
    runner.stop(1.0)
