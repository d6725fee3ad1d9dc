"""Builds the real parts from their Go modules, once: a tool's folder of go.mod and go.sum names what it is.

A build is kept by everything it depends on, outside the checkout, so that a fresh clone finds it. Nothing but Python
is needed to begin one: it goes on while the packages of the tests are installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
BUILD_TIMEOUT_S = 2400
"""Kubernetes takes six minutes on two idle cores; a machine that does more is given several times that."""

LINKED = "-s -w"
COMPILED = "-gcflags=all=-dwarf=false"
"""Nobody debugs these programs, and what a debugger needs takes a tenth of the time."""

COMPILER = {"CGO_ENABLED": "0", "GOGC": "off", "GOMEMLIMIT": "2GiB"}
"""A compiler that ends in a second has no garbage to collect, and a linker has it from the limit on."""

TAGS = {"gitea": "sqlite,sqlite_unlock_notify"}
"""Build tags of a folder whose database is a C library, so that it takes a C compiler beside Go."""

VERSIONED = {"kubernetes": ("k8s.io/kubernetes", "k8s.io/component-base/version.gitVersion")}
"""A folder whose programs say a version that is linked into them: the module it is the version of, and its variable."""

CALLED = {"go.etcd.io/etcd/server/v3": "etcd"}
"""A tool whose program is not called as its package's last folder, and what it is called."""

ASSETS = "KUBEBUILDER_ASSETS"
"""Names a folder with programs that are there already, as other projects' test set-ups leave one behind."""


class NoGo(Exception):
    """There is no Go toolchain, or no C compiler for what takes one, so that nothing can be built here."""


def tool(folder: str, program: str) -> Path:
    """Returns the path of a program that a folder's go.mod has as a tool.

    Args:
        folder: Beside this file: `etcd`, `gitea`, `kubernetes`, `kwok`, `helm`, `registry`.
        program: The binary, as `kube-apiserver`.

    Raises:
        NoGo: It is not built yet and there is no Go.
        RuntimeError: The build failed; holds its last words.
    """
    return _given(program) or build(folder) / program


def programs(folder: str) -> list[str]:
    """Returns what the tools of a folder's go.mod are called; needs no Go."""
    text = (HERE / folder / "go.mod").read_text()
    block = re.search(r"^tool \((.*?)^\)", text, re.MULTILINE | re.DOTALL)
    packages = block[1].split() if block else re.findall(r"^tool (\S+)", text, re.MULTILINE)
    return [CALLED.get(package) or package.rpartition("/")[2] for package in packages]


def _given(program: str) -> Path | None:
    """Returns a program that the machine's owner has given."""
    assets = os.environ.get(ASSETS)
    given = Path(assets) / program if assets else None
    return given if given is not None and given.is_file() else None


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
    """Returns where Go keeps a module's files that a folder's go.mod requires; raises as `tool` does."""
    # Not `go list`: that names no folder while nothing has been built of the module.
    fetched = json.loads(_go(folder, "mod", "download", "-json", module))
    return Path(fetched["Dir"])


def _key(folder: str) -> str:
    go = shutil.which("go")
    if go is None:
        raise NoGo
    version = subprocess.run([go, "version"], capture_output=True, check=True).stdout
    hashed = hashlib.sha256(repr((version, LINKED, COMPILED, VERSIONED.get(folder))).encode())
    if folder in TAGS:
        hashed.update(TAGS[folder].encode())
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
        flags = ("-trimpath", COMPILED, _linked(folder), f"-tags={TAGS.get(folder, '')}")
        _go(folder, "build", *flags, "-o", f"{made}/", *packages)
        for package in packages:
            if package in CALLED:
                _, _, name = re.sub(r"/v\d+$", "", package).rpartition("/")
                (made / name).rename(made / CALLED[package])
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
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", **COMPILER}
    if folder in TAGS:
        if shutil.which(os.environ.get("CC", "gcc")) is None:
            raise NoGo
        environment["CGO_ENABLED"] = "1"
    done = subprocess.run(
        [go, *arguments],
        cwd=HERE / folder,
        env=environment,
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
    """Builds every tool that is not given, ahead of the tests: their time limit is not for a compiler."""
    # One after the other: what two of them need is compiled once, since their go.mods ask for it in one version.
    for folder in sorted(path.parent.name for path in HERE.glob("*/go.mod")):
        print(_built(folder), flush=True)


def _built(folder: str) -> str:
    if all(_given(program) for program in programs(folder)):
        return f"{folder}: given by {ASSETS}"
    try:
        return f"{folder}: {build(folder)}"
    except NoGo:
        return f"{folder}: not built, since there is no Go, or no C compiler; tests that need it say so"


if __name__ == "__main__":
    main()
