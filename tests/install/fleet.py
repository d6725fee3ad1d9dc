"""Settings of a daemon over the demo's fleet: a Git remote and simulated clusters, both over HTTP."""

from __future__ import annotations

from typing import Any

from reconciler.cli.demo_fleet import CLUSTERS, DemoFleet


def settings_for(fleet: DemoFleet) -> dict[str, Any]:
    """Returns what a settings file says: each cluster by name, as the chart writes them."""
    names = [name for members in CLUSTERS.values() for name in members]
    return {
        "repo": {"url": fleet.repo_url, "poll_s": 0.5},
        "clusters": {name: {"kubeconfig": str(fleet.kubeconfig)} for name in names},
        "home": "dev-1",
    }
