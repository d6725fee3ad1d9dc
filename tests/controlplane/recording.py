"""Records what the kubelet's own code writes of Pods; run as a module, it writes tests/contract/kubelet anew.

    python -m tests.controlplane.recording

It copies the kubelet's source, of the version that the control plane is built from, puts `kubelet/record_test.go`
beside it, and runs that. What the runtime answers is in ROWS; tests/contract/kubelet/README.md says the rest.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.controlplane.building import COMPILED, COMPILER

HERE = Path(__file__).parent
RECORDINGS = HERE.parent / "contract/kubelet"
MODULE = "k8s.io/kubernetes"
VERSION = "v1.37.2"
UID = "0b0f5ad4-6a0e-4f0c-9d56-3c1f7c1d2e3f"

SOURCE = (
    f"Written by the code of the kubelet itself, Kubernetes {VERSION}, in a Go test beside it "
    "(tests/controlplane/kubelet/record_test.go): generateAPIPodStatus and SetPodStatus, with its own prober, "
    "image manager and cache of ConfigMaps, on answers of the runtime as containerd v2.3.4 gives them "
    "(internal/cri/server/container_status.go; for pulls images/image_pull.go beside it, and core/remotes/docker)."
)

UNKNOWN, DEADLINE_EXCEEDED, NOT_FOUND = 2, 4, 5
"""Codes of gRPC."""

_RESOLVES = 'failed to pull and unpack image "{image}": failed to resolve image: '

PULLS = {
    "no-image": (NOT_FOUND, _RESOLVES + "{image}: not found"),
    # Seen with kubelets that pull from ECR without a login; core/remotes/docker/authorizer.go.
    "denied": (
        UNKNOWN,
        _RESOLVES + "pull access denied, repository does not exist or may require authorization:"
        " authorization failed: no basic auth credentials",
    ),
    # Seen in kubernetes/kubernetes issue 126366; core/remotes/errors/errors.go.
    "throttled": (
        UNKNOWN,
        _RESOLVES + "unexpected status from HEAD request to {manifest}: 429 Too Many Requests",
    ),
    # Seen with kubeadm; core/remotes/docker/resolver.go.
    "pull-timeout": (
        DEADLINE_EXCEEDED,
        _RESOLVES + 'failed to do request: Head "{manifest}": dial tcp 192.0.2.10:443: i/o timeout',
    ),
}
"""What containerd answers instead of pulling an image."""

Row = dict[str, Any]


def _pod(name: str, *containers: str, init: tuple[str, ...] = (), **spec: Any) -> Row:
    meta = {"name": f"fate-{name}", "namespace": "default", "uid": UID, "generation": 1}
    named = [{"name": one, "image": _image(one)} for one in containers]
    before = {"initContainers": [{"name": one, "image": _image(one)} for one in init]}
    return {"metadata": meta, "spec": {**(before if init else {}), "containers": named, **spec}}


def _image(container: str) -> str:
    digit = {"web": "1", "side": "3", "init": "4"}[container]
    return f"registry.example.com/{container}@sha256:{digit * 64}"


def _runs(name: str, **more: Any) -> Row:
    return {"Name": name, **more}


def _ended(name: str, code: int, reason: str, restarts: int = 0, *, waits: bool = False) -> Row:
    ended = {"Exited": True, "ExitCode": code, "Reason": reason}
    return {"Name": name, **ended, "Restarts": restarts, "Waits": waits}


def _crashing(name: str, code: int, reason: str, times: int) -> list[Row]:
    return [_ended(name, code, reason, n, waits=n > 0) for n in range(times)]


def _not_pulled(name: str, pull: str) -> Row:
    code, words = PULLS[pull]
    image = _image(name)
    registry, repository, digest = re.split("[/@]", image)
    manifest = f"https://{registry}/v2/{repository}/manifests/{digest}"
    return {
        "Name": name,
        "NotPulled": {"Code": code, "Words": words.format(image=image, manifest=manifest)},
    }


def rows() -> list[Row]:
    """Returns the Pods, each with what the runtime answers of its containers, step by step."""
    once = _runs("web", Restarts=1, Former=_ended("web", 1, "Error"))
    left: Row = {"restartPolicy": "Never"}
    beside = _crashing("side", 1, "Error", 3)
    done = _ended("init", 0, "Completed")
    one, two, init = ("web",), ("web", "side"), {"init": ("init",)}
    made: list[tuple[str, tuple[str, ...], Row, list[list[Row]]]] = [
        ("ready", one, {}, [[_runs("web")]]),
        ("one-exit", one, {}, [[once]]),
        ("crash", one, {}, [[step] for step in _crashing("web", 1, "Error", 4)]),
        ("oom", one, {}, [[step] for step in _crashing("web", 137, "OOMKilled", 4)]),
        *((name, one, {}, [[_not_pulled("web", name)]] * 2) for name in PULLS),
        ("no-config", one, {}, [[_runs("web", NotWorking=True)]]),
        ("never-ready", one, {}, [[_runs("web")]]),
        ("left-crash", one, left, [[_ended("web", 1, "Error")]]),
        ("left-oom", one, left, [[_ended("web", 137, "OOMKilled")]]),
        ("beside-ready", two, {}, [[_runs("web"), _runs("side")]]),
        ("beside-crash", two, {}, [[_runs("web"), step] for step in beside]),
        ("beside-no-image", two, {}, [[_runs("web"), _not_pulled("side", "no-image")]] * 2),
        ("left-beside", two, left, [[_runs("web"), _ended("side", 1, "Error")]]),
        (
            "left-no-image",
            two,
            left,
            [[_ended("web", 1, "Error"), _not_pulled("side", "no-image")]] * 2,
        ),
        ("after-init", one, init, [[done, _runs("web")]]),
        ("init-crash", one, init, [[step] for step in _crashing("init", 1, "Error", 3)]),
        ("init-no-image", one, init, [[_not_pulled("init", "no-image")]] * 2),
    ]
    return [
        {
            "Name": name,
            "Pod": _asking(name, _pod(name, *containers, **spec)),
            "Steps": steps,
            "IsEnded": name in ("left-crash", "left-oom"),
        }
        for name, containers, spec, steps in made
    ]


def _asking(name: str, pod: Row) -> Row:
    """Returns a Pod with what its fate comes from, where that is not in the runtime's answers."""
    (container, *_) = pod["spec"]["containers"]
    if name == "no-config":
        container["envFrom"] = [{"configMapRef": {"name": "missing"}}]
    if name == "never-ready":
        # Not asked before the recording is over.
        probe = {"exec": {"command": ["true"]}, "initialDelaySeconds": 3600}
        container["readinessProbe"] = {**probe, "timeoutSeconds": 1, "periodSeconds": 10}
    return pod


