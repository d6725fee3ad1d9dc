"""What cannot come back: what a server would refuse is held to one elsewhere; here is what it would take, and lose."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.pruning import PRUNE_ANNOTATION
from reconciler.core.return_trip import one_ways

Object = dict[str, Any]


def obj(kind: str, version: str = "v1", name: str = "a", **changes: Any) -> Object:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "web"},
        **changes,
    }


def may_go(given: Object) -> Object:
    return {**given, "metadata": {**given["metadata"], "annotations": {PRUNE_ANNOTATION: "true"}}}


def grown(size: str) -> Object:
    return obj("PersistentVolumeClaim", spec={"resources": {"requests": {"storage": size}}})


def scaled(replicas: int | None, keeps: str) -> Object:
    retention = {"whenScaled": keeps}
    spec = {"replicas": replicas, "persistentVolumeClaimRetentionPolicy": retention}
    return obj("StatefulSet", "apps/v1", spec=spec)


JOB = obj("Job", "batch/v1", spec={"template": {}})
CLAIM = obj("PersistentVolumeClaim")


@pytest.mark.parametrize(
    ("goes", "back", "told"),
    [
        pytest.param([], [], [], id="nothing at all"),
        pytest.param([JOB], [JOB], [], id="a Job that is there already"),
        pytest.param(
            [JOB],
            [],
            ["Job/web/a: it runs once, and going back undoes nothing of what it did"],
            id="a Job that it brings",
        ),
        pytest.param([], [JOB], [], id="a Job that it leaves out"),
        pytest.param([CLAIM], [], [], id="a claim that it brings"),
        pytest.param([], [CLAIM], [], id="a claim that it leaves out, which stays"),
        pytest.param(
            [],
            [may_go(CLAIM)],
            [
                "PersistentVolumeClaim/web/a: it is left out, and deleted once that is proven, with what it holds"
            ],
            id="a claim that may go",
        ),
        pytest.param([], [may_go(obj("ConfigMap"))], [], id="what can be rendered again"),
        pytest.param(
            [grown("2Gi")],
            [grown("1Gi")],
            ["PersistentVolumeClaim/web/a: it grows, and a volume cannot shrink again"],
            id="a claim that grows",
        ),
        pytest.param([grown("1024Mi")], [grown("1Gi")], [], id="a size in other words"),
        pytest.param(
            [grown("a lot")],
            [grown("1Gi")],
            ["PersistentVolumeClaim/web/a: it grows, and a volume cannot shrink again"],
            id="a size that is no number",
        ),
        pytest.param(
            [scaled(1, "Delete")],
            [scaled(2, "Delete")],
            ["StatefulSet/web/a: it has fewer replicas, and the claims of the others are deleted"],
            id="replicas that take their claims with them",
        ),
        pytest.param([scaled(3, "Delete")], [scaled(2, "Delete")], [], id="more replicas"),
        pytest.param([scaled(1, "Retain")], [scaled(2, "Retain")], [], id="claims that stay"),
        pytest.param([scaled(None, "Delete")], [scaled(1, "Delete")], [], id="one by default"),
        pytest.param(
            [obj("Thing", "example.com/v1", spec={"a": 1})],
            [obj("Thing", "example.com/v1", spec={"a": 2})],
            [],
            id="a kind that is not known",
        ),
        pytest.param(
            [obj("StatefulSet", "apps/v1", spec={"serviceName": "b"})],
            [obj("StatefulSet", "apps/v1beta1", spec={"serviceName": "a"})],
            ["StatefulSet/web/a: spec.serviceName cannot be changed"],
            id="another version of its API",
        ),
        pytest.param(
            [obj("StatefulSet", "apps/v1", "b", spec={"serviceName": "b"})],
            [obj("StatefulSet", "apps/v1", "a", spec={"serviceName": "a"})],
            [],
            id="another object",
        ),
    ],
)
def test_what_cannot_come_back(goes: list[Object], back: list[Object], told: list[str]) -> None:
    assert [str(one) for one in one_ways(goes, back)] == told


def test_no_value_is_told() -> None:
    sealed = obj("Secret", immutable=True, stringData={"password": "canary"})
    former = obj("Secret", immutable=True, stringData={"password": "sparrow"})
    (told,) = one_ways([sealed], [former])
    assert "canary" not in str(told) and "sparrow" not in str(told)
