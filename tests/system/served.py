"""The demo's fleet without its daemon, and the command line on it: what tests of commands start from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from reconciler.cli.demo_fleet import CLUSTERS, DemoFleet
from reconciler.cli.root import reconciler

SETTLE_S = 120
"""It takes some seconds; a machine that runs other tests may take many times as long."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a command answered with."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


TOKENS = {name: f"token-of-{name}" for names in CLUSTERS.values() for name in names}


class ServedFleet(DemoFleet):
    """A Git remote and five simulated clusters, over loopback HTTP, that ask for TOKENS."""

    def __init__(self) -> None:
        super().__init__(TOKENS)

    def variables(self) -> dict[str, str]:
        """Returns the environment in which a command finds the fleet."""
        return {
            "RECONCILER_REPO": self.repo_url,
            "RECONCILER_KUBECONFIG": str(self.kubeconfig),
            "RECONCILER_HOME": "dev-1",
            "RECONCILER_STATE_DIR": str(self.folder / "looking"),
        }

    def cli(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Told:
        """Runs a command in this process."""
        return cli(*arguments, variables={**self.variables(), **(variables or {})})

    def settle(self, *, timeout_s: float = SETTLE_S) -> Told:
        """Runs the daemon, as a process of its own, until nothing is on its way."""
        listen = ("--listen", "127.0.0.1:0", "--probes-listen", "127.0.0.1:0")
        variables = {**self.variables(), "RECONCILER_STATE_DIR": str(self.folder / "state")}
        return process(
            *("run", "--once", "--timeout-s", f"{timeout_s:g}", "--mode", "enforce", "-o", "json"),
            *listen,
            variables=variables,
            limit_s=timeout_s + 60,
        )


def cli(
    *arguments: str, variables: Mapping[str, str] | None = None, stdin: bytes | None = None
) -> Told:
    """Runs a command in this process; what nobody foresaw is raised."""
    kept = {name: None for name in os.environ if name.startswith("RECONCILER_")}
    done = CliRunner().invoke(
        reconciler,
        arguments,
        env={**kept, **(variables or {})},
        input=stdin,
        catch_exceptions=False,
    )
    return Told(done.exit_code, done.stdout, done.stderr)


def process(
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    limit_s: float = 60,
    folder: Path | None = None,
    stdin: bytes = b"",
    file_bytes_max: int | None = None,
) -> Told:
    """Runs a command as its user does.

    Args:
        arguments: After `reconciler`.
        variables: More of its environment.
        limit_s: How long it may take.
        folder: Where it runs.
        stdin: What it reads there.
        file_bytes_max: No file may grow past this, as on a disk that is full.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
    command = [sys.executable, "-m", "reconciler", *arguments]
    if file_bytes_max is not None:
        # A shell counts in blocks of 512 bytes.
        command = ["sh", "-c", f'ulimit -f {file_bytes_max // 512}; exec "$@"', "sh", *command]
    done = subprocess.run(
        command,
        env={**kept, **(variables or {})},
        capture_output=True,
        input=stdin,
        timeout=limit_s,
        check=False,
        cwd=folder,
    )
    return Told(done.returncode, done.stdout.decode(), done.stderr.decode())
