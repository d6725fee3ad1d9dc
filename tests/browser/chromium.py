"""A headless Chromium, spoken to over its own debugging pipe: nothing to install beside it, no port."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.system.apt import require

ANSWER_S = 60.0
"""A busy machine starts it in some ten seconds."""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--window-size=1280,800", "--remote-debugging-pipe"),
)


_LEFT = "Inspected target navigated or closed"


class PageLeft(AssertionError):
    """The page went on to another while it was asked something."""


class Chromium:
    """One browser with one page, in an empty profile.

    Attributes:
        requested: The address of everything that the page has asked for.
        complaints: What it wrote to its console as an error or a warning.
    """

    def __init__(self) -> None:
        self._program = require("chromium", "chromium")
        self._numbers = itertools.count(1)
        self._pending = b""
        self._session: str | None = None
        self.requested: list[str] = []
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        read_end, self._ask = os.pipe()
        self._told, write_end = os.pipe()
        # It reads what it is asked from descriptor 3, and answers on 4; out of the way of both.
        asks, tells = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (read_end, write_end))
        os.close(read_end)
        os.close(write_end)
        shell = f'exec "$0" "$@" 3<&{asks} 4>&{tells}'
        profile = f"--user-data-dir={self._profile.name}"
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", shell, str(self._program), *FLAGS, profile, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(asks, tells),
        )
        os.close(asks)
        os.close(tells)
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ask)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        os.close(self._told)
        self._profile.cleanup()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Asks for one thing and returns the answer."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._ask, json.dumps(message).encode() + b"\0")
        until_s = time.monotonic() + ANSWER_S
        while time.monotonic() < until_s:
            answer = self._next(until_s)
            if answer.get("id") == number:
                if _LEFT in str(answer.get("error")):
                    raise PageLeft(method)
                assert "error" not in answer, (method, answer["error"])
                result: dict[str, Any] = answer["result"]
                return result
        raise AssertionError(f"no answer to {method}")

    def open(self, url: str) -> None:
        """Loads a page, and waits until it is there."""
        self.call("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, script: str) -> Any:
        """Returns what a script in the page comes to."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, (script, answer["exceptionDetails"])
        return answer["result"].get("value")

    def until(self, script: str, limit_s: float = ANSWER_S) -> None:
        """Waits until a script comes to true."""
        until_s = time.monotonic() + limit_s
        while time.monotonic() < until_s:
            # Of a page that is being left, nothing is known yet.
            with suppress(PageLeft):
                if self.evaluate(script):
                    return
            time.sleep(0.05)
        raise AssertionError(f"not in {limit_s:g} s: {script}\n{self.text()[-3000:]}")

    def text(self) -> str:
        """Returns what a person reads."""
        return str(self.evaluate("document.body.innerText"))

    def screenshot(self, path: Path) -> None:
        """Saves what a person sees."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def prefer(self, scheme: str) -> None:
        """Sets light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def run_scripts(self, *, allowed: bool) -> None:
        """Switches the page's own scripts on or off; ours still run."""
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def _next(self, until_s: float) -> dict[str, Any]:
        while b"\0" not in self._pending:
            poll = select.poll()  # Not select(): the tests' process may have more open files.
            poll.register(self._told, select.POLLIN)
            ready = poll.poll(1000 * max(0.0, until_s - time.monotonic()))
            chunk = os.read(self._told, 1 << 20) if ready else b""
            assert chunk, "the browser ended, or says nothing"
            self._pending += chunk
        octets, _, self._pending = self._pending.partition(b"\0")
        message: dict[str, Any] = json.loads(octets)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        parameters = message.get("params") or {}
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requested.append(parameters["request"]["url"])
            case "Log.entryAdded" if parameters["entry"]["level"] in ("error", "warning"):
                self.complaints.append(parameters["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.complaints.append(str(parameters["exceptionDetails"]))
            case _:
                pass
