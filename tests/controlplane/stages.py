"""kwok's stages for Pods: its own where they get ready, ours where the marker of any image says that it fails.

Ours give each container the fate of its own image, and write what a kubelet writes, field for field, in the words of
`reconciler.simulated`; both are held to what a kubelet's own code answers, by `tests/contract/test_pod_fates.py`. Of
init containers those are known that run one after the other and are started again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from reconciler.simulated.behaviour import FATES, Fate
from reconciler.simulated.kubelet import (
    BACKS_OFF,
    ENDS,
    INITIALIZING,
    NO_CONFIG,
    PULL_BACKS_OFF,
    back_off,
)
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
    "wait": "$wait",
}
"""What a kubelet fills into its words, where a template finds it: where `.` is a container of the Pod's `spec`."""

CRASHES = (Fate.CRASH, Fate.OOM)


def stages(fates: Mapping[str, Fate] | None = None) -> str:
    """Returns the configuration of one cluster's kwok.

    Args:
        fates: What becomes of an image by its marker; the simulated clusters' table by default.
    """
    table = {
        marker: fate
        for marker, fate in sorted({**FATES, **(fates or {})}.items())
        # Ready is what kwok does; unschedulable is what the real scheduler says of a request.
        if fate not in (Fate.READY, Fate.UNSCHEDULABLE)
    }
    return yaml.safe_dump_all(
        [*_kwoks_own(), _fails(table), _goes_on(table)], sort_keys=False, width=10_000
    )


def _kwoks_own() -> list[Stage]:
    made: list[Stage] = [
        yaml.safe_load(file.read_text()) for file in sorted(KWOKS_OWN.glob("*.yaml"))
    ]
    (ends,) = [stage for stage in made if stage["metadata"]["name"] == "pod-complete"]
    # kwok's would let the Pod of a Job end well that has crashed as often as ours show.
    ends["spec"]["selector"]["matchExpressions"].append(
        _is("[.status.containerStatuses[].ready] | all")
    )
    return made


def _is(query: str) -> dict[str, Any]:
    """Returns the condition that a query of gojq answers with true."""
    return {"key": f"{query} | tostring", "operator": "In", "values": ["true"]}


def _marked(markers: Iterable[str]) -> str:
    """Returns what fits the images of some markers; one more stands for none."""
    return f"@sha256:({'|'.join([*markers, 'none'])})"


def _fails(table: Mapping[str, Fate]) -> Stage:
    """A new Pod, one of whose containers has one of our fates."""
    images = "[.spec | (.initContainers // [])[], .containers[] | .image]"
    return _stage(
        "pod-fails",
        {"key": ".status.containerStatuses", "operator": "DoesNotExist"},
        _is(f'{images} | any(test("{_marked(table)}"))'),
        template=_begins(table),
    )


def _goes_on(table: Mapping[str, Fate]) -> Stage:
    """A container that ends is started again, if it may be, and its count goes up; a pull backs off."""
    crashing = _marked(marker for marker, fate in table.items() if fate in CRASHES)
    statuses = "[.status | (.initContainerStatuses // [])[], (.containerStatuses // [])[]]"
    pulls = '.state.waiting.reason == "ErrImagePull"'
    ends = f'.containerID and .restartCount < {RESTARTS_SHOWN} and (.imageID | test("{crashing}"))'
    return _stage(
        "pod-fails-on",
        _is(
            f'.spec.restartPolicy != "Never" as $again'
            f" | {statuses} | any({pulls} or ($again and {ends}))"
        ),
        template=_continues(table),
        after_ms=RESTART_EVERY_MS,
    )


def _stage(name: str, *conditions: dict[str, Any], template: str, after_ms: int = 0) -> Stage:
    """A stage for Pods that meet conditions: heavier than kwok's own, which would make them ready."""
    stays = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
            "selector": {"matchExpressions": [stays, *conditions]},
            "weight": 1000,
            "delay": {"durationMilliseconds": after_ms},
            "next": {"statusTemplate": template},
        },
    }


