"""kwok's stages for Pods: its own where they get ready, ours where the image's marker says that they fail.

Ours write what a kubelet writes, field for field, in the words of `reconciler.simulated.kubelet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from reconciler.simulated.behaviour import FATES, Fate
from reconciler.simulated.kubelet import PULL_BACKS_OFF, PULL_ERRORS, PULL_FAILED
from tests.controlplane.building import require_module

Stage = dict[str, Any]

RESTART_EVERY_MS = 200
"""A kubelet's first two restarts come within seconds; nobody waits for that in a test."""

RESTARTS_SHOWN = 3

IMAGE = "{{ .image }}"


def stages(fates: Mapping[str, Fate] | None = None) -> str:
    """Returns the configuration of one cluster's kwok.

    Args:
        fates: What becomes of an image by its marker; the simulated clusters' table by default.
    """
    table = {**FATES, **(fates or {})}
    made = list(_kwoks_own())
    for marker, fate in sorted(table.items()):
        made.extend(_of(fate, marker))
    return yaml.safe_dump_all(made, sort_keys=False, width=10_000)


def _kwoks_own() -> list[Stage]:
    folder = require_module("kwok", "sigs.k8s.io/kwok") / "kustomize/stage"
    files = [*_stage_files(folder / "node/fast"), *_stage_files(folder / "pod/fast")]
    return [yaml.safe_load(file.read_text()) for file in files]


def _stage_files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.glob("*.yaml") if f.name != "kustomization.yaml")


def _of(fate: Fate, marker: str) -> list[Stage]:
    match fate:
        case Fate.READY | Fate.UNSCHEDULABLE:
            # Ready is what kwok does; unschedulable is what the real scheduler says of a request.
            return []
        case Fate.CRASH:
            return _crashing(marker, "Error", 1)
        case Fate.OOM:
            return _crashing(marker, "OOMKilled", 137)
        case Fate.NO_CONFIG:
            message = 'configmap "missing" not found'
            return [_waiting("config", marker, "CreateContainerConfigError", message)]
        case Fate.NEVER_READY:
            return [_stage("never-ready", marker, _status("Running", _RUNNING_UNREADY))]
        case Fate.ONE_EXIT:
            return [_stage("one-exit", marker, _status("Running", _ONE_EXIT, ready=True))]
        case _:
            return _pulling(marker, fate)


def _crashing(marker: str, reason: str, exit_code: int) -> list[Stage]:
    """A container that ends and is started again: the count goes up as it does at a kubelet."""
    made = []
    for count in range(RESTARTS_SHOWN + 1):
        at = _Restarts(count - 1) if count else None
        body = _crashed(reason, exit_code, count)
        name = f"crash-{reason.lower()}-{count}"
        delay_ms = RESTART_EVERY_MS if count else 0
        made.append(_stage(name, marker, _status("Running", body), at=at, delay_ms=delay_ms))
    return made


def _pulling(marker: str, fate: Fate) -> list[Stage]:
    error = PULL_FAILED.format(image=IMAGE, error=PULL_ERRORS[fate].format(image=IMAGE))
    backs_off = PULL_BACKS_OFF.format(image=IMAGE, error=error)
    return [
        _waiting("pull", marker, "ErrImagePull", error),
        _waiting("pull-back-off", marker, "ImagePullBackOff", backs_off, after="ErrImagePull"),
    ]


def _waiting(name: str, marker: str, reason: str, message: str, *, after: str = "") -> Stage:
    body = f"""
        waiting:
          reason: {reason}
          message: {{{{ printf {_format(message)} | Quote }}}}"""
    container = _container(state=body, ready=False, started=False, restarts=0)
    at = _WaitsFor(after) if after else None
    delay_ms = RESTART_EVERY_MS if after else 0
    return _stage(name, marker, _status("Pending", container), at=at, delay_ms=delay_ms)


def _format(message: str) -> str:
    """Returns a message with `{{ .image }}` in it as the arguments of a template's printf."""
    parts = message.split(IMAGE)
    words = "%s".join(part.replace("%", "%%").replace('"', '\\"') for part in parts)
    return " ".join([f'"{words}"', *[".image"] * (len(parts) - 1)])


