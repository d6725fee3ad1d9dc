"""Look at Git and the clusters as the daemon does, without a daemon and without a write."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

from reconciler.cli.opening import open_engine
from reconciler.config.settings import Settings
from reconciler.core.reporting import Document
from reconciler.core.reporting.documents import error
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
        late: Clusters that answer, and could not be read whole in time.
    """

    engine: Engine
    view: View
    late: tuple[ClusterName, ...] = ()

    def late_errors(self, among: Collection[str] | None = None) -> list[Document]:
        """Returns an error for each cluster that could not be read whole in time."""
        what, why = "it could not be read whole", f"{LOOK_S:g} s were not enough"
        return [
            error(f"cluster {name}", what, why, "ask again; what is said of it is not known")
            for name in self.late
            if among is None or name in among
        ]


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
        observing, lambda: observing, runner, on_event=lambda event: None, local=local
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
        late = tuple(
            sorted(n for n in engine.clusters.executors if not _is_cluster_read(engine, n))
        )
        return Look(engine, replace(engine.view, mode=settings.mode), late)
    finally:
        runner.stop(0.0)
        engine.clusters.end_watches()


def _is_examining(view: View | None) -> bool:
    planned = view.services.values() if view is not None else ()
    return any(isinstance(action, Examine) for one in planned for action in one.actions)


def _is_read(engine: Engine) -> bool:
    head = engine.heads.head
    if engine.view is None or (head.snapshot is None and not head.error):
        return False
    clusters = engine.clusters
    # They join right after HEAD is known.
    if not all(name in clusters.pulses or name in clusters.unusable for name in head.clusters):
        return False
    if not all(_is_cluster_read(engine, name) for name in clusters.executors):
        return False
    is_home_read = engine.records.are_known and engine.digest_key.get() is not None
    return is_home_read or not engine.home_answers


def _is_cluster_read(engine: Engine, name: ClusterName) -> bool:
    """Whether a cluster was read whole, or is known not to answer."""
    pulse = engine.clusters.pulses[name]
    return engine.clusters.executors[name].is_settled if pulse.is_reachable else pulse.was_asked
