"""One real cluster: an API server over a shared etcd, its controllers and scheduler, and kwok for its Pods."""

from __future__ import annotations

import base64
import json
import secrets
import signal
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import yaml

from reconciler.simulated.behaviour import Fate
from tests.controlplane.process import Process
from tests.controlplane.requiring import require_tool
from tests.controlplane.stages import stages
from tests.ports import free_port
from tests.system.apt import require

READY_S = 90.0
"""An API server is ready in three seconds; four of them on two busy cores are given much more."""

DAEMON = "reconciler"
"""The user that the daemon under test connects as."""

STANDBY = "standby"
"""The user that a second daemon beside it connects as."""

LIMITED = "limited"
"""A user that may do nothing but what a test's role allows."""

_AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Request",
            "userGroups": ["reconcilers"],
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
        },
        # What a service account asked for, and was refused: no controller here has one.
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}

_CONTROLLERS = (
    "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,"
    "job-controller,namespace-controller,garbage-collector-controller,endpointslice-controller,"
    "serviceaccount-controller,node-lifecycle-controller,persistentvolume-binder-controller"
)


class Etcd:
    """One etcd for every cluster, each below a prefix of its own; nothing of it need survive.

    Args:
        folder: Where it keeps its data.
    """

    def __init__(self, folder: Path) -> None:
        self._binary = require_tool("etcd", "etcd")
        self._folder = folder
        self.port = free_port()
        self._process: Process | None = None

    def __enter__(self) -> Self:
        peer = free_port()
        self._process = Process(
            [
                str(self._binary),
                "--unsafe-no-fsync",
                f"--data-dir={self._folder / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{self.port}",
                f"--advertise-client-urls=http://127.0.0.1:{self.port}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}",
                "--log-level=error",
            ],
            self._folder / "etcd.log",
        )
        _wait_until(lambda: _answers(f"http://127.0.0.1:{self.port}/health"), "etcd")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.end()

    def compact(self) -> None:
        """Forgets every version of everything but the one that is now.

        Source: etcd's own gateway, https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/.
        """
        now = self._ask("maintenance/status", {})["header"]["revision"]
        self._ask("kv/compaction", {"revision": now, "physical": True})

    def _ask(self, path: str, body: Any) -> Any:
        url, text = f"http://127.0.0.1:{self.port}/v3/{path}", json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data=text), timeout=20) as answer:
            return json.load(answer)