# What one container's status is: templates where `.` is the container, `$fate` its image's, `$starts` how often it was
# started before, and `$was` its status until now, if it has one.

_RUNNING = """
        running:
          startedAt: {{ $now | Quote }}"""


def _waits(reason: str, words: str) -> str:
    return f"""
        waiting:
          reason: {reason}
          message: {{{{ printf {_printf(words)} | Quote }}}}"""


_BLOCKED = f"""
        waiting:
          reason: {INITIALIZING}"""


def _printf(words: str) -> str:
    """Returns words with names in braces as the arguments of a template's printf."""
    parts = re.split(r"\{(\w+)\}", words)
    form = "%s".join(part.replace("%", "%%").replace('"', '\\"') for part in parts[::2])
    return " ".join([f'"{form}"', *[ARGUMENTS[name] for name in parts[1::2]]])


def _ended(fate: Fate, start: str) -> str:
    exit_code, reason = ENDS[fate]
    return f"""
        terminated:
          containerID: {_container_id(start)}
          exitCode: {exit_code}
          reason: {reason}
          startedAt: {{{{ $now | Quote }}}}
          finishedAt: {{{{ $now | Quote }}}}"""


def _container_id(start: str) -> str:
    named = f'printf "%s/%s/%d" $pod.metadata.uid .name ({start})'
    return f'{{{{ {named} | sha256sum | printf "containerd://%s" | Quote }}}}'


def _waiting(state: str) -> str:
    """Returns the status of a container that the runtime has not made."""
    return f"""
      - name: {{{{ .name | Quote }}}}
        image: {{{{ .image | Quote }}}}
        imageID: ""
        ready: false
        started: false
        restartCount: 0
        state:{_indented(state)}
        lastState: {{}}"""


def _made(state: str, *, ready: bool = False, starts: str = "0", last: str = "") -> str:
    """Returns the status of a container that the runtime has made; markers are digests, so its image has no tag."""
    return f"""
      - name: {{{{ .name | Quote }}}}
        containerID: {_container_id(starts)}
        image: {{{{ .image | sha256sum | printf "sha256:%s" | Quote }}}}
        imageID: {{{{ .image | Quote }}}}
        ready: {str(ready).lower()}
        started: {str(state == _RUNNING).lower()}
        restartCount: {{{{ {starts} }}}}
        state:{_indented(state)}
        lastState:{_indented(last) or " {}"}
        resources: {{{{ or .resources dict | toJson }}}}
        {{{{ with .resources }}}}{{{{ with .requests }}}}
        allocatedResources: {{{{ toJson . }}}}
        {{{{ end }}}}{{{{ end }}}}
        user: {json.dumps(ROOT)}"""


def _by_fate(statuses: Mapping[Fate, str], otherwise: str) -> str:
    """Returns the template that is chosen by `$fate`."""
    made = ""
    for fate, status in statuses.items():
        made += f'{{{{ {"else " if made else ""}if eq $fate "{fate}" }}}}{status}'
    return f"{made}{{{{ else }}}}{otherwise}{{{{ end }}}}"


def _first() -> dict[Fate, str]:
    """Returns what containers come to first, that are not simply ready."""
    pulls = {fate: _waiting(_waits("ErrImagePull", error)) for fate, error in PULL_ERRORS.items()}
    again = _made(_RUNNING, ready=True, starts="1", last=_ended(Fate.ONE_EXIT, "0"))
    left = _made(_ended(Fate.ONE_EXIT, "0"))
    return {
        **pulls,
        **{fate: _made(_ended(fate, "0")) for fate in CRASHES},
        Fate.NO_CONFIG: _waiting(_waits("CreateContainerConfigError", NO_CONFIG)),
        Fate.NEVER_READY: _made(_RUNNING),
        Fate.ONE_EXIT: f"{{{{ if $again }}}}{again}{{{{ else }}}}{left}{{{{ end }}}}",
    }


