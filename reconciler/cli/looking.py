"""Look at Git and the clusters as the daemon does, without a daemon and without a write."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from reconciler.cli.opening import open_engine
from reconciler.config.settings import Settings
from reconciler.errors import Unreachable
from reconciler.model.actions import Examine
from reconciler.model.fleet import Mode
from reconciler.model.names import ClusterName
from reconciler.model.view import View
from reconciler.ports.git import History
from reconciler.shell.engine import Engine
from reconciler.shell.runner import ThreadRunner

LOOK_S = 15.0
"""Enough for slow clusters to be listed; a dead one is known after one request."""

POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Attributes:
        engine: Stopped; its clusters and its mirror may still be read.
        view: What its last turn saw, under the mode that a daemon with these settings has.
    """

    engine: Engine
    view: View


def look(settings: Settings, *, local: History | None = None, timeout_s: float = LOOK_S) -> Look:
    """Returns an engine that only observes, and what it saw once everything that answers was read.

    Args:
        settings: The daemon's.
        local: Where commits are looked for that the mirror does not hold.
        timeout_s: How long clusters may take to be read.

    Raises:
        ReconcilerError: Git, the home or the settings do not allow a look.
    """
    observing = settings.model_copy(update={"mode": Mode.OBSERVE})
    runner = ThreadRunner()
    engine = open_engine(
        observing,
        lambda: observing,
        runner,
        on_event=lambda event: None,
        local=local,
        waits=True,
    )
    engine.start()
    try:
        until = time.monotonic() + timeout_s
        while True:
            is_late = time.monotonic() >= until
            if _is_read(engine) or is_late:
                engine.turn()
                # A turn may ask for a comparison of what is live before it was ever adopted.
                if is_late or (_is_read(engine) and not _is_examining(engine.view)):
                    break
            time.sleep(POLL_S)
        if engine.view is None:
            raise Unreachable("fleet", "it could not be looked at", "nothing answered in time")
        late = dict.fromkeys(_unread(engine, engine.view), f"{timeout_s:g} s were not enough")
        return Look(engine, replace(engine.view, mode=settings.mode, late=late))
    finally:
        runner.stop(0.0)
        engine.clusters.end_watches()


def _is_examining(view: View | None) -> bool:
    """Whether anything was not compared yet; what is held was, and is compared again and again."""
    planned = view.services.values() if view is not None else ()
    return any(
        isinstance(action, Examine) and not one.is_held(action.environment)
        for one in planned
        for action in one.actions
    )


def _is_read(engine: Engine) -> bool:
    head = engine.heads.head
    if engine.view is None or (head.snapshot is None and not head.error):
        return False
    if not engine.outside.are_asked:
        return False
    clusters = engine.clusters
    # They join right after HEAD is known.
    if not all(name in clusters.pulses or name in clusters.unusable for name in head.clusters):
        return False
    return not _unread(engine, engine.view)


def _unread(engine: Engine, view: View) -> set[ClusterName]:
    """Returns the clusters that answer, and have not yet been read whole."""
    found = {name for name in engine.clusters.executors if not _is_cluster_read(engine, name)}
    is_home_read = engine.records.are_known and engine.digest_key.get() is not None
    if engine.home_answers and not is_home_read and view.home is not None:
        found.add(view.home)
    return found


def _is_cluster_read(engine: Engine, name: ClusterName) -> bool:
    """Whether a cluster was read whole, or is known not to answer."""
    pulse = engine.clusters.pulses[name]
    return engine.clusters.executors[name].is_settled if pulse.is_reachable else pulse.was_asked
