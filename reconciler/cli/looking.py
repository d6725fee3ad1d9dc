"""Look at Git and the clusters as the daemon does, without a daemon and without a write."""

from __future__ import annotations

import time

from reconciler.cli.opening import open_engine
from reconciler.config.settings import Settings
from reconciler.errors import Unreachable
from reconciler.model.fleet import Mode
from reconciler.model.view import View
from reconciler.shell.engine import Engine
from reconciler.shell.runner import ThreadRunner

LOOK_S = 15.0
"""Enough for slow clusters to be listed; a dead one is known after one request."""

POLL_S = 0.05


def look(settings: Settings, *, timeout_s: float = LOOK_S) -> tuple[Engine, View]:
    """Returns an engine that only observes, and what it saw once everything that answers was read.

    Raises:
        ReconcilerError: Git, the home or the settings do not allow a look.
    """
    observing = settings.model_copy(update={"mode": Mode.OBSERVE})
    runner = ThreadRunner()
    engine = open_engine(observing, lambda: observing, runner, on_event=lambda event: None)
    engine.start()
    try:
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and not _is_settled(engine):
            time.sleep(POLL_S)
        engine.turn()
        if engine.view is None:
            raise Unreachable("fleet", "it could not be looked at", "nothing answered in time")
        return engine, engine.view
    finally:
        runner.stop(0.0)


def _is_settled(engine: Engine) -> bool:
    head = engine.heads.head
    if engine.view is None or (head.snapshot is None and not head.error):
        return False
    for name, executor in engine.executors.items():
        pulse = engine.pulses[name]
        if not pulse.is_reachable:
            if not pulse.was_asked:
                return False
            continue
        if not executor.is_settled:
            return False
    return engine.records.is_known or not engine.home_answers
