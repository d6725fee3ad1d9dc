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
from tests.processes import child_peaks, peak_kib
from tests.system.daemon import DaemonProcess
from tests.system.hostile import (
    BAD_PATHS,
    FILE,
    FLEET,
    KUSTOMIZATION,
    MANIFEST,
    PIN,
    POLICY,
    QUARANTINE,
    ROWS,
    SERVICE,
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
    *("dots as a builtin policy", "an absolute path as what an environment is after"),
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
    *(f"{kind} in every field with a path" for kind in BAD_PATHS),
    *(f"{kind} in every field that runs something" for kind in ("dots", "an address")),
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


STANDING = ("web", "api", "worker")
"""The namespaces of services whose good files nobody changes; those of `store` tell whether others go on."""

NAMESPACES = (*STANDING, "store")

Objects = dict[str, str]
"""What each object says, by where it is and what it is called."""


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

    def until_proven(self, version: str, what: str) -> None:
        """Waits until `store` is told to be proven in dev; then each of its Pods is a new one there."""
        self.daemon.until(lambda: self.runs("store", "dev") == version, what)
        pods = {n: text for n, text in self.objects("store").items() if n.startswith("dev-1 Pod ")}
        assert len(pods) == 2 and all(digest_for(Fate.READY, version) in t for t in pods.values())

    def mend(self, what: str) -> None:
        """Merges the good files again, and waits until nothing is on its way any more.

        What the next test sees change would be its own doing otherwise.
        """
        self.until_proven(self.push(), what)
        self.daemon.until(self.is_at_rest, what)

    def is_at_rest(self) -> bool:
        """Whether everything is proven everywhere."""
        return {cell["phase"] for cell in self.daemon.status()["cells"]} == {"Proven"}

    def objects(self, *namespaces: str) -> Objects:
        """Returns everything in some namespaces of every cluster, by what it is and what it says."""
        found: Objects = {}
        for name, cluster in self.fleet.clusters.items():
            for kind in ("ConfigMap", "Deployment", "Service", "Pod", "ServiceAccount"):
                served = next(k for (_, n), k in cluster.store.kinds.items() if n == kind)
                for obj in itertools.chain.from_iterable(
                    cluster.store.listed(served, namespace)[0] for namespace in namespaces
                ):
                    meta = obj["metadata"]
                    text = json.dumps(
                        [meta["uid"], obj.get("spec"), obj.get("data")], sort_keys=True
                    )
                    found[f"{name} {kind} {meta['namespace']}/{meta['name']}"] = text
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


def differing(before: Objects, after: Objects) -> dict[str, tuple[str | None, str | None]]:
    """Returns what is not as it was, by name: how it was, and how it is; None: it was, or is, not there."""
    names = sorted(before.keys() | after.keys())
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: (was, now) for name, (was, now) in pairs.items() if was != now}


PEAK_KIB_MAX = 600 * 1024
"""It has some 150 MiB when nobody does it any harm, and what exchanges and renders have is of their own."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Everything proven everywhere."""
    with ServedFleet() as fleet:
        folder = tmp_path_factory.mktemp("daemon")
        settings = {**settings_for(fleet), "repo": {"url": fleet.repo_url, "poll_s": 0.3}}
        with DaemonProcess(folder, settings) as daemon:
            daemon.wait_ready()
            lab = Lab(fleet, daemon)
            daemon.until(lab.is_at_rest, "all is proven")
            with child_peaks(daemon.pid) as peaks_kib:
                yield lab
            # Whatever it was given, in whatever order.
            assert peak_kib(daemon.pid) < PEAK_KIB_MAX
            assert max(peaks_kib.values(), default=0) < PEAK_KIB_MAX, peaks_kib


def broken(document: dict[str, Any]) -> str:
    """Returns what status says of files that cannot be used."""
    head = document["head"]
    return "\n".join(f"{b['path']}: {b['why']}" for b in head["broken"]) + (head["error"] or "")


@pytest.mark.parametrize("kind", [*BAD_PATHS, *TEXTS, *(f"a link to {what}" for what in TARGETS)])
def test_each_kind_of_bad_thing_is_chosen(kind: str) -> None:
    assert any(title.startswith(f"{kind} ") for title in CHOSEN) or kind in CHOSEN


@pytest.mark.parametrize("titles", cases(), ids=" and ".join)
def test_it_holds_whoever_it_stops_and_nobody_else(lab: Lab, titles: tuple[str, ...]) -> None:
    stops_its_own(lab, *(BY_TITLE[title] for title in titles))


