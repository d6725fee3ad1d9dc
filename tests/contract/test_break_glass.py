"""Break-glass as its page says it, typed at a real kubectl: what it names is suspended, for as long as it says."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.adapters.render.kustomize import find_kubectl
from reconciler.core.suspending import suspended
from tests.contract.kube_fronts import CONNECTED, Front
from tests.contract.kube_objects import deployment, ref

BREAK_GLASS = (
    'kubectl --namespace web annotate deployment web reconciler.dev/suspend-reason="incident 4711"  '
    "reconciler.dev/suspend-until=\"$(date --utc --date '+2 hours' +%FT%TZ)\""
)
"""The line of docs/conditions.md, in one."""


@CONNECTED
def test_it_stops_what_it_names(front: Front, space: str, tmp_path: Path) -> None:
    made = front.api.create(deployment(space))
    (tmp_path / "kubectl").symlink_to(find_kubectl())
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    typed = BREAK_GLASS.replace("--namespace web", f"--namespace {space}")
    typed = typed.replace("deployment web", f"deployment {made['metadata']['name']}")
    variables = {"PATH": path, "KUBECONFIG": str(front.kubeconfig), "HOME": str(tmp_path)}
    subprocess.run(["sh", "-c", typed], env=variables, check=True, timeout=60)
    found = front.api.get(ref(made))
    now = datetime.now(UTC)
    stopped = suspended(found, now)
    assert stopped is not None and stopped.why.startswith("incident 4711, until ")
    assert suspended(found, now + timedelta(hours=1.9))
    assert not suspended(found, now + timedelta(hours=2.1))
