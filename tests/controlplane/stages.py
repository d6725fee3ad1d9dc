"""kwok's stages for Pods: its own where they get ready, ours where the image's marker says that they fail.

Ours write what a kubelet writes, field for field, in the words of `reconciler.simulated`; both are held to what a
kubelet's own code answers, by `tests/contract/test_pod_fates.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from reconciler.simulated.behaviour import FATES, Fate
from reconciler.simulated.kubelet import BACKS_OFF, ENDS, NO_CONFIG, PULL_BACKS_OFF, back_off
from reconciler.simulated.runtime import PULL_ERRORS, REFERENCE, ROOT
from tests.controlplane.building import HERE

Stage = dict[str, Any]

KWOKS_OWN = HERE / "kwok" / "stages"
"""Copies of kwok's own files: where a kwok is given there may be no Go to fetch them with."""

RESTART_EVERY_MS = 200
"""A kubelet's first two restarts come within seconds; nobody waits for that in a test."""

RESTARTS_SHOWN = 3


ARGUMENTS = {
    "image": ".image",
    "manifest": f'(regexReplaceAll "{REFERENCE}" .image "https://${{1}}/v2/${{2}}/manifests/${{3}}")',
    "name": ".name",
    "pod": "$pod.metadata.name",
    "namespace": "$pod.metadata.namespace",
    "uid": "$pod.metadata.uid",
}
"""What a kubelet fills into its words, where a template finds it: inside of a range over a Pod's containers."""


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
    made: list[Stage] = [
        yaml.safe_load(file.read_text()) for file in sorted(KWOKS_OWN.glob("*.yaml"))
    ]
    (ends,) = [stage for stage in made if stage["metadata"]["name"] == "pod-complete"]
    # kwok's would let the Pod of a Job end well that has crashed as often as ours show.
    ends["spec"]["selector"]["matchExpressions"].append(
        {
            "key": ".status.containerStatuses.[].ready | tostring",
            "operator": "In",
            "values": ["true"],
        }
    )
    return made


def _of(fate: Fate, marker: str) -> list[Stage]:
    match fate:
        case Fate.READY | Fate.UNSCHEDULABLE:
            # Ready is what kwok does; unschedulable is what the real scheduler says of a request.
            return []
        case Fate.CRASH | Fate.OOM:
            return _crashing(marker, fate)
        case Fate.NO_CONFIG:
            waiting = _waiting("CreateContainerConfigError", NO_CONFIG)
            return [_stage("config", marker, _status("Pending", waiting))]
        case Fate.NEVER_READY:
            running = _made(_RUNNING)
            return [_stage("never-ready", marker, _status("Running", running))]
        case Fate.ONE_EXIT:
            once = _made(_RUNNING, ready=True, restarts=1, last=_ended(fate, 0))
            return [_stage("one-exit", marker, _status("Running", once, ready=True))]
        case _:
            return _pulling(marker, fate)


def _crashing(marker: str, fate: Fate) -> list[Stage]:
    """A container that ends and is started again, if it may be: the count goes up as it does at a kubelet."""
    name = f"crash-{fate.value}"
    ended = _made(_ended(fate, 0))
    made = [
        _stage(f"{name}-0", marker, _status("Running", ended), at=_Again(True)),
        _stage(f"{name}-left", marker, _status("Failed", ended), at=_Again(False)),
    ]
    for count in range(1, RESTARTS_SHOWN + 1):
        words = BACKS_OFF.replace("{wait}", back_off(count))
        state = _waits("CrashLoopBackOff", words)
        status = _statuses(_made(state, restarts=count, last=_ended(fate, count)))
        made.append(_stage(f"{name}-{count}", marker, status, at=_Restarts(count - 1)))
    return made


def _pulling(marker: str, fate: Fate) -> list[Stage]:
    error = PULL_ERRORS[fate]
    backs_off = PULL_BACKS_OFF.replace("{error}", error)
    first = _status("Pending", _waiting("ErrImagePull", error))
    then = _statuses(_waiting("ImagePullBackOff", backs_off))
    return [
        _stage("pull", marker, first),
        _stage("pull-back-off", marker, then, at=_WaitsFor("ErrImagePull")),
    ]


_FRESH = [{"key": ".status.containerStatuses", "operator": "DoesNotExist"}]
"""A Pod that nothing was said of yet."""


def _policy(*, is_again: bool) -> dict[str, Any]:
    operator = "NotIn" if is_again else "In"
    return {"key": ".spec.restartPolicy", "operator": operator, "values": ["Never"]}


class _Restarts(int):
    """A stage for a Pod whose container was restarted so often."""

    def expressions(self) -> list[dict[str, Any]]:
        return [
            {
                "key": ".status.containerStatuses.[].restartCount | tostring",
                "operator": "In",
                "values": [str(int(self))],
            },
            _policy(is_again=True),
        ]


@dataclass(frozen=True)
class _Again:
    """A stage for a new Pod whose containers are started again, or are not."""

    is_so: bool

    def expressions(self) -> list[dict[str, Any]]:
        return [*_FRESH, _policy(is_again=self.is_so)]


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
    at: _Restarts | _WaitsFor | _Again | None = None,
) -> Stage:
    """A stage for Pods with the marker: heavier than kwok's own, which would make them ready.

    Args:
        name: Its own, beside the marker.
        marker: The beginning of an image's digest.
        template: Of a Pod's status, or of a part of it.
        at: What the Pods have come to; by default they are new.
    """
    is_later = isinstance(at, _Restarts | _WaitsFor)
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
                    *(at.expressions() if at is not None else _FRESH),
                ]
            },
            "weight": 1000,
            "delay": {"durationMilliseconds": RESTART_EVERY_MS if is_later else 0},
            "next": {"statusTemplate": template},
        },
    }