def record(folder: Path, into: Path) -> None:
    """Records every row.

    Args:
        folder: To copy the source to; what is there from another time is used again.
        into: Where the recordings go, a file a row.
    """
    ours = HERE / "kubernetes"
    listed = ["go", "list", "-m", "-f", "{{.Dir}}", MODULE]
    source = subprocess.run(listed, cwd=ours, check=True, capture_output=True, text=True).stdout
    copy = folder / "kubernetes"
    if not copy.exists():
        # The module cache is read-only.
        subprocess.run(["cp", "-r", "--no-preserve=mode", source.strip(), str(copy)], check=True)
    shutil.copy(HERE / "kubelet/record_test.go", copy / "pkg/kubelet")
    for name in ("go.mod", "go.sum"):
        shutil.copy(ours / name, folder)
    (folder / "rows.json").write_text(json.dumps({"Source": SOURCE, "Rows": rows()}))
    told = {"ROWS": str(folder / "rows.json"), "RECORDINGS": str(into)}
    subprocess.run(["go", "mod", "edit", f"-replace={MODULE}={copy}"], cwd=folder, check=True)
    # What the kubelet's tests need is in no go.sum of ours.
    test = [
        "go",
        "test",
        "-mod=mod",
        # As the control plane is built, so that what both need is compiled once, wherever the copy is.
        "-trimpath",
        COMPILED,
        "-vet=off",
        "-count=1",
        "-run=^TestRecord$",
        f"{MODULE}/pkg/kubelet",
    ]
    subprocess.run(test, cwd=folder, env={**os.environ, **COMPILER, **told}, check=True)


def main() -> None:
    """Writes the recordings."""
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), RECORDINGS)


if __name__ == "__main__":
    main()
