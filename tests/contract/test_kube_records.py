"""What the records rely on of a cluster that holds their definitions, checked on every front of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.recording import empty
from reconciler.errors import Refused
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject
from reconciler.model.records import ServiceRecord
from reconciler.schema.records import (
    promotion_record_object,
    service_record_object,
    service_record_status,
)
from reconciler.shell.clusters import bootstrap
from tests.contract.kube_fronts import CONNECTED, Front, kubectl
from tests.contract.kube_objects import Object, delete, deployment, ref, until
from tests.fakes.facts import proof, rejection, rollout
from tests.fakes.records import revision

WEB, DEV = ServiceName("web"), EnvironmentName("dev")
KINDS = ("ServiceRecord", "PromotionRecord")


def record(space: str, **changes: Any) -> Object:
    made = ServiceRecord(WEB, DEV, revision(), "web", epoch=2, holder="me")
    obj = service_record_object(made, namespace=space)
    obj["spec"].update(changes)
    return obj


def promotion_record(space: str) -> Object:
    made = replace(empty(WEB, DEV), admitted=revision(), epoch=2, holder="me")
    return promotion_record_object(made, namespace=space)


@pytest.fixture
def installed(front: Front) -> Front:
    bootstrap(front.api, "reconciler-system")

    def served() -> bool:
        for kind in KINDS:
            if front.api.kind("reconciler.dev/v1alpha1", kind) is None:
                return False
            try:
                front.api.list("reconciler.dev/v1alpha1", kind, namespace=None, label_selector="")
            except Refused:
                return False
        return True

    until(front, served)
    return front


def replaced(front: Front, obj: KubeObject) -> KubeObject:
    return front.api.replace(obj, subresource=None)


def applied(front: Front, obj: KubeObject) -> KubeObject:
    """Whoever applies may force fields from others, but not past the rule."""
    metadata = {name: obj["metadata"][name] for name in ("name", "namespace")}
    return front.api.apply({**obj, "metadata": metadata}, force=True, dry_run=False)


MADE = pytest.mark.parametrize("made", [record, promotion_record], ids=KINDS)
WRITE = pytest.mark.parametrize("write", [replaced, applied])
Write = Callable[[Front, KubeObject], KubeObject]


@MADE
@WRITE
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"epoch": 1}, id="a lower epoch"),
        pytest.param({"epoch": 1, "holder": "another"}, id="another holder of a lower epoch"),
        pytest.param({"holder": "another"}, id="another holder of the same epoch"),
    ],
)
def test_a_record_refuses_who_was_replaced(
    changes: Object, write: Write, made: Callable[[str], Object], installed: Front, space: str
) -> None:
    stored = installed.api.create(made(space))
    with pytest.raises(Refused) as caught:
        write(installed, {**stored, "spec": {**stored["spec"], **changes}})
    assert "epoch" in str(caught.value)
    now = installed.api.get(ref(stored))
    assert now is not None and now["spec"] == stored["spec"]


@MADE
@WRITE
def test_a_record_takes_its_holder_and_whoever_has_a_higher_epoch(
    write: Write, made: Callable[[str], Object], installed: Front, space: str
) -> None:
    stored = installed.api.create(made(space))
    for changes in ({"installation": "mine"}, {"epoch": 3, "holder": "another"}):
        wanted = {**stored["spec"], **changes}
        stored = write(installed, {**stored, "spec": wanted})
        assert stored["spec"] == wanted


def test_a_record_holds_all_that_was_written_and_nothing_that_is_unknown(
    installed: Front, space: str
) -> None:
    wanted = record(space)
    stored = installed.api.create(wanted)
    assert stored["spec"] == wanted["spec"]
    with pytest.raises(Refused) as caught:
        installed.api.create(record(space, nonsense=1))
    assert "nonsense" in str(caught.value)


def test_a_status_is_written_apart_and_bumps_no_generation(installed: Front, space: str) -> None:
    stored = installed.api.create(record(space))
    made = ServiceRecord(WEB, DEV, revision(), "web", observed_generation=1)
    status = service_record_status(made)
    now = installed.api.replace({**stored, "status": status}, subresource="status")
    assert now["metadata"]["generation"] == stored["metadata"]["generation"] == 1
    assert now["status"]["state"] == "Pending"
    again = installed.api.replace({**now, "spec": {**now["spec"], "epoch": 9}}, subresource=None)
    assert again["metadata"]["generation"] == 2
    assert again["status"] == now["status"]


@MADE
def test_a_status_cannot_change_a_spec(
    made: Callable[[str], Object], installed: Front, space: str
) -> None:
    stored = installed.api.create(made(space))
    other = {**stored["spec"], "epoch": 3}
    now = installed.api.replace({**stored, "spec": other, "status": {}}, subresource="status")
    assert now["spec"] == stored["spec"]


@WRITE
def test_a_spec_cannot_change_a_status(write: Write, installed: Front, space: str) -> None:
    stored = installed.api.create(record(space))
    made = ServiceRecord(WEB, DEV, revision(), "web", observed_generation=1)
    status = service_record_status(made)
    stored = installed.api.replace({**stored, "status": status}, subresource="status")
    other = {**stored["status"], "observedGeneration": 9, "message": "another"}
    changed = {**stored, "spec": {**stored["spec"], "epoch": 3}, "status": other}
    now = write(installed, changed)
    assert (now["spec"]["epoch"], now["status"]) == (3, stored["status"])


# What people see with kubectl.


@CONNECTED
def test_kubectl_shows_where_each_promotion_stands(installed: Front, space: str) -> None:
    going = replace(
        empty(WEB, DEV),
        admitted=revision("4.0.0"),
        rollout=rollout(revision("5.0.0")),
        proofs=(proof(revision("3.0.0")), proof(revision("2.0.0"))),
        rejections=(rejection(revision("7.0.0")), rejection(revision("6.0.0"))),
    )
    new = empty(ServiceName("api"), DEV)
    for made in (going, new):
        installed.api.create(promotion_record_object(made, namespace=space))
    lines = kubectl(installed.kubeconfig, "get", "promotionrecords", "-n", space).splitlines()
    header, *rows = [line.split() for line in lines]
    columns = ("SERVICE", "ENVIRONMENT", "ADMITTED", "ROLLING-OUT", "PROVEN", "REJECTED", "AGE")
    assert header == ["NAME", *columns]
    # Of what there are several, the newest is shown.
    assert [row[:-1] for row in rows] == [
        ["api.dev", "api", "dev"],
        ["web.dev", "web", "dev", "4.0.0", "5.0.0", "3.0.0", "7.0.0"],
    ]


@CONNECTED
def test_kubectl_reads_records_and_applies(front: Front, space: str) -> None:
    bootstrap(front.api, "reconciler-system")
    until(front, lambda: front.api.kind("reconciler.dev/v1alpha1", "ServiceRecord") is not None)
    made = front.api.create(record(space))
    lines = kubectl(front.kubeconfig, "get", "servicerecords", "-A").splitlines()
    assert lines[0].split() == [
        *("NAMESPACE", "NAME", "SERVICE", "ENVIRONMENT", "VERSION", "STATE", "REASON", "AGE")
    ]
    (row,) = [line.split() for line in lines if line.startswith(f"{space} ")]
    assert row[:5] == [space, "web.dev", "web", "dev", "1.0.0"]
    assert row[-1].endswith("s")
    text = json.dumps(deployment(space))
    told = kubectl(front.kubeconfig, "apply", "--server-side", "-f", "-", text=text)
    assert told.strip() == "deployment.apps/a serverside-applied"
    kubectl(front.kubeconfig, "annotate", "-n", space, "deployment/a", "note=hello")
    kubectl(front.kubeconfig, "scale", "-n", space, "deployment/a", "--replicas=3")
    found = front.api.get(ref(deployment(space)))
    assert found is not None and found["metadata"]["annotations"]["note"] == "hello"
    assert found["spec"]["replicas"] == 3
    kubectl(front.kubeconfig, "delete", "-n", space, "deployment/a", "--wait=false")
    until(front, lambda: front.api.get(ref(deployment(space))) is None)
    delete(front, made)