_RUNNING = """
        running:
          startedAt: {{ $now | Quote }}"""


def _waits(reason: str, words: str) -> str:
    return f"""
        waiting:
          reason: {reason}
          message: {{{{ printf {_printf(words)} | Quote }}}}"""


def _printf(words: str) -> str:
    """Returns words with names in braces as the arguments of a template's printf."""
    parts = re.split(r"\{(\w+)\}", words)
    form = "%s".join(part.replace("%", "%%").replace('"', '\\"') for part in parts[::2])
    return " ".join([f'"{form}"', *[ARGUMENTS[name] for name in parts[1::2]]])


def _ended(fate: Fate, start: int) -> str:
    exit_code, reason = ENDS[fate]
    return f"""
        terminated:
          containerID: {_container_id(start)}
          exitCode: {exit_code}
          reason: {reason}
          startedAt: {{{{ $now | Quote }}}}
          finishedAt: {{{{ $now | Quote }}}}"""


def _container_id(start: int) -> str:
    named = f'printf "%s/%s/{start}" $pod.metadata.uid .name'
    return f'{{{{ {named} | sha256sum | printf "containerd://%s" | Quote }}}}'


def _waiting(reason: str, words: str) -> str:
    """Returns the status of a container that the runtime has not made."""
    return f"""
      - name: {{{{ .name | Quote }}}}
        image: {{{{ .image | Quote }}}}
        imageID: ""
        ready: false
        started: false
        restartCount: 0
        state:{_indented(_waits(reason, words))}
        lastState: {{}}"""


def _made(state: str, *, ready: bool = False, restarts: int = 0, last: str = "") -> str:
    """Returns the status of a container that the runtime has made; markers are digests, so its image has no tag."""
    return f"""
      - name: {{{{ .name | Quote }}}}
        containerID: {_container_id(restarts)}
        image: {{{{ .image | sha256sum | printf "sha256:%s" | Quote }}}}
        imageID: {{{{ .image | Quote }}}}
        ready: {str(ready).lower()}
        started: {str(state == _RUNNING).lower()}
        restartCount: {restarts}
        state:{_indented(state)}
        lastState:{_indented(last) or " {}"}
        resources: {{{{ or .resources dict | toJson }}}}
        {{{{ with .resources }}}}{{{{ with .requests }}}}
        allocatedResources: {{{{ toJson . }}}}
        {{{{ end }}}}{{{{ end }}}}
        user: {json.dumps(ROOT)}"""


def _indented(block: str) -> str:
    return "\n".join(f"  {line}" if line.strip() else line for line in block.split("\n"))


_SANDBOX = ("PodReadyToStartContainers",)
_MET = (*_SANDBOX, "Initialized", "PodScheduled")

_NOT_READY = """
        reason: ContainersNotReady
        message: {{ printf "containers with unready status: [%s]" (join " " $names) | Quote }}"""
_FAILED = """
        reason: PodFailed"""
_STOPPED = """
        reason: PodSandboxNotReady
        message: pod sandbox is not ready"""


def _status(phase: str, container: str, *, ready: bool = False) -> str:
    """Returns the template of a new Pod's whole status.

    Its class of service is the API server's to say, and its address is taken from kwok's once.
    """
    why = _FAILED if phase == "Failed" else _NOT_READY
    met = "".join(
        _condition(name, met=phase != "Failed" or name not in _SANDBOX, why=_STOPPED)
        for name in _MET
    )
    named = "".join(_condition(name, met=ready, why=why) for name in ("Ready", "ContainersReady"))
    return f"""{_statuses(container)}
      {{{{ $names := list }}}}
      {{{{ range .spec.containers }}}}{{{{ $names = append $names .name }}}}{{{{ end }}}}
      observedGeneration: {{{{ .metadata.generation }}}}
      phase: {phase}
      startTime: {{{{ $now | Quote }}}}
      conditions:{met}{named}
      {{{{ if eq (len .spec.containers) 1 }}}}
      {{{{ $resources := or (index .spec.containers 0).resources dict }}}}
      resources: {{{{ toJson $resources }}}}
      {{{{ with $resources.requests }}}}
      allocatedResources: {{{{ toJson . }}}}
      {{{{ end }}}}
      {{{{ end }}}}
      {{{{ with NodeIPsWith .spec.nodeName }}}}
      hostIP: {{{{ index . 0 | Quote }}}}
      hostIPs: [{{ip: {{{{ index . 0 | Quote }}}}}}]
      {{{{ end }}}}
      {{{{ with PodIPsWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace }}}}
      podIP: {{{{ index . 0 | Quote }}}}
      podIPs: [{{ip: {{{{ index . 0 | Quote }}}}}}]
      {{{{ end }}}}
"""


def _statuses(container: str) -> str:
    """Returns the template of what the containers of a Pod have come to, for a Pod that has the rest."""
    return f"""
      {{{{ $now := Now }}}}
      {{{{ $pod := . }}}}
      containerStatuses:
      {{{{ range .spec.containers }}}}{container}
      {{{{ end }}}}
"""


def _condition(name: str, *, met: bool, why: str = "") -> str:
    return f"""
      - type: {name}
        observedGeneration: {{{{ .metadata.generation }}}}
        status: "{met}"
        lastProbeTime: null
        lastTransitionTime: {{{{ $now | Quote }}}}{"" if met else why}"""
