"""How long the main job takes on the real control plane, and what an idle daemon costs.

Every clock here is the bench's own watch of the clusters and of the remote: nothing is taken from the
daemon's word. The machine is noisy, so medians and worsts of many rounds are told, beside its facts.
"""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from benchmarks.fresh_clone import make_demo
from reconciler.adapters.kube.client import KubeClient
from reconciler.adapters.kube.connections import Allowances, from_kubeconfig
from reconciler.core.health import assess
from reconciler.model.health import Cause, HealthStatus
from reconciler.model.objects import ObjectRef
from reconciler.model.times import rfc3339
from reconciler.shell.runner import SystemClock
from reconciler.simulated.behaviour import Fate
from tests.cluster.fleet import Fleet, fleet, is_rolled_out
from tests.conftest import CRASHES_IN_STAGING
from tests.controlplane.cluster import DAEMON, ControlPlane, control_planes
from tests.gitservers.served import Way
from tests.processes import children, processor_s
from tests.system import envrepo
from tests.system.envrepo import CLUSTERS, digest

LOOK_S = 0.02
"""How often the bench looks; a fiftieth of the shortest time that it reports."""

LIMIT_S = 120.0

CLONES = 3
"""Each makes its environment anew, which takes most of its time."""

HEAD = (
    "# Benchmarks",
    "",
    "Written by `make bench`: the main job on four real control planes with a real Git server, and a daemon",
    "with nothing to do. The clock is the bench's own watch, from the Pod's status that first meets the bad",
    "rule, and from a hand edit's answer. Pods are kwok's, so they are ready at once and time here is ours",
    "and the API servers'. Processor time and memory are the daemon's and its children's. Fetches come every",
    "second, but every 15 s for the idle daemon, where they count.",
    "",
)
BETWEEN_EDITS_S = 4.0


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report.

    Attributes:
        wanted: The time it is measured against, in seconds, or empty.
    """

    what: str
    values: tuple[float, ...]
    unit: str
    wanted: str = ""

    def __str__(self) -> str:
        median, worst = statistics.median(self.values), max(self.values)
        return f"| {self.what} | {median:.2f} | {worst:.2f} | {len(self.values)} | {self.unit} | {self.wanted} |"


@click.command()
@click.option("--rounds", default=20, help="Bad releases and edits, each.")
@click.option("--services", default=100, help="Of the idle fleet.")
@click.option("--idle-s", default=300.0, help="How long the idle fleet is watched, in seconds.")
@click.option("--out", type=click.Path(path_type=Path), help="The page to write, beside stdout.")
def main(rounds: int, services: int, idle_s: float, out: Path | None) -> None:
    """Measure the main job, drift and idleness."""
    rows = first_commands(rounds)
    with tempfile.TemporaryDirectory() as name, clusters(Path(name)) as planes:
        folder = Path(name)
        for way in (Way.HTTP, Way.SSH):
            with fleet(planes, folder / f"bad-{way}", way=way) as made:
                rows += bad_releases(made, rounds, way)
        with fleet(planes, folder / "drift") as made:
            rows += drift(made, rounds)
        with fleet(planes, folder / "idle") as made:
            rows += idle(made, services, idle_s)
    page = report(rows)
    click.echo(page)
    if out is not None:
        out.write_text(page)


def first_commands(rounds: int) -> list[Row]:
    """Runs the demo as the first command in fresh clones, and by itself; package caches are as they are."""
    with tempfile.TemporaryDirectory() as name:
        demos = [make_demo(Path(name) / str(number)) for number in range(CLONES)]
    assert all(any("RevertPushed" in line for line in demo.said) for demo in demos)
    seconds = tuple(demo.ready_s for demo in demos)
    ready = Row("`make demo` in an empty clone to `ready`", seconds, "s", "< 120")
    once = [_demo_once() for _ in range(max(1, rounds // 4))]
    return [ready, Row("`reconciler demo --script bad-release --once`", tuple(once), "s", "< 60")]


def _demo_once() -> float:
    """Returns the seconds that the demo takes unattended."""
    words = ("demo", "--script", "bad-release", "--once", "-o", "json")
    began_s = time.monotonic()
    command = (sys.executable, "-m", "reconciler", *words)
    subprocess.run(command, stdout=subprocess.DEVNULL, timeout=LIMIT_S, check=True)
    return time.monotonic() - began_s


@contextmanager
def clusters(folder: Path) -> Iterator[dict[str, ControlPlane]]:
    """Starts dev, staging and prod in two waves, as the tests do."""
    names: dict[str, dict[str, Fate]] = {name: {} for name in CLUSTERS}
    names["staging-1"] = {CRASHES_IN_STAGING: Fate.CRASH}
    folder = folder / "planes"
    folder.mkdir()
    with control_planes(folder, names) as planes:
        yield planes


def bad_releases(made: Fleet, rounds: int, way: Way) -> list[Row]:
    """Merges releases that crash in staging; from the Pod's status to clusters back, then to the remote."""
    good = "1.0.0"
    made.start_with(good)
    client = _client(made.planes["staging-1"])
    back: list[float] = []
    reverted: list[float] = []
    for number in range(rounds):
        back_s, reverted_s = _bad_release(made, client, f"2.{number}.0", digest(good))
        back.append(back_s)
        reverted.append(reverted_s)
    return [
        Row(f"bad Pod status to clusters back, {way}", tuple(back), "s", "median < 3"),
        Row(f"bad Pod status to revert on the remote, {way}", tuple(reverted), "s", "median < 10"),
    ]