def _first_of_init() -> dict[Fate, str]:
    """Returns what init containers come to first, that do not simply end well: nobody asks whether they are ready."""
    first = _first()
    ends_well = _made(
        _ended(Fate.READY, "1"), ready=True, starts="1", last=_ended(Fate.ONE_EXIT, "0")
    )
    return {fate: first[fate] for fate in _BLOCKING} | {Fate.ONE_EXIT: ends_well}


_UNMADE = (*PULL_ERRORS, Fate.NO_CONFIG)
_BLOCKING = (*_UNMADE, *CRASHES)
"""Fates of an init container that the others wait for."""


def _among(fates: Iterable[Fate]) -> str:
    return f"has $fate (list {' '.join(json.dumps(fate.value) for fate in fates)})"


def _preamble(table: Mapping[str, Fate]) -> str:
    pairs = " ".join(f'"{marker}" "{fate}"' for marker, fate in table.items())
    return f"""
      {{{{ $now := Now }}}}
      {{{{ $pod := . }}}}
      {{{{ $again := ne .spec.restartPolicy "Never" }}}}
      {{{{ $fates := dict {pairs} }}}}"""


_FATE = '{{ $fate := get $fates (regexReplaceAll "^.*@sha256:([0-9a-f]{8}).*$" .image "${1}") }}'


