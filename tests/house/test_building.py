"""Which real parts are built, which are given, and what is said where neither can be."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.controlplane import building, requiring

MODULE = "sigs.k8s.io/kwok"

GO = """\
#!/bin/sh
echo "$@" >> "{calls}"
case "$1 $2" in
"version ") echo go version go0 ;;
"list -f") echo "go.etcd.io/etcd/server/v3 main" ;;
"mod download") echo '{{"Path": "sigs.k8s.io/kwok", "Dir": "/modules/kwok"}}' ;;
build*) for last; do case "$last" in */) echo program > "$last/server" ;; esac; done ;;
esac
"""
"""A Go that compiles nothing: it answers what is asked, and writes down that it was."""


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Go, with nothing given, and with an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("RECONCILER_TEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(building.ASSETS, raising=False)
    monkeypatch.delenv("CI", raising=False)


def give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *programs: str) -> Path:
    """Gives programs, as a machine's owner does; returns their folder."""
    assets = tmp_path / "assets"
    assets.mkdir()
    for program in programs:
        (assets / program).write_text("given")
    monkeypatch.setenv(building.ASSETS, str(assets))
    return assets


def install_go(tmp_path: Path) -> Path:
    """Puts a Go on the path; returns the file with what it was asked."""
    calls = tmp_path / "calls"
    go = tmp_path / "bin/go"
    go.parent.mkdir()
    go.write_text(GO.format(calls=calls))
    go.chmod(0o755)
    return calls


@pytest.mark.parametrize(
    ("folder", "programs"),
    [
        ("etcd", ["etcd"]),
        ("gitea", ["gitea"]),
        ("helm", ["helm"]),
        ("kubernetes", ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]),
        ("kwok", ["kwok"]),
        ("registry", ["registry"]),
    ],
)
def test_a_go_mod_names_its_programs(folder: str, programs: list[str]) -> None:
    assert building.programs(folder) == programs


def test_what_several_tools_need_is_of_one_version_so_that_it_is_compiled_once() -> None:
    asked: defaultdict[str, set[str]] = defaultdict(set)
    for file in building.HERE.glob("*/go.mod"):
        text = file.read_text()
        instead = dict(re.findall(r"^\t(\S+) => \S+ (v\S+)$", text, re.MULTILINE))
        for module, version in re.findall(r"^\t([\w.-]+\.\S+) (v\S+)", text, re.MULTILINE):
            asked[module].add(instead.get(module, version))
    assert len(asked) > 200
    assert {module: found for module, found in asked.items() if len(found) > 1} == {}


def test_a_folder_whose_programs_are_all_given_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give(tmp_path, monkeypatch, "etcd", "kube-apiserver", "kwok")
    building.main()
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    given, missing = "given by KUBEBUILDER_ASSETS", "not built, since there is no Go, or"
    assert said.keys() == {"etcd", "gitea", "helm", "kubernetes", "kwok", "registry"}
    assert (said["etcd"], said["kwok"]) == (given, given)
    # Its two other programs are not there.
    assert said["kubernetes"].startswith(missing) and said["helm"].startswith(missing)


def test_a_program_that_is_given_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assets = give(tmp_path, monkeypatch, "kwok")
    assert building.tool("kwok", "kwok") == assets / "kwok"


def test_a_program_that_is_not_given_is_built_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(tmp_path, monkeypatch, "kwok")
    calls = install_go(tmp_path)
    found = requiring.require_tool("etcd", "etcd")
    assert found.read_text() == "program\n"
    assert found.is_relative_to(tmp_path / "cache")
    assert requiring.require_tool("etcd", "etcd") == found
    assert sum(line.startswith("build") for line in calls.read_text().splitlines()) == 1


def test_what_takes_a_c_compiler_is_not_built_without_one(tmp_path: Path) -> None:
    calls = install_go(tmp_path)
    with pytest.raises(building.NoGo):
        building.build("gitea")
    assert "build" not in calls.read_text()


def test_a_modules_files_are_fetched(tmp_path: Path) -> None:
    install_go(tmp_path)
    assert requiring.require_module("kwok", MODULE) == Path("/modules/kwok")


@pytest.mark.parametrize("ci", ["", "true"], ids=["it skips", "in CI it fails"])
def test_without_go_a_test_says_what_it_misses(ci: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    # Both are caught: a skip that is not would skip the test that looks for a failure.
    either = (pytest.skip.Exception, pytest.fail.Exception)
    ended = either[1] if ci else either[0]
    with pytest.raises(either, match=r"etcd cannot be built: install Go, or set KUBE") as tool:
        requiring.require_tool("etcd", "etcd")
    with pytest.raises(
        either, match=rf"the files of {MODULE} cannot be fetched: install"
    ) as module:
        requiring.require_module("kwok", MODULE)
    assert (tool.type, module.type) == (ended, ended)