class ControlPlane:
    """One cluster.

    Attributes:
        name: As in fleet.yaml.
        url: Of its API server.
        audit_log: The daemon's writes, as the API server saw them.
        admin_kubeconfig: For the test itself.

    Args:
        name: The cluster's name.
        folder: A folder of its own.
        etcd: The shared etcd.
        fates: What becomes of an image here by its marker, beside the shared table.
    """

    def __init__(
        self, name: str, folder: Path, etcd: Etcd, fates: Mapping[str, Fate] | None = None
    ) -> None:
        self.name = name
        self._folder = folder
        self._etcd = etcd
        self._fates = dict(fates or {})
        self._port = free_port()
        self._tokens = {user: secrets.token_hex(16) for user in ("admin", DAEMON, STANDBY, LIMITED)}
        self._programs: dict[str, Process] = {}
        self._server: Process | None = None
        self.url = f"https://127.0.0.1:{self._port}"
        self.audit_log = folder / "audit.jsonl"
        self.admin_kubeconfig = folder / "admin.kubeconfig"
        folder.mkdir(parents=True)

    def __enter__(self) -> Self:
        self._write_files()
        self.start_server()
        self.admin_kubeconfig.write_text(json.dumps(self.kubeconfig("admin")))
        self.admin_kubeconfig.chmod(0o600)
        self._start_rest()
        return self

    def __exit__(self, *_: object) -> None:
        for program in (*reversed(self._programs.values()), self._server):
            if program is not None:
                program.end()

    def kubeconfig(self, user: str) -> dict[str, Any]:
        """Returns a kubeconfig whose one context is named as the cluster."""
        authority = (self._folder / "certs/apiserver.crt").read_bytes()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.name,
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": self.name}}],
            "clusters": [
                {
                    "name": self.name,
                    "cluster": {
                        "server": self.url,
                        "certificate-authority-data": base64.b64encode(authority).decode(),
                    },
                }
            ],
            "users": [{"name": self.name, "user": {"token": self._tokens[user]}}],
        }

    def start_server(self) -> None:
        """Starts the API server, on the same port and data as before, and waits until it is ready."""
        arguments = [
            str(require_tool("kubernetes", "kube-apiserver")),
            f"--etcd-servers=http://127.0.0.1:{self._etcd.port}",
            f"--etcd-prefix=/{self.name}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={self._folder / 'certs'}",
            f"--service-account-key-file={self._folder / 'sa.pub'}",
            f"--service-account-signing-key-file={self._folder / 'sa.key'}",
            f"--service-account-issuer={self.url}",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self._folder / 'audit.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking-strict",
            "--allow-privileged=true",
            "--v=0",
        ]
        self._server = Process(arguments, self._folder / "apiserver.log")
        _wait_until(self._is_ready, f"the API server of {self.name}", self._server)

    def stop_server(self) -> None:
        """Ends the API server; its port refuses connections from now on."""
        assert self._server is not None
        self._server.end()

    def compact(self) -> None:
        """Makes what is stored forget its past; what the API server itself remembers stays."""
        self._etcd.compact()

    def freeze_server(self) -> None:
        """Stops the API server in its tracks: connections are taken, and nothing is answered."""
        assert self._server is not None
        self._server.signal(signal.SIGSTOP)

    def thaw_server(self) -> None:
        """Lets a frozen API server go on."""
        assert self._server is not None
        self._server.signal(signal.SIGCONT)

    def freeze_pods(self) -> None:
        """Stops what plays the kubelets: Pods stay as they are, and new ones pending."""
        self._programs["kwok"].signal(signal.SIGSTOP)

    def thaw_pods(self) -> None:
        """Lets Pods go on; what was frozen is told by nothing that they say."""
        self._programs["kwok"].signal(signal.SIGCONT)

    def writes(self, user: str = DAEMON) -> list[dict[str, Any]]:
        """Returns what the API server's audit log has of a user's writes, in order."""
        if not self.audit_log.exists():
            return []
        entries = [json.loads(line) for line in self.audit_log.read_text().splitlines()]
        return [e for e in entries if e["user"]["username"] == user]

    def _is_ready(self) -> bool:
        return _answers(f"{self.url}/readyz", token=self._tokens["admin"])

    def _write_files(self) -> None:
        rows = [
            f"{self._tokens['admin']},admin,admin,system:masters",
            *(
                f'{self._tokens[user]},{user},{user},"system:masters,reconcilers"'
                for user in (DAEMON, STANDBY)
            ),
            f"{self._tokens[LIMITED]},{LIMITED},{LIMITED},reconcilers",
        ]
        (self._folder / "tokens.csv").write_text("\n".join(rows) + "\n")
        (self._folder / "audit.yaml").write_text(yaml.safe_dump(_AUDIT))
        (self._folder / "stages.yaml").write_text(stages(self._fates))
        openssl = str(require("openssl", "openssl"))
        key, public = self._folder / "sa.key", self._folder / "sa.pub"
        subprocess.run(
            [openssl, "genrsa", "-out", str(key), "2048"], check=True, capture_output=True
        )
        subprocess.run(
            [openssl, "rsa", "-in", str(key), "-pubout", "-out", str(public)],
            check=True,
            capture_output=True,
        )

    def _start_rest(self) -> None:
        kubeconfig = f"--kubeconfig={self.admin_kubeconfig}"
        shared = [kubeconfig, "--leader-elect=false", "--secure-port=0", "--v=0"]
        self._run(
            "kubernetes",
            "kube-controller-manager",
            [
                *shared,
                f"--controllers={_CONTROLLERS}",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
                # kwok's nodes send no heartbeats; what a lost node does is not tested here.
                "--node-monitor-grace-period=100h",
            ],
        )
        self._run("kubernetes", "kube-scheduler", shared)
        self._run(
            "kwok",
            "kwok",
            [
                kubeconfig,
                "--manage-all-nodes",
                "--node-ip=10.0.0.1",
                f"--config={self._folder / 'stages.yaml'}",
            ],
        )
        _create_node(self)
        _wait_until(lambda: _is_schedulable(self), f"the node of {self.name}")

    def _run(self, folder: str, program: str, arguments: list[str]) -> None:
        binary = require_tool(folder, program)
        log = self._folder / f"{program}.log"
        self._programs[program] = Process([str(binary), *arguments], log)

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Sends a request as the administrator; for a test's own hand on the cluster."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=json.dumps(body).encode() if body is not None else None,
            method=method,
            headers={
                "Authorization": f"Bearer {self._tokens['admin']}",
                "Content-Type": "application/merge-patch+json"
                if method == "PATCH"
                else "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=20, context=_UNCHECKED) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def find(self, path: str) -> dict[str, Any] | None:
        """Returns what is at a path, or None where the server says that it is not there."""
        try:
            return self.request("GET", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None


@contextmanager
def control_planes(
    folder: Path, names: Mapping[str, Mapping[str, Fate]]
) -> Iterator[dict[str, ControlPlane]]:
    """Starts clusters side by side.

    Args:
        folder: For their data and logs.
        names: Each cluster's name, and what becomes of images there alone.
    """
    with ExitStack() as stack:
        etcd = stack.enter_context(Etcd(folder))
        planes = {n: ControlPlane(n, folder / n, etcd, fates) for n, fates in names.items()}
        for plane in planes.values():
            stack.push(plane.__exit__)
        failures: list[BaseException] = []

        def start(plane: ControlPlane) -> None:
            try:
                plane.__enter__()
            except BaseException as error:  # noqa: BLE001  # told in the caller's thread
                failures.append(error)

        threads = [threading.Thread(target=start, args=(p,)) for p in planes.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        yield planes


def _create_node(plane: ControlPlane) -> None:
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"{plane.name}-node", "annotations": {"kwok.x-k8s.io/node": "fake"}},
    }
    plane.request("POST", "/api/v1/nodes", node)


def _is_schedulable(plane: ControlPlane) -> bool:
    """Whether Pods may run: a node is born with a taint, and a DaemonSet wants no Pod on it until that is off."""
    node = plane.request("GET", f"/api/v1/nodes/{plane.name}-node")
    ready = [c for c in node["status"].get("conditions") or () if c["type"] == "Ready"]
    return not node["spec"].get("taints") and [c["status"] for c in ready] == ["True"]


_UNCHECKED = ssl.create_default_context()
_UNCHECKED.check_hostname = False
_UNCHECKED.verify_mode = ssl.CERT_NONE
"""The test's own hand: what the daemon checks of certificates is tested on the daemon."""


def _answers(url: str, token: str = "") -> bool:
    request = urllib.request.Request(url)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=5, context=_UNCHECKED) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _wait_until(is_done: Any, what: str, process: Process | None = None) -> None:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s:
        if is_done():
            return
        if process is not None and process.has_ended:
            break
        time.sleep(0.05)
    words = process.last_words if process is not None else ""
    raise AssertionError(f"{what} did not get ready: {words}")
