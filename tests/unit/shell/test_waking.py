"""A task that is woken before it is known how is not left asleep: its thread starts before `on_wake` is called."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.shell.coordinator import Coordinator
from reconciler.shell.executor.cluster import ClusterExecutor
from reconciler.shell.reverting import Reverter


@pytest.mark.parametrize("woken", [ClusterExecutor, Coordinator, Reverter])
def test_whoever_is_told_how_to_wake_its_task_wakes_it(woken: type[Any]) -> None:
    wakes: list[None] = []
    one = object.__new__(woken)
    one.on_wake(lambda: wakes.append(None))
    assert wakes