def _bad_release(made: Fleet, client: KubeClient, version: str, good: str) -> tuple[float, float]:
    """Returns seconds from a Pod's failure to clusters back, and to the revert on the remote."""
    tip = made.served.repository.path / "refs/heads/main"
    head = made.merge(made.pins(version, marker=CRASHES_IN_STAGING))
    failed_s = _failed_s(client, made, digest(version, marker=CRASHES_IN_STAGING))
    back_s = _when(lambda: _is_back(client, made, good), "staging is back")
    reverted_s = _when(lambda: tip.read_text().strip() != head, "a revert is on the remote")
    made.daemon.until(lambda: _is_at_rest(made), "the roll-back is recorded")
    return back_s - failed_s, reverted_s - failed_s


def drift(made: Fleet, rounds: int) -> list[Row]:
    """Edits a live Deployment by hand; from the edit's answer to the old value."""
    made.start_with("1.0.0", envrepo.policy(drift="correct"))
    path = f"/apis/apps/v1/namespaces/{made.name}/deployments/{made.service}"
    clients = {name: _client(plane) for name, plane in made.planes.items()}
    took: list[float] = []
    for number in range(rounds):
        name = CLUSTERS[number % len(CLUSTERS)]
        began_s = time.monotonic()
        patch = {"spec": {"replicas": 3 + number}}
        made.planes[name].request("PATCH", f"{path}?fieldManager=by-hand", patch)
        took.append(_put_right(clients[name], made) - began_s)
        # Whoever writes against us more often than a person would is met with patience.
        time.sleep(BETWEEN_EDITS_S)
    return [Row("edit to corrected", tuple(took), "s", "< 2")]


def _put_right(client: KubeClient, made: Fleet) -> float:
    return _when(lambda: _replicas(client, made) == 2, "it is put right")


