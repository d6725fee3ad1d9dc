"""Kustomizations through the Builder and the real tool, confined to a service's own files."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.adapters.render import LIMITS, Limits, ServiceBuilder, confined
from reconciler.adapters.render.confined import run_confined
from reconciler.adapters.render.kustomize import find_kubectl
from reconciler.errors import InvalidInput, TransientError
from reconciler.model.env_repo import SourceKind
from reconciler.model.names import EnvironmentName
from tests.kernel import require_network_namespaces
from tests.processes import child_peaks, children

K = "kustomization.yaml"
CONFIG_MAP = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1', d: '2024-01-31'}\n"
)
BASIS = {f"base/{K}": "resources: [a.yaml]", "base/a.yaml": CONFIG_MAP}


def build(
    files: dict[str, str], environment: str = "prod", limits: Limits = LIMITS
) -> list[dict[str, Any]]:
    octets = {path: content.encode() for path, content in files.items()}
    built = ServiceBuilder(limits).build(SourceKind.KUSTOMIZE, octets, EnvironmentName(environment))
    return [dict(obj) for obj in built]


def fault(files: dict[str, str], limits: Limits = LIMITS) -> str:
    with pytest.raises(InvalidInput) as caught:
        build(files, limits=limits)
    return str(caught.value)


def test_an_overlay_is_built_over_its_base_and_others_play_no_part() -> None:
    files = BASIS | {
        f"overlays/prod/{K}": "resources: [../../base]\nnamePrefix: p-\n"
        "patches: [{path: p.yaml, target: {kind: ConfigMap}}]",
        "overlays/prod/p.yaml": "- {op: replace, path: /data/x, value: '2'}",
        f"overlays/dev/{K}": "resources: ['https://example.com/base']",
    }
    (built,) = build(files)
    assert built["metadata"]["name"] == "p-a"
    assert built["data"] == {"x": "2", "d": "2024-01-31"}


def test_the_root_is_built_where_an_environment_has_no_overlay() -> None:
    files = BASIS | {K: "resources: [base]\nnameSuffix: -root", f"overlays/dev/{K}": "{}"}
    assert [obj["metadata"]["name"] for obj in build(files)] == ["a-root"]


def test_components_generators_and_replacements_of_the_tree_work() -> None:
    files = BASIS | {
        K: "resources: [base]\ncomponents: [part]\nreplacements: [{path: r.yaml}]\n"
        "configMapGenerator: [{name: g, files: [f.txt, k=f.txt], envs: [e.env]}]\n"
        "secretGenerator: [{name: s, literals: ['URL=https://example.com/?a=b']}]",
        f"part/{K}": "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n"
        "commonAnnotations: {home: https://example.com}",
        "f.txt": "hello",
        "e.env": "A=1",
        "r.yaml": "source: {kind: ConfigMap, name: a, fieldPath: data.x}\n"
        "targets: [{select: {kind: ConfigMap, name: a}, fieldPaths: [data.d]}]",
    }
    built = {obj["metadata"]["name"].partition("-")[0]: obj for obj in build(files)}
    assert built["g"]["data"] == {"f.txt": "hello", "k": "hello", "A": "1"}
    assert built["a"]["data"]["d"] == "1"
    assert built["a"]["metadata"]["annotations"] == {"home": "https://example.com"}
    assert built["s"]["kind"] == "Secret"


OUTSIDE = [
    "https://example.com/base",
    "https://user:canary@example.com/base",
    "http://127.0.0.1/x.yaml",
    "git@github.com:a/b",
    "git::https://example.com/a",
    "ssh://git@example.com/a",
    "file:///etc",
    "github.com/a/b//base?ref=main",
    "github.com/a/b",
    "gh:a/b",
    "/etc/passwd",
    "../outside",
    "base/../../outside",
    "%2e%2e/outside",
    "\u2025/outside",
    "a\\0",
    "x" * 4096,
    "",
]


@pytest.mark.parametrize("named", OUTSIDE)
@pytest.mark.parametrize(
    "field",
    [
        "resources: [{}]",
        "components: [{}]",
        "bases: [{}]",
        "crds: [{}]",
        "configurations: [{}]",
        "patchesStrategicMerge: [{}]",
        "patches: [{{path: {}}}]",
        "patchesJson6902: [{{path: {}}}]",
        "replacements: [{{path: {}}}]",
        "openapi: {{path: {}}}",
        "configMapGenerator: [{{name: g, files: [k={}]}}]",
        "configMapGenerator: [{{name: g, envs: [{}]}}]",
        "secretGenerator: [{{name: g, env: {}}}]",
    ],
)
def test_nothing_outside_the_services_folder_can_be_named(field: str, named: str) -> None:
    quoted = '"' + named + '"'
    entry = field.replace("k={}", '"k={}"').format(named if "k={}" in field else quoted)
    text = fault(BASIS | {K: f"resources: [base]\n{entry}" if "base" not in field else entry})
    assert K in text
    assert "canary" not in text


@pytest.mark.parametrize(
    ("kustomization", "why"),
    [
        ("generators: [x.yaml]", "generators cannot be used"),
        ("transformers: [x.yaml]", "transformers cannot be used"),
        ("validators: [x.yaml]", "validators cannot be used"),
        ("helmCharts: [{name: x}]", "charts are not supported yet"),
        ("Resources: [base]", "this field is not known"),
        ("re\u017fources: [base]", "this field is not known"),
        ("patches: [{Path: x.yaml}]", "a field that is not known"),
        ("patches: [text]", "it is no mapping"),
        ("resources: [{}]", "it is no path"),
        ("resources: [../x.yaml]", "'../x.yaml' is outside the service's folder"),
        ("resources: [service.yaml]", "is not there"),
        ("resources: [README.md]", "is not there"),
        ("resources: [overlays/dev/a.yaml]", "is not there"),
        ("resources: [a]\nresources: [b]", "a key is given twice"),
        ("[]", "it is not one mapping"),
        ("resources: [", "kustomization.yaml:2"),
    ],
)
def test_a_kustomization_that_is_refused(kustomization: str, why: str) -> None:
    others = {"service.yaml": "a: b", "README.md": "x", "overlays/dev/a.yaml": CONFIG_MAP}
    assert why in fault(BASIS | others | {K: kustomization})


@pytest.mark.parametrize(
    ("files", "why"),
    [
        pytest.param(
            {K: "resources: [b]", f"b/{K}": "resources: [../c]", f"c/{K}": "resources: [../b]"},
            "c/kustomization.yaml: it leads back to itself: . -> b -> c -> b",
            id="a circle",
        ),
        pytest.param({K: "resources: [.]"}, ". -> .", id="itself"),
        pytest.param(
            {K: "resources: [a.yaml]", f"overlays/prod/{K}": "resources: [../..]"},
            "overlays/prod -> .",
            id="the folder above, which the tool takes for a circle",
        ),
        pytest.param(
            {K: "resources: [b]", "b/a.yaml": CONFIG_MAP},
            "b/kustomization.yaml: a folder needs exactly one kustomization: there is none",
            id="a folder without a kustomization",
        ),
        pytest.param(
            {K: "{}", "kustomization.yml": "{}"},
            "kustomization.yaml and kustomization.yml",
            id="two kustomizations in a folder",
        ),
        pytest.param(
            {K: "resources: [d1]"}
            | {f"d{i}/{K}": f"resources: [../d{i + 1}]" for i in range(1, 1_500)},
            "it leads too far",
            id="a chain of 1,500 folders",
        ),
    ],
)
def test_a_circle_or_a_missing_folder_names_the_file(files: dict[str, str], why: str) -> None:
    assert why in fault({"a.yaml": CONFIG_MAP} | files)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        pytest.param({"base/a.yaml": "a: b"}, "missing Resource metadata", id="no object"),
        pytest.param(
            {f"base/{K}": "resources: [a.yaml, a.yaml]"}, "already registered", id="twice"
        ),
        pytest.param({f"base/{K}": "namePrefix: [x]"}, "base", id="a field of a wrong type"),
    ],
)
def test_what_the_tool_refuses_is_told_without_our_folders(files: dict[str, str], why: str) -> None:
    text = fault(BASIS | {K: "resources: [base]"} | files)
    assert text.startswith(f"{K}: it does not build: ")
    assert why in text
    assert "reconciler-render-" not in text


@pytest.mark.parametrize(
    "files",
    [
        {"base/a.yaml": "kind: Secret\napiVersion: v1\nstringData: {a: canary-1}\n  x: canary-1"},
        {K: "resources: [base]\npatches: [{patch: 'kind: Secret, data: canary-1'}]"},
        {K: "secretGenerator: [{name: s, literals: [canary-1]}]"},
        {K: "secretGenerator: [{name: s, files: [x=e, x=e]}]", "e": "canary-1"},
    ],
)
def test_a_secrets_value_is_in_no_fault(files: dict[str, str]) -> None:
    assert "canary" not in fault(BASIS | {K: "resources: [base]"} | files)


def growing(levels: int) -> dict[str, str]:
    """Returns a kustomization that doubles its objects at each level, 2^levels in all."""
    files = {f"l{levels}/{K}": "resources: [a.yaml]", f"l{levels}/a.yaml": CONFIG_MAP}
    for level in range(levels):
        files[f"l{level}/{K}"] = f"resources: [../p{level}, ../q{level}]"
        for side in "pq":
            files[f"{side}{level}/{K}"] = f"resources: [../l{level + 1}]\nnamePrefix: {side}"
    return files | {K: "resources: [l0]"}


def test_one_that_grows_without_end_is_killed_at_its_time_limit() -> None:
    started, before = time.monotonic(), set(children(os.getpid()))
    with pytest.raises(TransientError, match="longer than 1 s"):
        build(growing(16), limits=replace(LIMITS, timeout_s=1))
    assert time.monotonic() - started < 5
    assert set(children(os.getpid())) <= before


def test_one_that_needs_too_much_memory_is_ended() -> None:
    files = {f"{i}.yaml": CONFIG_MAP.replace("a}", f"a{i}}}") for i in range(1_500)}
    listed = ", ".join(files)
    limits = replace(LIMITS, memory_bytes_max=64 * 1024 * 1024)
    assert "it needs too much memory" in fault(files | {K: f"resources: [{listed}]"}, limits)


def test_one_that_swells_never_has_more_memory_than_it_is_allowed() -> None:
    keys = "".join(f"  k{number}: v\n" for number in range(300))
    large = CONFIG_MAP.partition("\ndata:")[0] + f"\ndata:\n{keys}"
    files = {f"{n}.yaml": large.replace("name: a", f"name: a{n}") for n in range(300)}
    listed = ", ".join(files)
    limits = replace(LIMITS, memory_bytes_max=96 * 1024 * 1024)
    with child_peaks(os.getpid()) as peaks_kib:
        told = fault(files | {K: f"resources: [{listed}]"}, limits)
    assert "it needs too much memory" in told
    # The program itself is mapped from its file, which no limit counts.
    assert 0 < peaks_kib["kubectl"] < 125 * 1024


def test_one_that_renders_to_too_much_is_ended() -> None:
    assert "renders to too much" in fault(
        BASIS | {K: "resources: [base]"}, replace(LIMITS, output_bytes_max=50)
    )


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """Yields the address of a server that is on this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(CONFIG_MAP.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_tool_reaches_no_network_even_when_it_is_told_to(
    tmp_path: Path, listener: tuple[str, list[str]]
) -> None:
    require_network_namespaces()
    # The look-through would refuse this, so it is left out: the second wall must hold by itself.
    address, asked = listener
    tree, home = tmp_path / "tree", tmp_path / "home"
    tree.mkdir()
    home.mkdir()
    (tree / K).write_text(f"resources: ['{address}/a.yaml']\n")
    command = [str(find_kubectl()), "kustomize", "."]
    outcome = run_confined(command, folder=tree, home=home, limits=LIMITS, subject="test")
    assert outcome.returncode != 0
    assert asked == []


def test_where_it_shares_our_network_it_is_sent_to_a_proxy_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The look-through and the namespace are left out: the last wall must hold by itself.
    monkeypatch.setattr(confined, "without_network", tuple)
    tree, home = tmp_path / "tree", tmp_path / "home"
    tree.mkdir()
    home.mkdir()
    (tree / K).write_text("resources: ['http://example.com/a.yaml']\n")
    command = [str(find_kubectl()), "kustomize", "."]
    outcome = run_confined(command, folder=tree, home=home, limits=LIMITS, subject="test")
    assert outcome.returncode != 0
    assert "proxyconnect tcp: dial tcp 127.0.0.1:9" in outcome.stderr


def test_a_child_sees_nothing_of_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANARY", "canary")
    outcome = run_confined(
        ["/usr/bin/env"], folder=tmp_path, home=tmp_path, limits=LIMITS, subject="test"
    )
    assert b"canary" not in outcome.stdout
    assert b"\nPATH=\n" in b"\n" + outcome.stdout


REFUSED = "unshare: unshare failed: Operation not permitted"


def test_a_machine_without_room_for_a_build_is_no_fault_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(TransientError, match=r"kustomization \.: .*disk space"):
        build(BASIS | {K: "resources: [base]"})


@pytest.fixture(params=["missing", "refused"])
def sharing(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A machine that gives no network namespace; gives what the operator must be told of it."""
    (tmp_path / "true").symlink_to("/bin/true")
    if request.param == "refused":
        (tmp_path / "unshare").write_text(f"#!/bin/sh\necho '{REFUSED}' >&2\nexit 1\n")
        (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    confined.without_network.cache_clear()
    yield REFUSED if request.param == "refused" else "not installed"
    confined.without_network.cache_clear()


def test_a_machine_that_gives_no_network_of_its_own_is_told_of_once_and_builds_all_the_same(
    sharing: str,
) -> None:
    with capture_logs() as told, ThreadPoolExecutor(4) as pool:
        built = list(pool.map(build, [BASIS | {K: "resources: [base]"}] * 4))
    assert [objects[0]["metadata"]["name"] for objects in built] == ["a"] * 4
    (line,) = told
    assert (line["event"], line["log_level"]) == ("renderers-share-network", "warning")
    assert sharing in line["error"] and line["fix"]


def test_nothing_is_told_where_renderers_have_no_network() -> None:
    require_network_namespaces()
    confined.without_network.cache_clear()
    with capture_logs() as told:
        build(BASIS | {K: "resources: [base]"})
    assert told == []
