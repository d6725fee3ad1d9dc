"""What the demo's daemon works on: a Git remote over loopback HTTP, simulated clusters, and a person."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from reconciler.adapters.git.demo_server import DemoGitServer
from reconciler.errors import OperatorError
from reconciler.model.objects import ObjectRef
from reconciler.schema.shipped import shipped
from reconciler.shell.runner import SystemClock
from reconciler.simulated.behaviour import Fate, Pace, digest_for, fate_of
from reconciler.simulated.cluster import SimulatedCluster
from reconciler.simulated.faults import WireFaults
from reconciler.simulated.http_front import ClusterServer, dump_kubeconfig

CLUSTERS = {
    "dev": ("dev-1",),
    "staging": ("staging-1",),
    "prod": ("prod-1", "prod-2", "prod-3"),
}
"""As fleet.yaml of the example repo names them."""

SOAK_S = 1.0
"""Minutes in the example repo; in a demo nobody waits for them."""

STEP_S = 0.05
GIT_TIMEOUT_S = 30

SERVICE = "web"


class DemoFleet:
    """Everything but the daemon, in a folder that goes away with it.

    Args:
        tokens: What each API server asks for, by cluster. None by default: people may look around with
            kubectl, which sends no token over plain HTTP.

    Attributes:
        folder: Holds all of it.
        kubeconfig: Its contexts are named as the clusters.
        repo_url: Where the remote is served.
        work: The person's own clone.
        kinds: What each of our own commits was made for.

    Raises:
        OperatorError: Git is not installed.
    """

    repo_url: str

    def __init__(self, tokens: Mapping[str, str] | None = None) -> None:
        self._tokens = tokens or {}
        self._stack = ExitStack()
        self.folder = Path(
            self._stack.enter_context(tempfile.TemporaryDirectory(prefix="reconciler-demo-"))
        )
        self.kubeconfig = self.folder / "kubeconfig"
        self.work = self.folder / "work"
        self._stopping = threading.Event()
        self.kinds: dict[str, str] = {}
        self.clusters: dict[str, SimulatedCluster] = {}
        self.faults: dict[str, WireFaults] = {}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._stack.close()

    def _start(self) -> None:
        bare = self.folder / "env.git"
        self._seed(bare)
        server = self._stack.enter_context(DemoGitServer(bare))
        self.repo_url = server.url
        kubeconfigs = [self._cluster(name) for names in CLUSTERS.values() for name in names]
        self.kubeconfig.write_text(dump_kubeconfig(kubeconfigs))
        self.kubeconfig.chmod(0o600)

    def _cluster(self, name: str) -> dict[str, Any]:
        """Starts one cluster; what crashes elsewhere does well in dev, as so often."""
        fates = _kind_to_dev if name.startswith("dev") else fate_of
        pace = Pace(ready_after_s=0.3, crash_every_s=0.4)
        cluster = SimulatedCluster(name, clock=SystemClock(), pace=pace, fates_of=fates)
        self.clusters[name] = cluster
        self.faults[name] = faults = WireFaults()
        server = ClusterServer(cluster.store, token=self._tokens.get(name, ""), faults=faults)
        self._stack.enter_context(server)
        threading.Thread(target=self._control, args=(cluster,), daemon=True).start()
        return server.kubeconfig(name)

    def _control(self, cluster: SimulatedCluster) -> None:
        while not self._stopping.wait(STEP_S):
            cluster.step()

    # Git, as people use it.

    def _seed(self, bare: Path) -> None:
        shutil.copytree(shipped("example-repo"), self.work)
        policy = self.work / "policies" / "line.yaml"
        text = re.sub(r"soak_s: \d+", f"soak_s: {SOAK_S:g}", policy.read_text())
        policy.write_text(text)
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare), at=self.folder)
        self.git("init", "--quiet", "--initial-branch=main", ".")
        self.git("remote", "add", "origin", str(bare))
        self._commit("The env repo", "seed")
        config = (("http.receivepack", "true"), ("receive.denyNonFastForwards", "true"))
        for name, value in config:
            self.git("config", name, value, at=bare)

    def merge(self, version: str, fate: Fate, kind: str) -> str:
        """Merges one release of the demo's service into every environment; returns the commit."""
        self.git("pull", "--quiet", "--rebase", "origin", "main")
        digest = digest_for(fate, version)
        for environment in CLUSTERS:
            pin = self.work / "environments" / environment / f"{SERVICE}.yaml"
            text = re.sub(r"version: \S+", f'version: "{version}"', pin.read_text())
            pin.write_text(re.sub(r"sha256:[0-9a-f]{64}", digest, text))
        return self._commit(f"Release {SERVICE} {version}", kind)

    def change(self, edits: Mapping[str, str | bytes | None], subject: str, kind: str = "") -> str:
        """Merges any change; None deletes a file. Returns the commit."""
        self.git("pull", "--quiet", "--rebase", "origin", "main")
        for path, content in edits.items():
            file = self.work / path
            file.unlink(missing_ok=True)
            if content is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content.encode() if isinstance(content, str) else content)
        return self._commit(subject, kind)

    def _commit(self, subject: str, kind: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        try:
            self.git("push", "--quiet", "origin", "main")
        except OperatorError:
            # The daemon's own commit may have come in between.
            self.git("pull", "--quiet", "--rebase", "origin", "main")
            self.git("push", "--quiet", "origin", "main")
        commit = self.git("rev-parse", "HEAD").strip()
        self.kinds[commit] = kind
        return commit

    def log(self) -> list[dict[str, str]]:
        """Returns the commits of main as people see them, oldest first."""
        self.git("fetch", "--quiet", "origin", "main")
        form = "%H%x1f%aI%x1f%an%x1f%s%x1f%B%x1e"
        told = self.git("log", "--reverse", f"--format={form}", "FETCH_HEAD")
        found = []
        for row in filter(None, (row.strip("\n") for row in told.split("\x1e"))):
            commit, at, author, subject, body = row.split("\x1f")
            found.append(
                {"commit": commit, "at": at, "author": author, "subject": subject, "body": body}
            )
        return found

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Runs Git as the person, in their clone unless told otherwise; returns what it says."""
        person = {"NAME": "A Person", "EMAIL": "person@example.com"}
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{k}": v for who in ("AUTHOR", "COMMITTER") for k, v in person.items()},
        }
        try:
            done = subprocess.run(
                ["git", *arguments],  # the person's own Git is meant
                cwd=at or self.work,
                env=environment,
                capture_output=True,
                text=True,
                timeout=GIT_TIMEOUT_S,
                check=True,
                # A terminal's Ctrl-C ends the demo between two steps, and not Git in the middle of one.
                process_group=0,
            )
        except FileNotFoundError as error:
            raise OperatorError("git", "the demo cannot run", "it is not installed") from error
        except subprocess.CalledProcessError as error:
            raise OperatorError("git", f"{arguments[0]} failed", error.stderr.strip()) from error
        return done.stdout

    # Looking on.

    def saw(self, cluster: str, digest: str) -> bool:
        """Whether a cluster was ever given a Deployment with an image of a digest."""
        store = self.clusters[cluster].store
        kind = store.served("apps/v1", "Deployment")
        assert kind is not None
        logged, _ = store.since(kind, 0, SERVICE)
        return any(digest in json.dumps(one.obj.get("spec")) for one in logged)

    def runs(self, cluster: str, digest: str) -> bool:
        """Whether the demo's service on a cluster asks for an image of a digest."""
        there = (
            self.clusters[cluster]
            .client()
            .get(ObjectRef("apps/v1", "Deployment", SERVICE, SERVICE))
        )
        return there is not None and digest in json.dumps(there["spec"])

    def until(self, is_done: Any, limit_s: float) -> bool:
        """Waits until something holds; returns whether it did in time."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            if is_done():
                return True
            time.sleep(0.02)
        return bool(is_done())


def _kind_to_dev(image: str) -> Fate:
    fate = fate_of(image)
    return Fate.READY if fate is Fate.CRASH else fate
