"""Hostile and broken commits through the running daemon: held by name, nothing touched, the others go on."""

from __future__ import annotations

import html
import itertools
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygit2
import pytest

from reconciler.simulated.behaviour import Fate, digest_for
from tests.install.fleet import settings_for
from tests.system.daemon import DaemonProcess
from tests.system.hostile import (
    BAD_PATHS,
    MANIFEST,
    PIN,
    QUARANTINE,
    ROWS,
    TARGETS,
    TEXTS,
    Row,
)
from tests.system.pushing import committed, named
from tests.system.served import ServedFleet

pytestmark = pytest.mark.xdist_group("bad-input-daemon")

HELD = {"InvalidPin", "InvalidService", "RenderFailed", "Orphaned", "QuarantineUnreadable"}
"""What a broken file may be called; an orphan is one whose file is no file any more."""

CHOSEN = (
    *("dots as a policy", "4 KiB as a dependency", "NUL as a namespace", "an option as a source"),
    *("percent dots as an image", "Unicode dots as a cluster", "deep dots in resources"),
    *("an absolute path in components", "an address in bases", "a helper in resources"),
    *("dots in patches", "dots in envs of configMapGenerator"),
    *("an absolute path in files of secretGenerator", "NUL in envs of secretGenerator"),
    *("deep dots in patchesStrategicMerge", "an address in patchesJson6902"),
    *("dots as an environment's namespace", "an absolute path as the environment of a namespace"),
    *("dots as an environment of the fleet", "4 KiB as a cluster of the fleet"),
    *("percent dots as a step of a policy", "a helper as an environment of a policy"),
    *("an option as a wave", "Unicode dots in a quarantine"),
    *("a pin named %2e%2e", "a service named -x", "a service named WEB"),
    *(f"a link to a system file as {path}" for path in (PIN, "services/web/web.yaml")),
    *("a link to itself as services/web/service.yaml", "a link to another environment as " + PIN),
    *("a link to the repository as a kustomization", "a link as a service"),
    *("a link as an environment", "a link as fleet.yaml", "a submodule as services/web"),
    *("an LFS pointer as " + PIN, "an LFS pointer in base", "a link as a quarantine"),
    *(f"an alias bomb as {path}" for path in (PIN, "services/web/web.yaml", "fleet.yaml")),
    *("a depth of ten thousand as services/web/web.yaml", "50 KB of brackets as " + PIN),
    *("a hundred thousand documents as services/web/web.yaml", "a key given twice as " + PIN),
    *("UTF-16 as services/web/service.yaml", "a byte order mark", "tabs as policies/line.yaml"),
    *("a Python object as " + PIN, "a Python object as services/web/web.yaml", "the version 1e3"),
    *("the version no", "a mode of 0400 in values", "an alias bomb as services/api/base/kustomization.yaml"),
    *("half a character as quarantine/web.yaml", "an empty file as policies/line.yaml"),
    *("a two-dot leader as an image", "a backslash in resources", "the version 0400"),
    *("a link to /etc as a service", "a link to /etc as an environment", "a link to /etc as a base"),
    *("a link to a file as services/web/web.yaml", "a link to a folder as a kustomization"),
    *("ten thousand mappings in one another as " + PIN, "50 KB of braces as services/web/web.yaml"),
    *("bytes that are no text as services/web/web.yaml", "a NUL as services/web/service.yaml"),
    *("a tag of its own as services/web/web.yaml", "a merge key as " + PIN),
    *("only a comment as " + PIN, "a list as services/api/base/kustomization.yaml"),
    *("a word as quarantine/web.yaml", "an LFS pointer as fleet.yaml"),
)  # fmt: skip
"""One of each kind of answer: each takes the daemon a few seconds, and `validate` is given them all."""

BY_TITLE = {row.title: row for row in ROWS}


def cases() -> list[tuple[str, ...]]:
    """Returns what is merged together: of what stops one service alone, one of web and one of api."""

    def stops(title: str, service: str) -> bool:
        # A whole environment is everybody's, and a quarantine is looked at in a way of its own.
        is_own = BY_TITLE[title].path not in (QUARANTINE, "environments/dev")
        return is_own and BY_TITLE[title].services == (service,)

    web, api = ([title for title in CHOSEN if stops(title, name)] for name in ("web", "api"))
    rest = [title for title in CHOSEN if title not in web and title not in api]
    pairs = [(*web[at : at + 1], *api[at : at + 1]) for at in range(max(len(web), len(api)))]
    return [*pairs, *((title,) for title in rest)]


