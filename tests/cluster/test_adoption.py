"""What people ran with kubectl on real clusters: adopted without a change, and then released like anything else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.fleet import Fleet, fleet
from tests.contract.kube_fronts import kubectl
from tests.controlplane.cluster import ControlPlane
from tests.system.envrepo import (
    CLUSTERS,
    ENVIRONMENTS,
    digest,
    env_repo,
    image_name,
    manifests,
    policy,
)

GOOD, NEXT = "1.0.0", "1.1.0"
HOWS = {"dev-1": ("apply",), "staging-1": ("create",), "prod-1": ("apply", "--server-side")}


@pytest.fixture
def made(planes: dict[str, ControlPlane], tmp_path: Path) -> Iterator[Fleet]:
    with fleet(planes, tmp_path) as it:
        yield it


def live(fleet: Fleet, cluster: str, path: str) -> dict[str, Any]:
    found = fleet.planes[cluster].find(path.format(f"namespaces/{fleet.name}", name=fleet.service))
    assert found is not None
    return found


def test_what_kubectl_applied_is_adopted_as_it_is_and_takes_the_next_release(
    made: Fleet, tmp_path: Path
) -> None:
    deployment, config = "/apis/apps/v1/{}/deployments/{name}", "/api/v1/{}/configmaps/{name}"
    folder = f"services/{made.service}/{made.service}.yaml"
    first = manifests(made.service).replace("hello}", "hello, bye: bye}")
    image = f"{image_name(made.service)}@{digest(GOOD)}"
    for cluster in CLUSTERS:
        path = tmp_path / f"kubeconfig-{cluster}"
        path.write_text(json.dumps(made.planes[cluster].kubeconfig("admin")))
        text = first.replace(f"image: {image_name(made.service)}", f"image: {image}")
        how = HOWS.get(cluster, ("apply",))
        kubectl(path, *how, "--namespace", made.name, "-f", "-", text=text)
    was = {c: live(made, c, deployment)["metadata"]["generation"] for c in CLUSTERS}
    files = env_repo([made.service], made.name, policy_text=policy(drift="report"))
    made.merge({**files, folder: first.encode(), **made.pins(GOOD)}, "what runs there already")
    made.daemon.start()
    made.wait_proven("prod", GOOD)
    for environment in ENVIRONMENTS:
        assert made.daemon.logged("Adopted", service=made.service, environment=environment)
    assert {c: live(made, c, deployment)["metadata"]["generation"] for c in CLUSTERS} == was
    made.merge({folder: files[folder], **made.pins(NEXT)}, "release 1.1.0, without a bye")
    made.wait_proven("prod", NEXT)
    for cluster in CLUSTERS:
        assert made.runs(cluster, digest(NEXT))
        assert live(made, cluster, config)["data"] == {"greeting": "hello"}
    assert not made.daemon.logged("ApplyFailed", service=made.service)