class _Restarts(int):
    """A stage for a Pod whose container was restarted so often."""

    def expressions(self) -> list[dict[str, Any]]:
        return [
            {
                "key": ".status.containerStatuses.[].restartCount | tostring",
                "operator": "In",
                "values": [str(int(self))],
            }
        ]


class _WaitsFor(str):
    """A stage for a Pod whose container waits for a reason."""

    def expressions(self) -> list[dict[str, Any]]:
        return [
            {
                "key": ".status.containerStatuses.[].state.waiting.reason",
                "operator": "In",
                "values": [str(self)],
            }
        ]


def _stage(
    name: str,
    marker: str,
    template: str,
    *,
    at: _Restarts | _WaitsFor | None = None,
    delay_ms: int = 0,
) -> Stage:
    """A stage for Pods with the marker: heavier than kwok's own, which would make them ready."""
    fresh = [{"key": ".status.containerStatuses", "operator": "DoesNotExist"}]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": f"{name}-{marker}"},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {
                "matchExpressions": [
                    {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"},
                    {
                        "key": f'.spec.containers.[].image | select(contains("@sha256:{marker}"))',
                        "operator": "Exists",
                    },
                    *(at.expressions() if at is not None else fresh),
                ]
            },
            "weight": 1000,
            "delay": {"durationMilliseconds": delay_ms},
            "next": {"statusTemplate": template},
        },
    }


_RUNNING = """
        running:
          startedAt: {{ $now | Quote }}"""


def _container(*, state: str, ready: bool, started: bool, restarts: int, last: str = "") -> str:
    return f"""
      - name: {{{{ .name | Quote }}}}
        image: {{{{ .image | Quote }}}}
        imageID: ""
        ready: {str(ready).lower()}
        started: {str(started).lower()}
        restartCount: {restarts}
        state:{_indented(state)}
        lastState:{_indented(last) or " {}"}"""


def _indented(block: str) -> str:
    return "\n".join(f"  {line}" if line.strip() else line for line in block.split("\n"))


def _terminated(reason: str, exit_code: int) -> str:
    return f"""
        terminated:
          containerID: containerd://0000
          exitCode: {exit_code}
          reason: {reason}
          startedAt: {{{{ $now | Quote }}}}
          finishedAt: {{{{ $now | Quote }}}}"""


def _crashed(reason: str, exit_code: int, restarts: int) -> str:
    ended = _terminated(reason, exit_code)
    if restarts == 0:
        return _container(state=ended, ready=False, started=False, restarts=0)
    back_off = """
        waiting:
          reason: CrashLoopBackOff
          message: {{ printf "back-off 10s restarting failed container=%s" .name | Quote }}"""
    return _container(state=back_off, ready=False, started=False, restarts=restarts, last=ended)


_RUNNING_UNREADY = _container(state=_RUNNING, ready=False, started=True, restarts=0)
_ONE_EXIT = _container(
    state=_RUNNING, ready=True, started=True, restarts=1, last=_terminated("Error", 1)
)

_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "PodScheduled")


def _status(phase: str, container: str, *, ready: bool = False) -> str:
    """Returns the template of a Pod's whole status, conditions as a kubelet sets them."""
    met = "".join(_condition(name, met=True) for name in _CONDITIONS)
    named = "".join(_condition(name, met=ready) for name in ("Ready", "ContainersReady"))
    return f"""
      {{{{ $now := Now }}}}
      {{{{ $names := "" }}}}
      {{{{ range .spec.containers }}}}{{{{ $names = .name }}}}{{{{ end }}}}
      phase: {phase}
      startTime: {{{{ $now | Quote }}}}
      conditions:{met}{named}
      containerStatuses:
      {{{{ range .spec.containers }}}}{container}
      {{{{ end }}}}
      hostIP: 10.0.0.1
      podIP: 10.1.0.1
"""


def _condition(name: str, *, met: bool) -> str:
    why = """
        reason: ContainersNotReady
        message: {{ printf "containers with unready status: [%s]" $names | Quote }}"""
    return f"""
      - type: {name}
        status: "{met}"
        lastProbeTime: null
        lastTransitionTime: {{{{ $now | Quote }}}}{"" if met else why}"""
