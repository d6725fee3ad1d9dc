"""Records what the kubelet's own code writes of Pods; run as a module, it writes tests/contract/kubelet anew.

    python -m tests.controlplane.recording

It copies the kubelet's source, of the version that the control plane is built from, puts `kubelet/record_test.go`
beside it, and runs that. What the runtime answers is in ROWS; tests/contract/kubelet/README.md says the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORDINGS = HERE.parent / "contract/kubelet"
MODULE = "k8s.io/kubernetes"
VERSION = "v1.37.2"
UID = "0b0f5ad4-6a0e-4f0c-9d56-3c1f7c1d2e3f"

SOURCE = (
    f"Written by the code of the kubelet itself, Kubernetes {VERSION}, in a Go test beside it "
    "(tests/controlplane/kubelet/record_test.go): generateAPIPodStatus and SetPodStatus, with its own prober, "
    "on answers of the runtime as containerd v2.3.4 gives them (internal/cri/server/container_status.go)."
)

Row = dict[str, Any]


def _pod(name: str, *containers: str, **spec: Any) -> Row:
    meta = {"name": f"fate-{name}", "namespace": "default", "uid": UID, "generation": 1}
    named = [
        {"name": one, "image": f"registry.example.com/{one}@sha256:{digit * 64}"}
        for one, digit in zip(containers, "13", strict=False)
    ]
    return {"metadata": meta, "spec": {"containers": named, **spec}}


def _runs(name: str, **more: Any) -> Row:
    return {"Name": name, **more}


def _ended(name: str, code: int, reason: str, restarts: int = 0, *, waits: bool = False) -> Row:
    ended = {"Exited": True, "ExitCode": code, "Reason": reason}
    return {"Name": name, **ended, "Restarts": restarts, "Waits": waits}


def _crashing(name: str, code: int, reason: str, times: int) -> list[Row]:
    return [_ended(name, code, reason, n, waits=n > 0) for n in range(times)]


def rows() -> list[Row]:
    """Returns the Pods, each with what the runtime answers of its containers, step by step."""
    once = _runs("web", Restarts=1, Former=_ended("web", 1, "Error"))
    left: Row = {"restartPolicy": "Never"}
    beside = _crashing("side", 1, "Error", 3)
    made: tuple[tuple[str, tuple[str, ...], Row, list[list[Row]]], ...] = (
        ("ready", ("web",), {}, [[_runs("web")]]),
        ("one-exit", ("web",), {}, [[once]]),
        ("crash", ("web",), {}, [[one] for one in _crashing("web", 1, "Error", 4)]),
        ("oom", ("web",), {}, [[one] for one in _crashing("web", 137, "OOMKilled", 4)]),
        ("left-crash", ("web",), left, [[_ended("web", 1, "Error")]]),
        ("left-oom", ("web",), left, [[_ended("web", 137, "OOMKilled")]]),
        ("beside-ready", ("web", "side"), {}, [[_runs("web"), _runs("side")]]),
        ("beside-crash", ("web", "side"), {}, [[_runs("web"), one] for one in beside]),
        ("left-beside", ("web", "side"), left, [[_runs("web"), _ended("side", 1, "Error")]]),
    )
    return [
        {
            "Name": name,
            "Pod": _pod(name, *containers, **spec),
            "Steps": steps,
            "IsEnded": name in ("left-crash", "left-oom"),
        }
        for name, containers, spec, steps in made
    ]


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
        "-vet=off",
        "-count=1",
        "-run=^TestRecord$",
        f"{MODULE}/pkg/kubelet",
    ]
    subprocess.run(test, cwd=folder, env={**os.environ, **told}, check=True)


def main() -> None:
    """Writes the recordings."""
    with tempfile.TemporaryDirectory() as folder:
        record(Path(folder), RECORDINGS)


if __name__ == "__main__":
    main()
