"""Builds the real parts from their Go modules, once: a tool's folder of go.mod and go.sum names what it is.

A build is kept by everything it depends on, outside the checkout, so that a fresh clone finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILD_TIMEOUT_S = 2400
"""Kubernetes takes seven minutes on two idle cores; a machine that does more is given four times that."""

LINKED = "-s -w"
VERSIONED = {"kubernetes": ("k8s.io/kubernetes", "k8s.io/component-base/version.gitVersion")}
"""A folder whose programs say a version that is linked into them: the module it is the version of, and its variable."""

AT_ONCE = 2
"""Builds side by side: one fetches modules or links while the other compiles."""


class NoGo(Exception):
    """There is no Go toolchain, so that nothing can be built here."""


def require_tool(folder: str, program: str) -> Path:
    """Returns a program's path, built if need be; without Go it skips, and in CI it fails."""
    try:
        return tool(folder, program)
    except NoGo:
        missing = f"{program} cannot be built: install Go, or set KUBEBUILDER_ASSETS"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)


def tool(folder: str, program: str) -> Path:
    """Returns the path of a program that a folder's go.mod has as a tool.

    Args:
        folder: Beside this file: `etcd`, `kubernetes`, `kwok`, `helm`.
        program: The binary, as `kube-apiserver`.

    Raises:
        NoGo: It is not built yet and there is no Go.
        RuntimeError: The build failed; holds its last words.
    """
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets and (Path(assets) / program).is_file():
        return Path(assets) / program
    return build(folder) / program


def build(folder: str) -> Path:
    """Returns the folder with the programs of a go.mod, built if need be; raises as `tool` does."""
    built = cache() / f"{folder}-{_key(folder)}"
    if not built.is_dir():
        with _locked(folder):
            if not built.is_dir():
                _build(folder, built)
    return built


def cache() -> Path:
    """Returns the folder where builds are kept."""
    named = os.environ.get("RECONCILER_TEST_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else home / "reconciler-tests"


def module_dir(folder: str, module: str) -> Path:
    """Returns where Go keeps a module's files that a folder's go.mod requires."""
    listed = _go(folder, "list", "-m", "-f", "{{.Dir}}", module)
    return Path(listed.strip())


def _key(folder: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise NoGo
    version = subprocess.run([go, "version"], capture_output=True, check=True).stdout
    hashed = hashlib.sha256(repr((version, LINKED, VERSIONED.get(folder))).encode())
    for name in ("go.mod", "go.sum"):
        hashed.update((HERE / folder / name).read_bytes())
    return hashed.hexdigest()[:16]


def _build(folder: str, built: Path) -> None:
    """Builds into a folder beside the wanted one and renames it: a build that is cut off leaves nothing."""
    tools = _go(folder, "list", "-f", "{{.ImportPath}} {{.Name}}", "tool").split("\n")
    packages = [line.split()[0] for line in tools if line.strip()]
    with tempfile.TemporaryDirectory(dir=built.parent, prefix=f"{folder}-") as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        # One command for all of a folder: it links one program while it compiles the next.
        _go(folder, "build", "-trimpath", _linked(folder), "-o", f"{made}/", *packages)
        if folder == "etcd":  # its package is called `server`
            (made / "server").rename(made / "etcd")
        made.rename(built)


def _linked(folder: str) -> str:
    if folder not in VERSIONED:
        return f"-ldflags={LINKED}"
    module, variable = VERSIONED[folder]
    version = _go(folder, "list", "-m", "-f", "{{.Version}}", module).strip()
    return f"-ldflags={LINKED} -X {variable}={version}"


def _go(folder: str, *arguments: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise NoGo
    done = subprocess.run(
        [go, *arguments],
        cwd=HERE / folder,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"go {' '.join(arguments[:2])} in {folder}: {done.stderr[-2000:]}")
    return done.stdout


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Test processes run side by side, and one build is enough."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Builds every tool ahead of the tests: a test's time limit is not meant for a compiler."""
    folders = sorted((path.parent.name for path in HERE.glob("*/go.mod")), key=_longest_first)
    with ThreadPoolExecutor(AT_ONCE) as at_once:
        for said in at_once.map(_built, folders):
            print(said, flush=True)


def _longest_first(folder: str) -> bool:
    return folder != "kubernetes"


def _built(folder: str) -> str:
    try:
        return f"{folder}: {build(folder)}"
    except NoGo:
        return f"{folder}: not built, since there is no Go; tests that need it say so"


if __name__ == "__main__":
    main()