def _begins(table: Mapping[str, Fate]) -> str:
    """Returns the template of a new Pod's whole status.

    Its class of service is the API server's to say, and its address is taken from kwok's once. A kubelet tells init
    containers in their order, and others in order of their names.
    """
    ready = _made(_RUNNING, ready=True)
    first = _by_fate(_first(), ready)
    first_of_init = _by_fate(_first_of_init(), _made(_ended(Fate.READY, "0"), ready=True))
    return f"""{_preamble(table)}
      {{{{ $blocked := false }}}}
      {{{{ $incomplete := list }}}}
      {{{{ with .spec.initContainers }}}}
      initContainerStatuses:
      {{{{ range . }}}}{_FATE}
      {{{{ if $blocked }}}}{_waiting(_BLOCKED)}{{{{ else }}}}{first_of_init}{{{{ end }}}}
      {{{{ if {_among(_BLOCKING)} }}}}{{{{ $blocked = true }}}}{{{{ end }}}}
      {{{{ if $blocked }}}}{{{{ $incomplete = append $incomplete .name }}}}{{{{ end }}}}
      {{{{ end }}}}
      {{{{ end }}}}
      {{{{ $names := list }}}}
      {{{{ $unready := list }}}}
      {{{{ $ended := 0 }}}}
      {{{{ $asking := 0 }}}}
      {{{{ $isPending := $blocked }}}}
      {{{{ range .spec.containers }}}}{_FATE}
      {{{{ $names = append $names .name }}}}
      {{{{ if .resources }}}}{{{{ $asking = add1 $asking }}}}{{{{ end }}}}
      {{{{ if {_among(_UNMADE)} }}}}{{{{ $isPending = true }}}}{{{{ end }}}}
      {{{{ $isLeft := and (not $again) ({_among((*CRASHES, Fate.ONE_EXIT))}) }}}}
      {{{{ if $isLeft }}}}{{{{ $ended = add1 $ended }}}}{{{{ end }}}}
      {{{{ if or $blocked $isLeft ({_among((*_BLOCKING, Fate.NEVER_READY))}) }}}}
      {{{{ $unready = append $unready .name }}}}
      {{{{ end }}}}
      {{{{ end }}}}
      containerStatuses:
      {{{{ range $name := sortAlpha $names }}}}{{{{ range $pod.spec.containers }}}}{{{{ if eq .name $name }}}}{_FATE}
      {{{{ if $blocked }}}}{_waiting(_BLOCKED)}{{{{ else }}}}{first}{{{{ end }}}}
      {{{{ end }}}}{{{{ end }}}}{{{{ end }}}}
      {{{{ $isFailed := and (not $isPending) (eq (int $ended) (len .spec.containers)) }}}}
      observedGeneration: {{{{ .metadata.generation }}}}
      phase: {{{{ if $isFailed }}}}Failed{{{{ else if $isPending }}}}Pending{{{{ else }}}}Running{{{{ end }}}}
      startTime: {{{{ $now | Quote }}}}
      conditions:
      {_condition("PodReadyToStartContainers", unmet="$isFailed", why=_STOPPED)}
      {_condition("Initialized", unmet="$incomplete", why=_NOT_INITIALIZED)}
      {_condition("PodScheduled", unmet="false", why="")}
      {_condition("Ready", unmet="$unready", why=_NOT_READY)}
      {_condition("ContainersReady", unmet="$unready", why=_NOT_READY)}
      {{{{ if or (eq (len .spec.containers) 1) (eq (int $asking) 0) }}}}
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


_STOPPED = """
        reason: PodSandboxNotReady
        message: pod sandbox is not ready"""
_NOT_INITIALIZED = """
        reason: ContainersNotInitialized
        message: {{ printf "containers with incomplete status: [%s]" (join " " $incomplete) | Quote }}"""
_NOT_READY = """
        {{ if $isFailed }}
        reason: PodFailed
        {{ else }}
        reason: ContainersNotReady
        message: {{ printf "containers with unready status: [%s]" (join " " $unready) | Quote }}
        {{ end }}"""


def _condition(name: str, *, unmet: str, why: str) -> str:
    return f"""
      - type: {name}
        observedGeneration: {{{{ .metadata.generation }}}}
        status: "{{{{ if {unmet} }}}}False{{{{ else }}}}True{{{{ end }}}}"
        lastProbeTime: null
        lastTransitionTime: {{{{ $now | Quote }}}}
        {{{{ if {unmet} }}}}{why}
        {{{{ end }}}}"""


def _continues(table: Mapping[str, Fate]) -> str:
    """Returns the template of what containers come to next; one that goes on as it was keeps its status."""
    kept = """
      - {{ toJson $was }}"""
    waits = " ".join(f'"{back_off(count)}"' for count in range(1, RESTARTS_SHOWN + 1))
    backs_off = _waits("CrashLoopBackOff", BACKS_OFF)
    crashed = {
        fate: _made(backs_off, starts="$starts", last=_ended(fate, "$starts")) for fate in CRASHES
    }
    backing_off = {
        fate: _waiting(_waits("ImagePullBackOff", PULL_BACKS_OFF.replace("{error}", error)))
        for fate, error in PULL_ERRORS.items()
    }
    lists = "".join(
        f"""
      {{{{ with .status.{of}Statuses }}}}
      {of}Statuses:
      {{{{ range $was := . }}}}{{{{ range $pod.spec.{of}s }}}}{{{{ if eq .name $was.name }}}}{_FATE}
      {{{{ $starts := add1 $was.restartCount }}}}
      {{{{ $wait := index (list "" {waits} "") (int $starts) }}}}
      {{{{ if eq (dig "state" "waiting" "reason" "" $was) "ErrImagePull" }}}}{_by_fate(backing_off, kept)}
      {{{{ else if and $again $wait (hasKey $was "containerID") }}}}{_by_fate(crashed, kept)}
      {{{{ else }}}}{kept}{{{{ end }}}}
      {{{{ end }}}}{{{{ end }}}}{{{{ end }}}}
      {{{{ end }}}}"""
        for of in ("initContainer", "container")
    )
    return f"{_preamble(table)}{lists}\n"


def _indented(block: str) -> str:
    return "\n".join(f"  {line}" if line.strip() else line for line in block.split("\n"))
