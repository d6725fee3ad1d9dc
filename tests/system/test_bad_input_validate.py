"""Hostile and broken env repos through `reconciler validate`: named, bounded, and nothing run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pygit2
import pytest

from reconciler.schema.shipped import shipped
from tests.fakes.world import env_repo, pins
from tests.system.documents import check
from tests.system.hostile import (
    FILE,
    FLEET,
    KUSTOMIZATION,
    LINK,
    MANIFEST,
    PIN,
    POLICY,
    QUARANTINE,
    ROWS,
    SERVICE,
    Row,
    bomb,
    sound,
)
from tests.system.pushing import commit_tree, committed, named
from tests.system.served import Told, cli

EXAMPLE = shipped("example-repo")
API = {
    f"services/api/base/{path.name}": path.read_text()
    for path in (EXAMPLE / "services/api/base").iterdir()
}
FILES: dict[str, str] = {
    **{path: text for path, text in env_repo().items() if path != MANIFEST},
    MANIFEST: (EXAMPLE / MANIFEST).read_text(),
    **{
        path: text.replace("example.com/web", "example.com/shop/web")
        for path, text in pins("1.0.0").items()
    },
    "services/api/service.yaml": "source: kustomize\npolicy: line\nnamespace: api\n"
    "cluster_scoped: [Namespace/api]\n",
    **API,
    # Its kustomization stands in base/ alone, which an overlay leads to.
    "services/api/overlays/dev/kustomization.yaml": "resources: [../../base]\n",
    "environments/dev/api.yaml": (EXAMPLE / "environments/dev/api.yaml").read_text(),
}
"""A small env repo, so that a row takes as little as it can."""

MEMORY_BYTES_MAX = 400 * 1024 * 1024
"""The command itself takes 90 MiB; a bomb that goes off takes gigabytes."""

TIME_S_MAX = 30.0
"""The command takes a second, and several on a busy machine; one that hangs takes for ever."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> pygit2.Repository:
    """The small env repo as one commit on main of a bare repository."""
    repo = pygit2.init_repository(tmp_path_factory.mktemp("repo"), bare=True, initial_head="main")
    index = pygit2.Index()
    for path, text in FILES.items():
        entry = pygit2.IndexEntry(path, repo.create_blob(text.encode()), FILE)  # type: ignore[arg-type]
        index.add(entry)
    commit_tree(repo, index.write_tree(repo), [], moves=True)
    return repo


def written(folder: Path) -> Path:
    """Returns the small env repo as a folder."""
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def test_the_small_env_repo_has_no_faults(tmp_path: Path) -> None:
    told = cli("validate", str(written(tmp_path / "env")))
    assert told.code == 0, told.out


def validate(repo: pygit2.Repository, commit: str, monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.chdir(repo.path)
    told = cli("validate", commit, "-o", "json")
    check("validate", told.document)
    return told


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_it_is_named_and_explained(
    row: Row, repository: pygit2.Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = committed(repository, row)
    began_s = time.monotonic()
    told = validate(repository, commit, monkeypatch)
    assert time.monotonic() - began_s < TIME_S_MAX
    assert told.code == 1, told.out
    errors = [f for f in told.document["faults"] if f["severity"] == "error"]
    about = [f for f in errors if row.named in f["path"] or row.named in f["what"]]
    assert about, errors
    assert all(fault["why"] and fault["fix"] for fault in about)
    told_of = [fault["what"] for fault in about]
    assert [place for place in row.places if not any(place in what for what in told_of)] == []
    assert not Path("/tmp/reconciler-was-here").exists()
    assert len(told.out) < 200_000, "no file is poured into the answer"
    # People read the same, a line a fault and nothing that a terminal would obey.
    text = cli("validate", commit)
    assert text.code == 1
    assert all(c.isprintable() or c == "\n" for c in text.out)


@pytest.mark.parametrize("row", tuple(sound()), ids=lambda row: row.title)
def test_a_file_without_a_bad_path_in_it_is_no_fault(
    row: Row, repository: pygit2.Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = validate(repository, committed(repository, row), monkeypatch)
    faults = told.document["faults"]
    assert [f for f in faults if f["path"] == row.named and f["severity"] == "error"] == []


@pytest.mark.parametrize("row", [r for r in ROWS if r.mode == LINK], ids=lambda row: row.title)
def test_a_link_in_a_folder_is_not_followed(row: Row, tmp_path: Path) -> None:
    env = written(tmp_path / "env")
    place = env / row.path
    if place.is_dir():
        shutil.rmtree(place)
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    place.symlink_to(row.octets.decode())
    told = cli("validate", str(env), "-o", "json")
    check("validate", told.document)
    assert told.code == 1
    assert any(row.named in f["path"] and "link" in f["why"] for f in told.document["faults"])
    assert "root:" not in told.out, "nothing of /etc/passwd is shown"


@pytest.mark.parametrize(
    "name", [b"..", b".git", b".", b".GIT", b"", b"a/b", b"x" * 5000, b"\xff\xfe"], ids=repr
)
def test_a_name_that_no_file_can_have_is_refused(
    name: bytes, repository: pygit2.Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = validate(repository, named(repository, name), monkeypatch)
    # A name of wild bytes is one that nobody looks for; a tree without one is no tree at all.
    assert told.code == {b"\xff\xfe": 0, b"": 3}.get(name, 2)
    said = told.document["faults"] or told.document["errors"]
    assert said and all(one["why"] for one in said)


# Bombs, in a process of their own.

SIZES = {
    "a hundred megabytes": b"a: 1\n" * 20_000_000,
    "an alias bomb": bomb(),
    "a hundred thousand documents": b"---\na: 1\n" * 100_000,
    "2 MB of one scalar": b"a: " + b"x" * 2_000_000,
    "2 MB of keys": b"".join(b"k%d: 1\n" % i for i in range(180_000)),
    "2 MB of flow": b"a: [" + b"1," * 1_000_000,
}


@pytest.mark.parametrize("path", [PIN, SERVICE, FLEET, POLICY, QUARANTINE, MANIFEST, KUSTOMIZATION])
@pytest.mark.parametrize("title", SIZES)
def test_a_bomb_takes_little_memory_and_time(title: str, path: str, tmp_path: Path) -> None:
    env = written(tmp_path / "env")
    (env / path).parent.mkdir(exist_ok=True)
    (env / path).write_bytes(SIZES[title])
    code, out, taken_s, peak_bytes = measured("validate", str(env))
    assert code in (1, 2), out[-2000:]
    assert path in out
    assert peak_bytes < MEMORY_BYTES_MAX and taken_s < TIME_S_MAX


def measured(*arguments: str) -> tuple[int, str, float, int]:
    """Runs a command; returns its code, all it said, seconds of its own work, and its peak memory."""
    # A process counts the memory of the one that forked it, and that of the tests is large: so a
    # small one stands between.
    done = subprocess.run(
        [sys.executable, "-c", _BETWEEN, sys.executable, "-m", "reconciler", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")},
        check=False,
    )
    out, _, used = done.stdout.decode().rpartition("used:")
    seconds, kibibytes = used.split()
    return done.returncode, out, float(seconds), int(kibibytes) * 1024


_BETWEEN = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(f"used:{used.ru_utime + used.ru_stime} {used.ru_maxrss}")
sys.exit(code)
"""
