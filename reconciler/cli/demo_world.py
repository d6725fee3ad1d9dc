"""The demo's world: its fleet, and the daemon that works on it, in this process."""

from __future__ import annotations

from reconciler.cli.demo_fleet import DemoFleet
from reconciler.cli.logs import configure
from reconciler.cli.running import Daemon
from reconciler.config.settings import FuseSettings, LeaseSettings, RepoSettings, Settings
from reconciler.model.events import Event
from reconciler.model.fleet import Mode


class DemoWorld(DemoFleet):
    """Everything that the demo runs on.

    Args:
        listen: Where the board is served.

    Raises:
        OperatorError: Git is not installed.
    """

    def __init__(self, *, listen: str) -> None:
        super().__init__()
        self._listen = listen
        self.events: list[Event] = []

    def _start(self) -> None:
        super()._start()
        settings = Settings(
            repo=RepoSettings(url=self.repo_url, poll_s=0.5),
            kubeconfig=self.kubeconfig,
            home="dev-1",
            mode=Mode.ENFORCE,
            listen=self._listen,
            probes_listen="127.0.0.1:0",
            state_dir=self.folder / "state",
            lease=LeaseSettings(duration_s=3, renew_deadline_s=2, retry_s=0.3),
            fuses=FuseSettings(service_an_hour=3, fleet_an_hour=10),
            # What is worth knowing the demo tells itself.
            log_level="error",
        )
        configure(settings.log_format, settings.log_level)
        self.daemon = self._stack.enter_context(
            Daemon(settings, lambda: settings, handle_signals=False, on_event=self.events.append)
        )

    @property
    def page_url(self) -> str:
        """The board's address."""
        assert self.daemon.page is not None
        return self.daemon.page.url
