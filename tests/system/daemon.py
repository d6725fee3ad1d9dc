"""`reconciler run` as a process of its own: started, killed at any instant, started again, and looked at."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from tests.ports import free_port

READY_S = 60.0
STOP_S = 40.0
PATIENCE_S = 90.0
"""What nobody waits for on an idle machine; on one that runs other tests, things take several times as long."""

ASKED_AGAIN_S, ASKED_AGAIN_S_MAX = 0.05, 0.25
"""What has not come for seconds is asked for less often: each look costs both ends some milliseconds."""

QUICK_LEASE = {"duration_s": 4, "renew_deadline_s": 3, "retry_s": 0.5}
"""A killed daemon's lease is over before a test loses patience."""

MANY = 1_000
"""Rejections an hour: a test makes more than a fleet should."""


class DaemonProcess:
    """One daemon.

    Attributes:
        settings: What its settings file says; written at each start.
        variables: More of its environment.
        log: Everything it wrote, of all its lives.

    Args:
        folder: For its settings, state and log.
        settings: At least `repo`, a way to each cluster, and `home`.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._page_port, self._probes_port = free_port(), free_port()
        self.settings: dict[str, Any] = {
            "mode": "enforce",
            "state_dir": str(folder / "state"),
            "listen": f"127.0.0.1:{self._page_port}",
            "probes_listen": f"127.0.0.1:{self._probes_port}",
            "lease": QUICK_LEASE,
            "fuses": {"service_an_hour": MANY, "fleet_an_hour": MANY},
            "log_format": "json",
            **settings,
        }
        self.variables: dict[str, str] = {}
        self.log = folder / "daemon.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def settings_file(self) -> Path:
        """Its settings, for commands that look at the same fleet."""
        return self._folder / "settings.yaml"

    @property
    def page_url(self) -> str:
        """The board."""
        return f"http://127.0.0.1:{self._page_port}"

    @property
    def probes_url(self) -> str:
        """Health, readiness and metrics."""
        return f"http://127.0.0.1:{self._probes_port}"

    def start(self) -> None:
        """Starts it; returns as soon as it runs."""
        self.write_settings()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment(),
            )

    def _command(self) -> list[str]:
        """Returns what is run; another install of the reconciler has its own."""
        return [sys.executable, "-m", "reconciler", "run", "--config", str(self.settings_file)]

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
        return kept | self.variables

    def write_settings(self) -> None:
        """Writes the settings file, as an operator edits it."""
        # JSON is YAML, and needs no thought about quoting.
        self.settings_file.write_text(json.dumps(self.settings, indent=2))

    def wait_ready(self) -> None:
        """Waits until it says that it serves."""
        self.until(lambda: self._answers("/readyz"), "it is ready", READY_S)

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Asks it to end, as Kubernetes does, or as a terminal; returns its exit code."""
        assert self._process is not None
        self._process.send_signal(by)
        return self._process.wait(STOP_S)

    def kill(self) -> None:
        """Ends it at this instant."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def wait_dead(self) -> int:
        """Waits until it has ended by itself, or by somebody else's hand; returns its exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE_S)

    def status(self) -> dict[str, Any]:
        """Returns the document of `reconciler status`, as its page has it."""
        with urllib.request.urlopen(f"{self.page_url}/api/status", timeout=10) as answer:
            document: dict[str, Any] = json.load(answer)
            return document

    def cell(self, service: str, environment: str) -> dict[str, Any] | None:
        """Returns one cell of its status, or None while it has none."""
        for cell in self.status()["cells"]:
            if (cell["service"], cell["environment"]) == (service, environment):
                found: dict[str, Any] = cell
                return found
        return None

    def reason(self, service: str, environment: str) -> str | None:
        """Returns why one cell of its status is as it is, or None while it has none."""
        cell = self.cell(service, environment)
        return None if cell is None else str(cell["reason"])

    def is_proven(self, service: str, environment: str, version: str) -> bool:
        """Returns whether its status says that a version is proven."""
        cell = self.cell(service, environment)
        return bool(cell and cell["phase"] == "Proven" and cell["admitted"]["version"] == version)

    def metrics(self) -> str:
        """Returns its metrics."""
        with urllib.request.urlopen(f"{self.probes_url}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float | None:
        """Returns the first sample of a name that has these labels, or None."""
        for line in self.metrics().splitlines():
            found = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if found is None:
                continue
            has = dict(re.findall(r'(\w+)="([^"]*)"', found[1] or ""))
            if labels.items() <= has.items():
                return float(found[2])
        return None

    def logged(self, event: str, **fields: str) -> list[dict[str, Any]]:
        """Returns the log lines of an event whose fields are as given."""
        found = []
        for line in self.log.read_text(errors="replace").splitlines():
            if not line.startswith("{"):
                continue
            entry = json.loads(line)
            if entry.get("event") == event and fields.items() <= entry.items():
                found.append(entry)
        return found

    def until(self, is_done: Callable[[], object], what: str, limit_s: float = PATIENCE_S) -> float:
        """Waits until something holds; returns the seconds that took.

        An answer that cannot be had yet is no answer; the daemon's end is one.
        """
        began_s = time.monotonic()
        while (waited_s := time.monotonic() - began_s) < limit_s:
            try:
                if is_done():
                    return time.monotonic() - began_s
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(min(max(ASKED_AGAIN_S, waited_s / 20), ASKED_AGAIN_S_MAX))
        raise AssertionError(f"not in {limit_s:g} s: {what}\n{self._last_words()}")

    def _answers(self, path: str) -> bool:
        with urllib.request.urlopen(f"{self.probes_url}{path}", timeout=5) as answer:
            return bool(answer.status == 200)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-25:])
