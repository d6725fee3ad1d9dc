"""`reconciler health`: one line an object in input order, Pods looked through, and nothing taken for healthy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.documents import check
from tests.system.served import Told, cli

NOW = "2026-01-31T12:00:00Z"


def health(*documents: Any, text: str | None = None, arguments: tuple[str, ...] = ()) -> Told:
    stdin = text if text is not None else yaml.safe_dump_all(documents)
    return cli("health", "-f", "-", "--now", NOW, *arguments, stdin=stdin.encode())


def obj(kind: str, name: str, api_version: str = "v1", **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "web", "uid": f"{kind}-{name}", **more.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, **more}


def owned(by: dict[str, Any]) -> dict[str, Any]:
    owner = {"apiVersion": by["apiVersion"], "kind": by["kind"], "controller": True}
    return {"ownerReferences": [{**owner, "name": "x", "uid": by["metadata"]["uid"]}]}


CONFIG = obj("ConfigMap", "settings")
DEPLOYMENT = obj(
    "Deployment",
    "web",
    "apps/v1",
    spec={"replicas": 1, "selector": {"matchLabels": {"app": "web"}}},
    status={"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "unavailableReplicas": 1},
    metadata={"generation": 1, "labels": {}},
)
REPLICA_SET = obj(
    "ReplicaSet", "web-1", "apps/v1", metadata={**owned(DEPLOYMENT), "labels": {"pod-template-hash": "1"}},
    spec={"replicas": 1, "template": {"spec": {}}}, status={"replicas": 1},
)  # fmt: skip
CRASHING = obj(
    "Pod",
    "web-1-a",
    metadata={**owned(REPLICA_SET), "labels": {"pod-template-hash": "1"}},
    spec={"containers": [{"name": "web"}]},
    status={
        "phase": "Running",
        "containerStatuses": [
            {
                "name": "web",
                "restartCount": 4,
                "ready": False,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
            }
        ],
    },
)


def test_a_line_is_status_reason_and_message_between_tabs() -> None:
    told = health(CONFIG, "just text")
    assert [line.split("\t")[:2] for line in told.out.splitlines()] == [
        ["Current", "-"],
        ["Unknown", "Malformed"],
    ]
    assert told.code == 1 and told.err == ""


def test_a_file_is_read_as_what_is_piped_in_is(tmp_path: Path) -> None:
    file = tmp_path / "live.yaml"
    file.write_text(yaml.safe_dump_all([CONFIG, LOST, CRASHING]))
    told = cli("health", "-f", str(file), "--now", NOW)
    assert told == health(CONFIG, LOST, CRASHING)
    assert [line.split("\t")[0] for line in told.out.splitlines()] == [
        "Current",
        "Failed",
        "Failed",
    ]


def test_all_current_ends_with_zero_and_nothing_at_all_does_not() -> None:
    assert health(CONFIG).code == 0
    assert health(text="").code == 1
    assert health(text="", arguments=("-o", "json")).document["worst"] == "Unknown"


@pytest.mark.parametrize(
    "malformed",
    [
        "word",
        7,
        [],
        {},
        {"kind": "Deployment"},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": []},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": 3}},
        {"apiVersion": 1, "kind": "ConfigMap", "metadata": {"name": "a"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "status": "fine"},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": ""}},
    ],
)
def test_a_document_that_is_no_object_is_unknown_and_malformed(malformed: Any) -> None:
    told = health(CONFIG, malformed, CONFIG, arguments=("-o", "json"))
    check("health", told.document)
    statuses = [(o["status"], o["reason"]) for o in told.document["objects"]]
    assert statuses[0] == statuses[-1] == ("Current", "")
    assert statuses[1] == ("Unknown", "Malformed")
    assert told.document["worst"] == "Unknown" and told.code == 1


GOING = obj("ConfigMap", "going", metadata={"deletionTimestamp": NOW})
LOST = obj("PersistentVolumeClaim", "data", status={"phase": "Lost"})
BY_STATUS = {"Failed": LOST, "Unknown": 7, "Terminating": GOING, "InProgress": DEPLOYMENT}


@pytest.mark.parametrize("worst", BY_STATUS)
def test_the_worst_is_told_whatever_else_there_is(worst: str) -> None:
    milder = list(BY_STATUS)[list(BY_STATUS).index(worst) :]
    given = [CONFIG, *(BY_STATUS[status] for status in reversed(milder)), CONFIG]
    document = health(*given, arguments=("-o", "json")).document
    assert [o["status"] for o in document["objects"]] == ["Current", *reversed(milder), "Current"]
    assert document["worst"] == worst


def test_lists_are_flattened_in_place_however_deep() -> None:
    inner = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [obj("ConfigMap", "b")]}
    outer = {"apiVersion": "v1", "kind": "List", "items": [obj("ConfigMap", "a"), inner]}
    document = health(outer, obj("ConfigMap", "c"), arguments=("-o", "json")).document
    assert [(o["index"], o["name"]) for o in document["objects"]] == [(0, "a"), (1, "b"), (2, "c")]


def test_pods_in_the_same_input_are_looked_through_by_their_owners() -> None:
    told = health(CRASHING, DEPLOYMENT, REPLICA_SET, arguments=("-o", "json"))
    check("health", told.document)
    found = {o["kind"]: o for o in told.document["objects"]}
    assert found["Deployment"]["status"] == "Failed"
    assert found["Deployment"]["reason"] == "CrashLoopBackOff"
    (evidence,) = found["Deployment"]["evidence"]
    assert (evidence["name"], evidence["exit_code"], evidence["restarts"]) == ("web-1-a", 1, 4)
    assert told.document["worst"] == "Failed" and told.document["now"] == NOW
    alone = health(DEPLOYMENT, arguments=("-o", "json")).document["objects"][0]
    assert alone["status"] == "InProgress"


def test_a_message_stays_on_its_line() -> None:
    pod = {**CRASHING, "metadata": {**CRASHING["metadata"], "name": "a\tb\nc"}}
    assert all(line.count("\t") == 2 for line in health(DEPLOYMENT, pod).out.splitlines())


def test_an_input_that_cannot_be_read_ends_with_two(tmp_path: Path) -> None:
    assert health(text="a: [").code == 2
    assert health(text="[" * 50_000).code == 2
    assert health(CONFIG, arguments=("--now", "yesterday")).code == 2
    assert health(CONFIG, arguments=("--now", "2026-01-31T12:00:00")).code == 2
    assert cli("health", "-f", str(tmp_path)).code == 2
    assert cli("health", "-f", str(tmp_path / "nowhere")).code == 2


def test_a_large_list_takes_no_longer_than_it_should() -> None:
    pods = [obj("Pod", f"p{i}", metadata=owned(REPLICA_SET)) for i in range(400)]
    document = health({"apiVersion": "v1", "kind": "List", "items": pods}, arguments=("-o", "json"))
    assert len(document.document["objects"]) == 400
