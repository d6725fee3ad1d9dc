"""The real helm on the chart: rendered objects, or what it says is wrong."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.requiring import require_tool

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "reconciler"
VALUES = Path(__file__).parent / "values"
NAMESPACE = "reconciler-system"
HELM_S = 120

Object = dict[str, Any]


class Refused(Exception):
    """Helm's own words for why it does not render or install."""


def helm(*arguments: str) -> str:
    """Runs helm with no home of anybody's and returns what it prints.

    Raises:
        Refused: It failed.
    """
    program = require_tool("helm", "helm")
    with tempfile.TemporaryDirectory(prefix="helm-") as home:
        done = subprocess.run(
            [program, *arguments],
            env={"HOME": home, "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=HELM_S,
            check=False,
        )
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


@dataclass(frozen=True, slots=True)
class Rendered:
    """What the chart renders to."""

    objects: tuple[Object, ...]

    def of(self, kind: str) -> list[Object]:
        """Returns the objects of a kind."""
        return [obj for obj in self.objects if obj["kind"] == kind]

    def one(self, kind: str) -> Object:
        """Returns the only object of a kind."""
        (found,) = self.of(kind)
        return found

    def pod(self) -> Object:
        """Returns the daemon's Pod."""
        found: Object = self.one("Deployment")["spec"]["template"]
        return found

    def container(self) -> Object:
        """Returns the Pod's one container."""
        (found,) = self.pod()["spec"]["containers"]
        assert isinstance(found, dict)
        return found

    def settings(self) -> Object:
        """Returns the settings file's content."""
        found: Object = yaml.safe_load(self.one("ConfigMap")["data"]["settings.yaml"])
        return found


def render(values: str | None, *sets: str) -> Rendered:
    """Renders the chart with a file of values, if any, and some set by hand."""
    given = [argument for each in sets for argument in ("--set", each)]
    if values is not None:
        given.append(f"--values={VALUES / values}.yaml")
    text = helm(
        "template",
        "reconciler",
        str(CHART),
        f"--namespace={NAMESPACE}",
        *given,
    )
    return Rendered(tuple(obj for obj in yaml.safe_load_all(text) if obj))
