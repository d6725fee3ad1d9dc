"""docs/install.md is followed word for word, on real clusters, as a person who has only the page would."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.adapters.kube.connections import Allowances, from_kubeconfig
from reconciler.adapters.render.kustomize import find_kubectl
from reconciler.config.reading import read_settings
from tests.controlplane.cluster import ControlPlane, control_planes
from tests.controlplane.requiring import require_tool
from tests.install.conftest import Installed
from tests.install.helm import CHART, ROOT
from tests.install.page import blocks, parses

PAGE = "docs/install.md"
CLUSTERS = ("prod-1", "prod-2")
BLOCK_S = 180

# A Pod that has no kubelet cannot be entered, and there is no Docker here: these are noted, and looked at later. What
# is to be entered must be there.
_NOTED = """\
#!/bin/sh
case " $* " in
  *" exec "*|*" port-forward "*)
    printf '%s\\n' "$*" >> "$NOTED"
    flags=
    while [ "$1" != exec ] && [ "$1" != port-forward ]; do flags="$flags $1"; shift; done
    exec "$REAL_KUBECTL" $flags get "$2" ;;
esac
[ "$(basename "$0")" != docker ] || { printf '%s\\n' "docker $*" >> "$NOTED"; exit 0; }
exec "$REAL_KUBECTL" "$@"
"""

pytestmark = [pytest.mark.slow]


class Person:
    """Somebody at a shell, with a kubeconfig of two contexts and a copy of the checkout.

    Args:
        folder: Where they are.
        planes: The clusters of the contexts.
    """

    def __init__(self, folder: Path, planes: dict[str, ControlPlane]) -> None:
        self.folder = folder
        self.noted = folder / "noted"
        self.planes = planes
        tools = folder / "tools"
        tools.mkdir()
        for name in ("kubectl", "docker"):
            (tools / name).write_text(_NOTED)
            (tools / name).chmod(0o755)
        (tools / "helm").symlink_to(require_tool("helm", "helm"))
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(_merged(planes)))
        kubeconfig.chmod(0o600)
        self._environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "HOME": str(folder),
            "KUBECONFIG": str(kubeconfig),
            "NOTED": str(self.noted),
            "REAL_KUBECTL": str(find_kubectl()),
        }

    def types(self, block: str) -> str:
        """Runs a block of commands; the first that fails ends it."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=BLOCK_S,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def saves(self, block: str) -> Path:
        """Writes a block to the file that its first line names."""
        named = re.match(r"# (\S+)\n", block)
        assert named, block
        path = self.folder / named[1]
        path.write_text(block)
        return path


def _merged(planes: dict[str, ControlPlane]) -> dict[str, Any]:
    each = [plane.kubeconfig("admin") for plane in planes.values()]
    lists = {key: [k[key][0] for k in each] for key in ("contexts", "clusters", "users")}
    return {"apiVersion": "v1", "kind": "Config", "current-context": CLUSTERS[0], **lists}


@pytest.fixture(name="person")
def fixture_person(tmp_path: Path) -> Iterator[Person]:
    """A person with two clusters on which nobody has installed anything."""
    with control_planes(tmp_path, {name: {} for name in CLUSTERS}) as planes:
        folder = tmp_path / "checkout"
        folder.mkdir()
        (folder / "charts").mkdir()
        (folder / "charts" / "reconciler").symlink_to(CHART)
        (folder / "git-token").write_text("a-token")
        yield Person(folder, planes)


