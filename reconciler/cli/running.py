"""`reconciler run`: the daemon."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import structlog
import watchfiles

from reconciler.adapters.metrics import CONTENT_TYPE, Metrics
from reconciler.cli import logs, texts
from reconciler.cli.opening import open_engine, settings_from, settings_options
from reconciler.cli.output import Document, Exit, emit, end, fail, output_option
from reconciler.cli.reloading import Reloading
from reconciler.cli.settling import is_settled
from reconciler.cli.stopping import note_signals, wait_until
from reconciler.config.settings import Settings
from reconciler.core import reporting
from reconciler.core.reporting import blank
from reconciler.core.reporting.documents import error as error_entry
from reconciler.errors import ReconcilerError
from reconciler.model.events import Event
from reconciler.model.facts import FleetSummary
from reconciler.model.names import ServiceName
from reconciler.model.view import View
from reconciler.shell.engine import Engine
from reconciler.shell.runner import SystemClock, ThreadRunner
from reconciler.web.board import board
from reconciler.web.probes import probes
from reconciler.web.serving import Served

RELOAD_POLL_S = 2.0
LIVE_TURN_S = 120.0
"""A coordinator that has not made a turn for so long is stuck: it makes one every half minute."""

_log = structlog.get_logger(__name__)


@click.command(short_help="The daemon.")
@settings_options
@output_option
@click.option("--once", is_flag=True, help="End as soon as nothing is on its way.")
@click.option("--timeout-s", type=float, default=600.0, help="With --once: the longest to wait.")
def run(output: str, once: bool, timeout_s: float, **flags: Any) -> None:  # noqa: FBT001
    """Run the daemon until it is asked to stop, or with --once until all is settled.

    Once it is settled or timed out, --once prints the document of `reconciler status`. With -o json that
    is the one document on stdout, with or without --once: then as things stood at the stop.
    """
    document = blank("status")
    try:
        settings = settings_from(flags)
        document["mode"], document["head"]["branch"] = settings.mode.value, settings.repo.branch
        daemon = Daemon(settings, lambda: settings_from(flags))
        with daemon:
            settled = daemon.wait(timeout_s if once else None)
            was_stopped = daemon.is_stopped
            document = daemon.status()
    except ReconcilerError as error:
        fail(error, document, output)
    if not once:
        if output == "json":
            # It did what it was asked to: whatever could not be looked at is in the document.
            emit(document, output, str)
        return
    if settled:
        end(document, output, lambda d: texts.status(d, SystemClock().now()))
    code, why = Exit.TIMED_OUT, f"{timeout_s:g} s are over"
    if was_stopped:
        code, why = Exit.INTERRUPTED, "it was asked to stop before"
    document["errors"].append(error_entry("fleet", "it did not settle", why, "see what is held"))
    emit(document, output, lambda d: texts.status(d, SystemClock().now()))
    click.echo(f"error: the fleet did not settle: {why}", err=True)
    sys.exit(code)


class Daemon:
    """The engine, its pages and its settings, from start to stop.

    Args:
        settings: As read at the start.
        reread: Reads them again.
        handle_signals: Whether SIGTERM and SIGINT stop it.

    Raises:
        ReconcilerError: The settings do not lead to a repository, a home and clusters.
    """

    def __init__(
        self,
        settings: Settings,
        reread: Callable[[], Settings],
        *,
        handle_signals: bool = True,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._reloading = Reloading(settings, reread)
        self._handle_signals = handle_signals
        self._also = on_event
        self._stopping = threading.Event()
        self._metrics = Metrics(
            fetched_s=lambda: self.engine.heads.head.fetched_s,
            skews_s=lambda: {str(n): p.skew_s for n, p in self.engine.clusters.pulses.items()},
        )
        self._turned_s = time.monotonic()
        self._stack = ExitStack()
        logs.configure(settings.log_format, settings.log_level)
        self.runner = ThreadRunner()
        self.engine: Engine = open_engine(
            settings,
            lambda: self.settings,
            self.runner,
            on_event=self._event,
            on_view=self._view,
        )
        self.page: Served | None = None

    @property
    def settings(self) -> Settings:
        """The settings as they count now."""
        return self._reloading.settings

    @property
    def is_stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopping.is_set()

    def __enter__(self) -> Daemon:
        page = board(
            self.status,
            lambda name: reporting.explain(self._known(), ServiceName(name), None),
            lambda: self.engine.view,
        )
        self.page = self._stack.enter_context(Served(page, self.settings.listen))
        probe = probes(
            problems=self._problems, metrics=self._metrics.text, content_type=CONTENT_TYPE
        )
        served = self._stack.enter_context(Served(probe, self.settings.probes_listen))
        _log.info("listening", board=self.page.url, probes=served.url)
        if self._handle_signals:
            note_signals(self._stopping)
        self._wake_fetch = self.engine.start()
        threading.Thread(target=self._follow_files, name="files", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        late = self.runner.stop(self.settings.stop_timeout_s, self._save)
        if late:
            _log.warning("stop-incomplete", tasks=late)
        self._stack.close()

    def _save(self) -> None:
        try:
            self.engine.stop()
        except ReconcilerError as error:
            _log.warning("stop-unsaved", error=str(error))

    def wait(self, settled_within_s: float | None) -> bool:
        """Waits for a stop, or until nothing is on its way; returns whether that was in time."""
        if settled_within_s is None:
            wait_until(self._stopping)
            return True
        until = time.monotonic() + settled_within_s
        while time.monotonic() < until and not self._stopping.is_set():
            view = self.engine.view
            if view is not None and is_settled(view):
                return True
            self._stopping.wait(0.1)
        return False

    def status(self) -> Document:
        """Returns the document of `reconciler status`."""
        branch = self.settings.repo.branch
        return reporting.status(self._known(), SystemClock().now(), branch=branch)

    def _event(self, event: Event) -> None:
        self._metrics.on_event(event)
        logs.log_event(event)
        self._also(event)

    def _view(self, view: View) -> None:
        self._turned_s = time.monotonic()
        self._metrics.on_view(view)

    def _known(self) -> View:
        view = self.engine.view
        if view is not None:
            return view

        return View(self.engine.heads.head, self.settings.mode, FleetSummary())

    def _problems(self) -> list[str]:
        """Why the pages have nothing to show, or show what is old.

        Git or a cluster that does not answer is no reason: then people need the board most, and a
        daemon that is started again meets the same.
        """
        found = []
        if self.engine.view is None:
            found.append("no turn has been made yet")
        if time.monotonic() - self._turned_s > LIVE_TURN_S:
            found.append("the coordinator is stuck")
        return found

    def _follow_files(self) -> None:
        """Fetches at once when a local repo changes, and takes over settings that may change."""
        local = Path(self.settings.repo.url)
        is_local = "://" not in self.settings.repo.url and local.is_dir()
        if is_local:
            threading.Thread(target=self._follow_repo, args=(local,), daemon=True).start()
        while not self._stopping.wait(RELOAD_POLL_S):
            if self._reloading.look():
                logs.configure(self.settings.log_format, self.settings.log_level)
                self._wake_fetch()
                self.engine.look_again()

    def _follow_repo(self, local: Path) -> None:
        git = local / ".git"
        # The usual filter leaves out whatever is in a folder `.git`, which is all that a merge touches.
        changes = watchfiles.watch(
            git if git.is_dir() else local,
            watch_filter=None,
            stop_event=self._stopping,
            raise_interrupt=False,
        )
        for _ in changes:
            self._wake_fetch()