@pytest.mark.parametrize(
    "paths",
    [
        *((PIN, KUSTOMIZATION), (SERVICE,), (MANIFEST,), ("services/web/dump.sql",)),
        *((QUARANTINE,), (FLEET,), (POLICY,)),
    ],
    ids=" and ".join,
)
def test_a_hundred_megabytes_hold_whoever_they_stop(lab: Lab, paths: tuple[str, ...]) -> None:
    octets = b"a: 1\n" * 20_000_000
    services = {KUSTOMIZATION: ("api",), FLEET: (), POLICY: ()}
    of_it = (Row(f"100 MB as {p}", p, octets, p, FILE, services.get(p, ("web",))) for p in paths)
    stops_its_own(lab, *of_it)


def stops_its_own(lab: Lab, *bad: Row) -> None:
    """Merges bad things, and sees that each stops its own services, or all, and touches nothing."""
    row, title = bad[0], " and ".join(row.title for row in bad)
    before = lab.objects(*STANDING)
    rows = list(bad)
    if row.path == QUARANTINE:
        # What it holds is not known, so that nothing new of the service may go on.
        digest = digest_for(Fate.READY, "9.9.9")
        images = f"images: {{registry.example.com/shop/web: '{digest}'}}"
        rows.append(Row("", PIN, f'release: {{version: "9.9.9", {images}}}\n'.encode(), ""))
    version = lab.push(*rows)
    commit = str(lab.repo.references["refs/heads/main"].target)
    if row.path in (FLEET, POLICY):
        lab.daemon.until(lambda: row.named in broken(lab.daemon.status()), f"{title} is told")
        head = lab.daemon.status()["head"]
        assert head["commit"] == commit != head["accepted"]
        assert lab.runs("store", "dev") not in (version, None), "the former commit stays"
    else:
        lab.until_proven(version, f"{title}: others go on")
        for one, service in ((row, service) for row in bad for service in row.services):
            cell = lab.daemon.cell(service, "dev")
            assert cell is not None and cell["admitted"] is not None
            assert cell["reason"] in HELD, cell
            assert one.named in cell["message"], cell
            assert [place for place in one.places if place not in cell["message"]] == []
            assert one.named in html.unescape(lab.explain(service))
        if not row.services:
            assert row.named in broken(lab.daemon.status())
    assert lab.daemon.is_running
    assert differing(before, lab.objects(*STANDING)) == {}
    assert not Path("/tmp/reconciler-was-here").exists()
    # And it goes on as if nothing had been, once the files are right again.
    lab.mend(f"it is well after {title}")


@pytest.mark.parametrize("name", [b"..", b".git", b"x" * 5000], ids=["dots", "git", "5000 bytes"])
def test_a_name_that_no_file_can_have_keeps_the_former_commit(lab: Lab, name: bytes) -> None:
    before = lab.objects(*NAMESPACES)
    commit = named(lab.repo, name, moves=True)
    lab.daemon.until(
        lambda: "no file of this name" in broken(lab.daemon.status()), "the name is refused"
    )
    head = lab.daemon.status()["head"]
    assert head["commit"] == commit != head["accepted"]
    assert f"environments/{name.decode()[:50]}" in head["error"] and len(head["error"]) < 1000
    assert differing(before, lab.objects(*NAMESPACES)) == {}
    lab.mend("it is well once that is gone")


def test_the_mirror_is_bare_and_nothing_is_checked_out(lab: Lab) -> None:
    state = Path(lab.daemon.settings["state_dir"])
    mirror = pygit2.Repository(str(state / "mirror.git"))
    assert mirror.is_bare
    index = pygit2.Index()
    index.read_tree(mirror.references["refs/remotes/origin/main"].peel(pygit2.Tree))
    names = {Path(entry.path).name for entry in index}
    assert {"fleet.yaml", "service.yaml", "web.yaml"} <= names
    found = {path.relative_to(state) for path in state.rglob("*")}
    assert [path for path in found if path.name in names | {".git", "index"}] == []


def test_a_pin_of_three_megabytes_stops_its_service_alone(lab: Lab) -> None:
    version = lab.push(Row("", PIN, b"# " + b"x" * 3_000_000, PIN))
    lab.until_proven(version, "others go on")
    cell = lab.daemon.cell("web", "dev")
    assert cell is not None and cell["reason"] == "InvalidPin" and PIN in cell["message"]
    lab.mend("it is well once that is gone")