@pytest.mark.cluster
@pytest.mark.xdist_group("cluster")
def test_the_chart_s_part_can_be_followed_to_its_end(person: Person) -> None:
    (values,) = blocks(PAGE, "With the chart", "yaml")
    person.saves(values)
    # The namespaces that the example says must be there.
    for plane in person.planes.values():
        for name in yaml.safe_load(values)["rbac"]["writeTo"]:
            plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    image, member, kubeconfig, secrets, install, enforce, upgrade, uninstall, forget = blocks(
        PAGE, "With the chart", "sh"
    )
    person.types(image)
    person.types(member + kubeconfig + secrets)
    person.types(_advised(person.types(install), "plan"))
    settings = _settings(person)
    assert settings["mode"] == "observe"
    person.types(_advised(person.types(enforce), "status"))
    assert _settings(person)["mode"] == "enforce"
    _can_work_with(person.folder / "prod-2.kubeconfig")
    person.types(upgrade)
    person.types(uninstall)
    for plane in person.planes.values():
        assert _definition(plane) is not None
    person.types(forget)
    for plane in person.planes.values():
        assert _definition(plane) is None
    for noted in person.noted.read_text().splitlines():
        _check_noted(noted)


def _advised(said: str, command: str) -> str:
    """Returns what the chart's own notes say to type: to ask the daemon, and to see the board."""
    ask, see = re.findall(r"^    (kubectl .*)$", said, re.MULTILINE)
    assert f" -- reconciler {command} " in ask and " port-forward " in see
    return f"{ask}\n{see}\n"


def _settings(person: Person) -> dict[str, Any]:
    path = "/api/v1/namespaces/reconciler-system/configmaps/reconciler-settings"
    text = person.planes["prod-1"].request("GET", path)["data"]["settings.yaml"]
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def _can_work_with(kubeconfig: Path) -> None:
    """Whether the daemon takes the kubeconfig that the page makes, and may do with it what it must."""
    api = from_kubeconfig(
        kubeconfig, "prod-2", name="prod-2", allow=Allowances(), request_timeout_s=10
    )
    for kind in (("apps/v1", "Deployment"), ("v1", "Pod")):
        api.list(*kind, namespace=None, label_selector="")
    api.list(
        "reconciler.dev/v1alpha1", "ServiceRecord", namespace="reconciler-system", label_selector=""
    )


def _definition(plane: ControlPlane) -> dict[str, Any] | None:
    name = "servicerecords.reconciler.dev"
    found = plane.find(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    return None if found is None or "deletionTimestamp" in found["metadata"] else found


def _check_noted(line: str) -> None:
    """What could not be run must at least be right: a command of ours, or a file that is there."""
    words = shlex.split(line)
    if words[0] == "docker":
        assert words[1] in ("build", "push")
        assert words[-1] != "." or (ROOT / "Dockerfile").is_file()
    elif "exec" in words:
        program, *arguments = words[words.index("--") + 1 :]
        assert program == "reconciler"
        parses(arguments)
    else:
        assert words[-2:] in (["service/reconciler", "8080:80"], ["svc/reconciler", "8080:80"])


@pytest.mark.xdist_group("install")
def test_the_part_by_hand_installs_what_runs(installed: Installed, tmp_path: Path) -> None:
    scripts, commands = blocks(PAGE, "By hand", "sh")
    steps = [shlex.split(line) for line in scripts.splitlines()]
    # The image is made by the same scripts, and `installed` has run them.
    assert [step[0] for step in steps] == [
        "docker/wheel.sh",
        "docker/install.sh",
        "docker/verify.sh",
    ]
    assert steps[1][1] == steps[2][1] == "/opt/reconciler" and steps[0][1] == steps[1][2]
    (settings,) = blocks(PAGE, "By hand", "yaml")
    file = tmp_path / "settings.yaml"
    file.write_text(settings)
    assert read_settings(file, environment={}, flags={}).home == "prod-1"
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        assert (installed.prefix / Path(program).relative_to("/opt/reconciler")).is_file()
        parses(arguments)


def test_no_part_of_the_page_is_left_out_of_these_tests() -> None:
    text = (ROOT / PAGE).read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["With the chart", "By hand"]
    fenced = re.findall(r"^```(\w+)$", text, re.MULTILINE)
    checked = [
        language
        for heading in headings
        for language in ("sh", "yaml")
        for _ in blocks(PAGE, heading, language)
    ]
    assert sorted(fenced) == sorted(checked)