NAMESPACES = ("web", "api", "worker", "store")


class Lab:
    """A daemon on the demo's fleet, and a server's view of its repository."""

    def __init__(self, fleet: ServedFleet, daemon: DaemonProcess) -> None:
        self.fleet = fleet
        self.daemon = daemon
        self.repo = pygit2.Repository(str(fleet.folder / "env.git"))
        self.good = str(self.repo.references["refs/heads/main"].target)
        self._numbers = itertools.count(1)

    def push(self, *rows: Row) -> str:
        """Merges bad things on top of the good files; returns what `store` is asked for beside them."""
        version = f"2.2.{next(self._numbers)}"
        committed(self.repo, *rows, _store(version), moves=True, base=self.good)
        return version

    def runs(self, service: str, environment: str) -> str | None:
        """Returns the version that is proven in a cell."""
        cell = self.daemon.cell(service, environment)
        if cell is None or cell["phase"] != "Proven" or cell["admitted"] is None:
            return None
        return str(cell["admitted"]["version"])

    def objects(self, namespace: str) -> dict[str, str]:
        """Returns everything in a namespace of every cluster, by what it is and what it says."""
        found: dict[str, str] = {}
        for name, cluster in self.fleet.clusters.items():
            for kind in ("ConfigMap", "Deployment", "Service", "Pod", "ServiceAccount"):
                served = next(k for (_, n), k in cluster.store.kinds.items() if n == kind)
                for obj in cluster.store.listed(served, namespace)[0]:
                    meta = obj["metadata"]
                    text = json.dumps(
                        [meta["uid"], obj.get("spec"), obj.get("data")], sort_keys=True
                    )
                    found[f"{name} {kind} {meta['name']}"] = text
        return found

    def explain(self, service: str) -> str:
        """Returns what the page says of a service."""
        with urllib.request.urlopen(f"{self.daemon.page_url}/services/{service}") as answer:
            return str(answer.read().decode())


def _store(version: str) -> Row:
    digest = digest_for(Fate.READY, version)
    images = f"images: {{registry.example.com/shop/store: '{digest}'}}"
    text = f'release: {{version: "{version}", {images}}}\n'
    return Row("", "environments/dev/store.yaml", text.encode(), "")


PEAK_KIB_MAX = 600 * 1024
"""It has some 150 MiB when nobody does it any harm."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Everything proven everywhere."""
    with ServedFleet() as fleet:
        folder = tmp_path_factory.mktemp("daemon")
        settings = {**settings_for(fleet), "repo": {"url": fleet.repo_url, "poll_s": 0.3}}
        with DaemonProcess(folder, settings) as daemon:
            daemon.wait_ready()
            lab = Lab(fleet, daemon)
            daemon.until(
                lambda: {c["phase"] for c in daemon.status()["cells"]} == {"Proven"},
                "all is proven",
            )
            yield lab
            # Whatever it was given, in whatever order.
            assert peak_kib(daemon.pid) < PEAK_KIB_MAX


