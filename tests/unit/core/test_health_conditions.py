"""Health of what runs no Pods: configuration, claims, definitions, and whatever tells by standard conditions."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.health import assess
from reconciler.model.health import Cause, HealthStatus
from tests.fakes.objects import obj

CURRENT, PROGRESS, FAILED, UNKNOWN, TERMINATING = (
    HealthStatus.CURRENT,
    HealthStatus.IN_PROGRESS,
    HealthStatus.FAILED,
    HealthStatus.UNKNOWN,
    HealthStatus.TERMINATING,
)


def saying(kind: str, api_version: str, **conditions: str) -> dict[str, Any]:
    """Returns an object with conditions, each `status`, `status:reason` or `status:reason:generation`."""
    return obj(
        kind,
        api_version,
        metadata={"generation": 2},
        status={"conditions": [_condition(type_, text) for type_, text in conditions.items()]},
    )


def _condition(type_: str, text: str) -> dict[str, Any]:
    status, reason, generation = [*text.split(":"), "", ""][:3]
    found: dict[str, Any] = {"type": type_, "status": status, "reason": reason}
    return {**found, "observedGeneration": int(generation)} if generation else found


def thing(**conditions: str) -> dict[str, Any]:
    """Returns an object of a kind that nobody knows."""
    return saying("Thing", "example.com/v1", **conditions)


def claim(**status: str) -> dict[str, Any]:
    return obj("PersistentVolumeClaim", "v1", status=status)


def volume(**status: str) -> dict[str, Any]:
    return obj("PersistentVolume", "v1", status=status)


def definition(**conditions: str) -> dict[str, Any]:
    return saying("CustomResourceDefinition", "apiextensions.k8s.io/v1", **conditions)


def autoscaler(**conditions: str) -> dict[str, Any]:
    return saying("HorizontalPodAutoscaler", "autoscaling/v2", **conditions)


def balancer(**status: Any) -> dict[str, Any]:
    return obj("Service", "v1", spec={"type": "LoadBalancer"}, status=status)


@pytest.mark.parametrize(
    ("given", "status", "reason"),
    [
        pytest.param(obj("ConfigMap", "v1", data={}), CURRENT, "", id="configuration is there"),
        pytest.param(
            obj("Service", "v1", spec={"type": "ClusterIP"}), CURRENT, "", id="a service is inside"
        ),
        pytest.param(volume(phase="Available"), CURRENT, "", id="a volume waits for a claim"),
        pytest.param(volume(phase="Bound"), CURRENT, "", id="a volume is bound"),
        pytest.param(volume(phase="Pending"), PROGRESS, "NotBound", id="a volume is being made"),
        pytest.param(volume(phase="Released"), PROGRESS, "NotBound", id="a volume is let go of"),
        pytest.param(
            volume(phase="Failed", reason="Recycler"), FAILED, "Recycler", id="a volume failed"
        ),
        pytest.param(
            balancer(loadBalancer={}), PROGRESS, "NoLoadBalancer", id="a balancer has no address"
        ),
        pytest.param(
            balancer(loadBalancer={"ingress": [{"ip": "192.0.2.1"}]}),
            CURRENT,
            "",
            id="a balancer has an address",
        ),
        pytest.param(claim(phase="Bound"), CURRENT, "", id="a claim is bound"),
        pytest.param(claim(phase="Pending"), PROGRESS, "NotBound", id="a claim waits"),
        pytest.param(claim(), PROGRESS, "NotBound", id="a claim that nobody has looked at"),
        pytest.param(claim(phase="Lost"), FAILED, "Lost", id="a claim's volume is gone"),
        pytest.param(
            obj("Namespace", "v1", status={"phase": "Active"}), CURRENT, "", id="a namespace"
        ),
        pytest.param(
            obj("Namespace", "v1", status={"phase": "Terminating"}),
            TERMINATING,
            "Terminating",
            id="a namespace that is emptied",
        ),
        pytest.param(
            definition(NamesAccepted="True", Established="True"),
            CURRENT,
            "",
            id="a definition is served",
        ),
        pytest.param(
            definition(NamesAccepted="True"),
            PROGRESS,
            "NotEstablished",
            id="a definition is not served yet",
        ),
        pytest.param(
            definition(NamesAccepted="True", Established="False:Installing"),
            PROGRESS,
            "NotEstablished",
            id="a definition is being installed",
        ),
        pytest.param(
            obj("CustomResourceDefinition", "apiextensions.k8s.io/v1"),
            PROGRESS,
            "NotEstablished",
            id="a definition that nobody has looked at",
        ),
        pytest.param(
            definition(NamesAccepted="False:Conflict"),
            FAILED,
            "Conflict",
            id="a definition's names are taken",
        ),
        pytest.param(
            definition(NamesAccepted="False:Conflict", Established="True"),
            FAILED,
            "Conflict",
            id="a definition is served under its former names alone",
        ),
        pytest.param(
            autoscaler(AbleToScale="True", ScalingActive="True"), CURRENT, "", id="an autoscaler"
        ),
        pytest.param(
            autoscaler(AbleToScale="True", ScalingActive="False:FailedGetResourceMetric"),
            CURRENT,
            "",
            id="an autoscaler without metrics leaves its workload as it is",
        ),
        pytest.param(
            autoscaler(AbleToScale="False:FailedGetScale"),
            PROGRESS,
            "FailedGetScale",
            id="an autoscaler cannot scale",
        ),
        pytest.param(
            obj("HorizontalPodAutoscaler", "autoscaling/v2", status={}),
            CURRENT,
            "",
            id="an autoscaler that has not begun leaves its workload as it is",
        ),
        pytest.param(thing(Ready="True"), CURRENT, "", id="it is ready"),
        pytest.param(thing(Ready="False:Wait"), PROGRESS, "Wait", id="it is not ready"),
        pytest.param(thing(Ready="Unknown:Lost"), UNKNOWN, "Lost", id="whether it is ready"),
        pytest.param(
            thing(Ready="Perhaps", Available="True"), UNKNOWN, "Ready", id="no word of Kubernetes"
        ),
        pytest.param(thing(Available="True"), CURRENT, "", id="it is available"),
        pytest.param(thing(Available="False"), PROGRESS, "Available", id="it is not available"),
        pytest.param(thing(Available="Unknown"), UNKNOWN, "Available", id="whether it is"),
        pytest.param(
            thing(Ready="False:Wait", Available="True"), PROGRESS, "Wait", id="ready comes first"
        ),
        pytest.param(thing(Stalled="True:Stuck"), FAILED, "Stuck", id="it is stalled"),
        pytest.param(
            thing(Stalled="True:Stuck", Ready="True"), FAILED, "Stuck", id="stalled comes first"
        ),
        pytest.param(thing(Reconciling="True:Busy"), PROGRESS, "Busy", id="it is worked on"),
        pytest.param(
            thing(Reconciling="True:Busy", Ready="True"),
            PROGRESS,
            "Busy",
            id="it was ready, and is worked on",
        ),
        pytest.param(
            thing(Stalled="False", Reconciling="False", Ready="True"), CURRENT, "", id="it is done"
        ),
        pytest.param(
            thing(Reconciling="False"), UNKNOWN, "NoHealthRule", id="nothing says that it is ready"
        ),
        pytest.param(
            thing(Ready="True:Done:1"), PROGRESS, "NotObserved", id="it was ready before the change"
        ),
        pytest.param(thing(Ready="True:Done:2"), CURRENT, "", id="it is ready since the change"),
        pytest.param(
            thing(Stalled="True:Stuck:1"), PROGRESS, "NotObserved", id="it was stalled before"
        ),
        pytest.param(
            thing(Stalled="False:No:1", Ready="True:Done:2"),
            CURRENT,
            "",
            id="what decides nothing may be old",
        ),
        pytest.param(
            obj(
                "Thing",
                "example.com/v1",
                metadata={"generation": 2},
                status={
                    "observedGeneration": 1,
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            ),
            PROGRESS,
            "NotObserved",
            id="its controller has not seen the change",
        ),
        pytest.param(
            obj("Thing", "example.com/v1", status={"state": "fine"}),
            UNKNOWN,
            "NoHealthRule",
            id="a status nobody knows",
        ),
        pytest.param(
            obj("Thing", "example.com/v1", status={}), PROGRESS, "NoStatus", id="an empty status"
        ),
        pytest.param(obj("Thing", "example.com/v1"), CURRENT, "", id="no status at all"),
    ],
)
def test_what_its_status_says(given: Any, status: HealthStatus, reason: str) -> None:
    found = assess(given, ())
    assert (found.status, found.reason) == (status, reason)
    # Nothing here names a release: on these grounds none is taken back.
    assert found.cause is Cause.NONE
