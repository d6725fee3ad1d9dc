"""A real Gitea on loopback, with an owner and a bot, whose API tests use as people do."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.controlplane.process import Process
from tests.controlplane.requiring import require_module, require_tool
from tests.ports import free_port

MODULE = "code.gitea.io/gitea"

START_S = 60.0
OWNER, BOT = "people", "bot"
PASSWORD = "canary-password-of-the-tests"

_AS_ROOT = "GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT"
"""Of another user it could be neither started nor given its files, below our home."""

_CONFIG = """\
WORK_PATH = {folder}
RUN_MODE = prod
[server]
PROTOCOL = http
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {port}
ROOT_URL = http://127.0.0.1:{port}/
DISABLE_SSH = true
OFFLINE_MODE = true
STATIC_ROOT_PATH = {static}
[database]
DB_TYPE = sqlite3
PATH = {folder}/gitea.db
[repository]
ROOT = {folder}/repositories
DEFAULT_BRANCH = main
[security]
INSTALL_LOCK = true
[service]
DISABLE_REGISTRATION = true
[log]
MODE = console
LEVEL = Warn
[cron]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
[actions]
ENABLED = false
[mailer]
ENABLED = false
"""


@dataclass(frozen=True, slots=True)
class GiteaRepo:
    """A repository of the owner, that the bot may write to.

    Attributes:
        token: The bot's.
    """

    gitea: Gitea
    name: str
    token: str

    @property
    def url(self) -> str:
        """Where Git finds it, and people."""
        return f"{self.gitea.url}/{OWNER}/{self.name}"

    def api(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Asks the API for something below the repository, as its owner."""
        return self.gitea.api(method, f"/repos/{OWNER}/{self.name}{path}", body)

    def write(self, path: str, text: str, branch: str = "main", *, onto: str = "") -> str:
        """Writes a new file by a commit, as people do; returns the commit.

        Args:
            path: The file.
            text: What it holds.
            branch: Where.
            onto: A new branch that is made of `branch` with this commit.
        """
        content = base64.b64encode(text.encode()).decode()
        made = self.api(
            "POST",
            f"/contents/{path}",
            {"content": content, "branch": branch, **({"new_branch": onto} if onto else {})},
        )
        return str(made["commit"]["sha"])

    def says(self, commit: str, context: str, state: str, description: str = "") -> None:
        """Writes a status of a commit, as a check does."""
        status = {"context": context, "state": state, "description": description}
        self.api("POST", f"/statuses/{commit}", status)

    def protect(self, branch: str, **rules: Any) -> None:
        """Makes a rule for a branch: nobody pushes to it."""
        rule = {"rule_name": branch, "enable_push": False, **rules}
        self.api("POST", "/branch_protections", rule)


class Gitea:
    """A server of its own; started by `serve_gitea`.

    Args:
        folder: Where everything goes.
        program: The program.
        static: Its module's folder, with its templates.
    """

    def __init__(self, folder: Path, program: Path, static: Path) -> None:
        self.port = free_port()
        self._folder, self._program = folder, program
        self._config = folder / "app.ini"
        self._config.write_text(_CONFIG.format(folder=folder, port=self.port, static=static))
        os.environ[_AS_ROOT] = "true"
        arguments = [str(program), "web", "--config", str(self._config)]
        self._process = Process(arguments, folder / "gitea.log")
        self.bot_token = ""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def api(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, user: str = OWNER
    ) -> Any:
        """Asks the API; raises urllib's HTTPError where it refuses."""
        pair = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        request = urllib.request.Request(
            f"{self.url}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {pair}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            text = response.read()
        return json.loads(text) if text else None

    def repo(self) -> GiteaRepo:
        """Returns a new repository with one commit."""
        name = f"env-{uuid.uuid4().hex[:8]}"
        self.api("POST", "/user/repos", {"name": name, "auto_init": True})
        made = GiteaRepo(self, name, self.bot_token)
        made.api("PUT", f"/collaborators/{BOT}", {"permission": "write"})
        return made

    def begin(self) -> None:
        """Waits until it answers, and makes its people."""
        until_s = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < until_s and not self._process.has_ended, (
                self._process.last_words
            )
            time.sleep(0.05)
        self._command("admin", "user", "create", "--admin", *_named(OWNER))
        person = {"must_change_password": False, "password": PASSWORD}
        self.api("POST", "/admin/users", {"username": BOT, "email": f"{BOT}@example.com", **person})
        scopes = ["write:repository"]
        made = self.api("POST", f"/users/{BOT}/tokens", {"name": "t", "scopes": scopes}, user=BOT)
        self.bot_token = made["sha1"]

    def end(self) -> None:
        """Ends it."""
        self._process.end()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/version", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _command(self, *arguments: str) -> None:
        command = [str(self._program), *arguments, "--config", str(self._config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _named(user: str) -> tuple[str, ...]:
    return (
        *("--username", user, "--password", PASSWORD, "--email", f"{user}@example.com"),
        "--must-change-password=false",
    )


@contextmanager
def serve_gitea(folder: Path) -> Iterator[Gitea]:
    """Starts a server, and ends it."""
    program = require_tool("gitea", "gitea")
    server = Gitea(folder, program, require_module("gitea", MODULE))
    try:
        server.begin()
        yield server
    finally:
        server.end()