def peak_kib(pid: int) -> int:
    """Returns the most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if "VmHWM" in line))


def broken(document: dict[str, Any]) -> str:
    """Returns what status says of files that cannot be used."""
    head = document["head"]
    return "\n".join(f"{b['path']}: {b['why']}" for b in head["broken"]) + (head["error"] or "")


@pytest.mark.parametrize("kind", [*BAD_PATHS, *TEXTS, *(f"a link to {what}" for what in TARGETS)])
def test_each_kind_of_bad_thing_is_chosen(kind: str) -> None:
    assert any(title.startswith(f"{kind} ") for title in CHOSEN) or kind in CHOSEN


@pytest.mark.parametrize("titles", cases(), ids=" and ".join)
def test_it_holds_whoever_it_stops_and_nobody_else(lab: Lab, titles: tuple[str, ...]) -> None:
    bad, title = [BY_TITLE[title] for title in titles], " and ".join(titles)
    row = bad[0]
    before = {namespace: lab.objects(namespace) for namespace in ("web", "api", "worker")}
    rows = list(bad)
    if row.path == QUARANTINE:
        # What it holds is not known, so that nothing new of the service may go on.
        digest = digest_for(Fate.READY, "9.9.9")
        images = f"images: {{registry.example.com/shop/web: '{digest}'}}"
        rows.append(Row("", PIN, f'release: {{version: "9.9.9", {images}}}\n'.encode(), ""))
    version = lab.push(*rows)
    commit = str(lab.repo.references["refs/heads/main"].target)
    stops_all = row.path in ("fleet.yaml", "policies/line.yaml")
    if stops_all:
        lab.daemon.until(lambda: row.named in broken(lab.daemon.status()), f"{title} is told")
        head = lab.daemon.status()["head"]
        assert head["commit"] == commit != head["accepted"]
        assert lab.runs("store", "dev") not in (version, None), "the former commit stays"
    else:
        lab.daemon.until(lambda: lab.runs("store", "dev") == version, f"{title}: others go on")
        for one, service in ((row, service) for row in bad for service in row.services):
            cell = lab.daemon.cell(service, "dev")
            assert cell is not None and cell["admitted"] is not None
            assert cell["reason"] in HELD, cell
            assert one.named in cell["message"], cell
            assert one.named in html.unescape(lab.explain(service))
        if not row.services:
            assert row.named in broken(lab.daemon.status())
    assert lab.daemon.is_running
    for namespace, objects in before.items():
        assert lab.objects(namespace) == objects, f"something of {namespace} was touched"
    assert not Path("/tmp/reconciler-was-here").exists()
    # And it goes on as if nothing had been, once the files are right again.
    version = lab.push()
    lab.daemon.until(lambda: lab.runs("store", "dev") == version, f"it is well after {title}")
    lab.daemon.until(
        lambda: (
            {c["phase"] for c in lab.daemon.status()["cells"]}
            <= {"Proven", "Soaking", "RollingOut"}
        ),
        f"nothing is held after {title}",
    )


@pytest.mark.parametrize("name", [b"..", b".git", b"x" * 5000], ids=["dots", "git", "5000 bytes"])
def test_a_name_that_no_file_can_have_keeps_the_former_commit(lab: Lab, name: bytes) -> None:
    before = {namespace: lab.objects(namespace) for namespace in NAMESPACES}
    commit = named(lab.repo, name, moves=True)
    lab.daemon.until(
        lambda: "no file of this name" in broken(lab.daemon.status()), "the name is refused"
    )
    head = lab.daemon.status()["head"]
    assert head["commit"] == commit != head["accepted"]
    assert f"environments/{name.decode()[:50]}" in head["error"] and len(head["error"]) < 1000
    assert {namespace: lab.objects(namespace) for namespace in NAMESPACES} == before
    version = lab.push()
    lab.daemon.until(lambda: lab.runs("store", "dev") == version, "it is well once that is gone")


@pytest.mark.parametrize("path", [PIN, MANIFEST, "services/web/dump.sql"])
def test_a_file_of_a_hundred_megabytes_stops_its_service_alone(lab: Lab, path: str) -> None:
    before = {namespace: lab.objects(namespace) for namespace in ("web", "api", "worker")}
    version = lab.push(Row("", path, b"a: 1\n" * 20_000_000, path))
    lab.daemon.until(lambda: lab.runs("store", "dev") == version, "others go on")
    cell = lab.daemon.cell("web", "dev")
    assert cell is not None and cell["reason"] in HELD and path in cell["message"], cell
    assert {namespace: lab.objects(namespace) for namespace in before} == before
    version = lab.push()
    lab.daemon.until(lambda: lab.runs("store", "dev") == version, "it is well once that is gone")


def test_a_pin_of_three_megabytes_stops_its_service_alone(lab: Lab) -> None:
    version = lab.push(Row("", PIN, b"# " + b"x" * 3_000_000, PIN))
    lab.daemon.until(lambda: lab.runs("store", "dev") == version, "others go on")
    cell = lab.daemon.cell("web", "dev")
    assert cell is not None and cell["reason"] == "InvalidPin" and PIN in cell["message"]
    lab.push()