def idle(made: Fleet, services: int, idle_s: float) -> list[Row]:
    """Lets a settled fleet of services rest; its daemon's processor time and writes."""
    names = [f"svc{number:03d}" for number in range(services)]
    files = envrepo.env_repo(names, made.name, replicas=1)
    for name in names:
        files |= envrepo.pins(name, "1.0.0")
    # The tests' haste is not what a user has: the lease and the fetches come at their default times.
    del made.daemon.settings["lease"]
    del made.daemon.settings["repo"]["poll_s"]
    began_s = time.monotonic()
    made.merge(files)
    made.daemon.start()
    made.daemon.until(lambda: _all_proven(made, services), "all is proven", 1800)
    installed_s = time.monotonic() - began_s
    time.sleep(30)
    before = {c: len(made.planes[c].writes(DAEMON)) for c in CLUSTERS}
    cpu_s, at_s = processor_s(made.daemon.pid), time.monotonic()
    time.sleep(idle_s)
    used_s, passed_s = processor_s(made.daemon.pid) - cpu_s, time.monotonic() - at_s
    memory_mib = sum(map(_rss_mib, (made.daemon.pid, *children(made.daemon.pid))))
    writes = [e for c in CLUSTERS for e in made.planes[c].writes(DAEMON)[before[c] :]]
    others = [e for e in writes if e["objectRef"]["resource"] != "leases"]
    label = f"idle for {idle_s:g} s, {services} services"
    return [
        Row(f"{services} services × 4 clusters, push to all proven", (installed_s,), "s"),
        Row(f"{label}, processor", (100 * used_s / passed_s,), "% of a core", "< 2"),
        Row(f"{label}, writes but the lease", (float(len(others)),), "writes", "0"),
        Row(f"{label}, memory", (memory_mib,), "MiB"),
    ]


def report(rows: list[Row]) -> str:
    """Returns the page: the machine's facts, then the table."""
    facts = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"etcd and the control planes of four clusters on the same machine, "
        f"{rfc3339(SystemClock().now().replace(microsecond=0))}"
    )
    lines = ["| what | median | worst | of | unit | wanted |", "|---|---|---|---|---|---|"]
    return "\n".join([*HEAD, f"Measured on {facts}.", "", *lines, *map(str, rows), ""])


def _client(plane: ControlPlane) -> KubeClient:
    return from_kubeconfig(
        plane.admin_kubeconfig,
        plane.name,
        name=plane.name,
        allow=Allowances(),
        request_timeout_s=10,
    )


def _when(is_so: Callable[[], object], what: str) -> float:
    """Returns the monotonic time at which something first held."""
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        if is_so():
            return time.monotonic()
        time.sleep(LOOK_S)
    raise AssertionError(f"not in {LIMIT_S:g} s: {what}")


def _failed_s(client: KubeClient, made: Fleet, bad: str) -> float:
    """Returns the monotonic time at which a Pod with the bad digest first met the bad rule.

    By a watch: a Pod that is taken back in a tenth of a second may come and go between two looks.
    """
    pods = {"namespace": made.name, "label_selector": ""}
    since = client.list("v1", "Pod", **pods).resource_version
    events = client.watch("v1", "Pod", **pods, resource_version=since, timeout_s=LIMIT_S)
    for event in events:
        judged = assess(event.object, ())
        if bad not in str(event.object.get("spec")):
            continue
        if judged.status is HealthStatus.FAILED and judged.cause is Cause.RELEASE:
            return time.monotonic()
    raise AssertionError(f"not in {LIMIT_S:g} s: a Pod fails")


def _is_back(client: KubeClient, made: Fleet, wanted: str) -> bool:
    return is_rolled_out(_deployment(client, made), wanted)


def _is_at_rest(made: Fleet) -> bool:
    record = made.record("staging")
    rejected = record.rejections if record else ()
    return bool(rejected and rejected[0].rolled_back_at and rejected[0].revert.commit)


def _replicas(client: KubeClient, made: Fleet) -> int:
    found = _deployment(client, made)
    return int(found["spec"]["replicas"]) if found else 0


def _deployment(client: KubeClient, made: Fleet) -> Mapping[str, Any] | None:
    return client.get(ObjectRef("apps/v1", "Deployment", made.name, made.service))


def _all_proven(made: Fleet, services: int) -> bool:
    cells = made.daemon.status()["cells"]
    return len(cells) == 3 * services and {c["phase"] for c in cells} == {"Proven"}


def _rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    main()
