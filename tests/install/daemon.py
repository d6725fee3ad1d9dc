"""The daemon as a process of its own, with its settings file, its log and its pages."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

START_S = 60
"""It takes one second; a machine that builds Kubernetes beside it takes more."""

STOP_S = 30
"""Longer than the daemon itself waits for what is under way."""


class DaemonProcess:
    """`reconciler run`, from start to its end.

    Args:
        settings: The settings file's content; its addresses are chosen here.
        folder: Holds the settings file and the state, unless the settings name another.
        command: What starts the program, without `run`.
        env: The whole environment; None for that of the tests.
        cwd: Where it runs.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        folder: Path,
        *,
        command: Sequence[str] = (sys.executable, "-m", "reconciler"),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        addresses = {"listen": "127.0.0.1:0", "probes_listen": "127.0.0.1:0"}
        defaults = {"state_dir": str(folder / "state"), "log_format": "json"}
        self.config = folder / "settings.yaml"
        self.config.write_text(yaml.safe_dump({**defaults, **settings, **addresses}))
        self.config.chmod(0o644)
        self._command = [*command, "run", "--config", str(self.config)]
        self._env = env
        self._cwd = cwd
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self.board = self.probes = ""

    def __enter__(self) -> DaemonProcess:
        self.process = subprocess.Popen(
            self._command,
            env=self._env,
            cwd=self._cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            told = self.logged(lambda line: line.get("event") == "listening", START_S)
        except AssertionError:
            self.stop()
            raise
        self.board, self.probes = told["board"], told["probes"]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """Asks it to stop, as Kubernetes does; returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._reader.join(STOP_S)
            assert self.process.stderr is not None
            self.process.stderr.close()

    def get(self, url: str) -> tuple[int, str]:
        """Returns status and text of a page."""
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def until(self, is_done: Callable[[], bool], limit_s: float, what: str) -> None:
        """Waits until something holds while the process lives; fails when it does not in time."""
        until_s = time.monotonic() + limit_s
        while not is_done():
            assert self.process.poll() is None, f"it ended while waiting: {what}\n{self.tail()}"
            assert time.monotonic() < until_s, f"not within {limit_s:g} s: {what}\n{self.tail()}"
            with self._changed:
                self._changed.wait(0.1)

    def logged(self, is_it: Callable[[dict[str, Any]], bool], limit_s: float) -> dict[str, Any]:
        """Returns the first line of its log that is looked for, waiting for it."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            found.extend(line for line in self.log() if is_it(line))
            return bool(found)

        self.until(look, limit_s, "a line in its log")
        return found[0]

    def log(self) -> list[dict[str, Any]]:
        """Returns the lines of its log so far; one that is no JSON stands under `text`."""
        with self._changed:
            lines = list(self._lines)
        return [_parsed(line) for line in lines]

    def tail(self) -> str:
        """Returns the last of what it wrote."""
        with self._changed:
            return "".join(self._lines[-30:])

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()


def _parsed(line: str) -> dict[str, Any]:
    try:
        tree = json.loads(line)
    except ValueError:
        return {"text": line}
    return tree if isinstance(tree, dict) else {"text": line}
