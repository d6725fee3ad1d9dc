"""What the shell relies on of a cluster, checked on every front of it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.render.kustomize import find_kubectl
from reconciler.errors import Conflict, Denied, Expired, Refused, Throttled, Unreachable
from reconciler.model.objects import ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.ports.kube import Change, Propagation
from reconciler.schema.records import service_record_object, service_record_status
from reconciler.shell.engine import bootstrap
from reconciler.simulated.faults import HalfPage, Refuse, answering
from tests.contract.kube_fronts import FRONTS, Front, http, serve_with_faults
from tests.fakes.records import revision

NAMESPACE = "contract"


@pytest.fixture(params=sorted(FRONTS))
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    with FRONTS[request.param](tmp_path) as made:
        made.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield made


def config_map(name: str = "one", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"a": "b"}},
        "data": data,
    }


def deployment(*, replicas: int | None = 2, image: str = "example.com/a:1") -> dict[str, Any]:
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {
                "containers": [{"name": "a", "image": image, "env": [{"name": "X", "value": "1"}]}]
            },
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": NAMESPACE},
        "spec": spec,
    }


def ref(obj: dict[str, Any]) -> ObjectRef:
    return ObjectRef.of(obj)


def test_a_kind_that_is_served_is_described(front: Front) -> None:
    info = front.api.kind("apps/v1", "Deployment")
    assert info is not None and (info.plural, info.namespaced) == ("deployments", True)
    assert front.api.kind("v1", "Namespace").namespaced is False  # type: ignore[union-attr]


def test_a_kind_that_is_not_served_is_none(front: Front) -> None:
    assert front.api.kind("example.com/v1", "Nothing") is None
    assert front.api.kind("v1", "Nothing") is None


def test_what_is_not_there_is_none(front: Front) -> None:
    assert front.api.get(ref(config_map())) is None


def test_what_was_created_is_read_back_and_is_not_created_twice(front: Front) -> None:
    front.api.create(config_map(x="1"))
    found = front.api.get(ref(config_map()))
    assert found is not None and found["data"] == {"x": "1"}
    with pytest.raises(Conflict):
        front.api.create(config_map(x="2"))


def test_a_namespace_that_is_not_there_is_refused(front: Front) -> None:
    obj = config_map()
    obj["metadata"]["namespace"] = "nowhere"
    with pytest.raises(Refused):
        front.api.create(obj)


def test_a_replace_counts_only_on_the_version_it_names(front: Front) -> None:
    was = front.api.create(config_map(x="1"))
    now = front.api.replace({**was, "data": {"x": "2"}}, subresource=None)
    assert now["data"] == {"x": "2"}
    with pytest.raises(Conflict):
        front.api.replace({**was, "data": {"x": "3"}}, subresource=None)


def test_a_field_left_out_of_an_apply_is_removed(front: Front) -> None:
    front.api.apply(config_map(x="1", y="2"), force=False, dry_run=False)
    now = front.api.apply(config_map(x="1"), force=False, dry_run=False)
    assert now["data"] == {"x": "1"}


def test_an_apply_of_the_same_changes_nothing(front: Front) -> None:
    once = front.api.apply(deployment(), force=False, dry_run=False)
    again = front.api.apply(deployment(), force=False, dry_run=False)
    assert once["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


def test_lists_are_applied_by_their_keys(front: Front) -> None:
    front.api.apply(deployment(), force=False, dry_run=False)
    wanted = deployment()
    container = wanted["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "Y", "value": "2"}, {"name": "X", "value": "3"}]
    now = front.api.apply(wanted, force=False, dry_run=False)
    env = now["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {e["name"]: e["value"] for e in env} == {"X": "3", "Y": "2"}
    del container["env"][0]
    now = front.api.apply(wanted, force=False, dry_run=False)
    env = now["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [e["name"] for e in env] == ["X"]


def test_another_managers_field_is_a_conflict_unless_forced(front: Front) -> None:
    stored = front.api.apply(deployment(replicas=2), force=False, dry_run=False)
    _other_writes(front, {**stored, "spec": {**stored["spec"], "replicas": 5}})
    with pytest.raises(Conflict) as caught:
        front.api.apply(deployment(replicas=3), force=False, dry_run=False)
    assert "replicas" in str(caught.value)
    assert "somebody" in str(caught.value)
    now = front.api.apply(deployment(replicas=3), force=True, dry_run=False)
    assert now["spec"]["replicas"] == 3


def test_a_field_we_do_not_name_stays_with_its_manager(front: Front) -> None:
    stored = front.api.apply(deployment(replicas=None), force=False, dry_run=False)
    _other_writes(front, {**stored, "spec": {**stored["spec"], "replicas": 5}})
    now = front.api.apply(
        deployment(replicas=None, image="example.com/a:2"), force=False, dry_run=False
    )
    assert now["spec"]["replicas"] == 5


def _other_writes(front: Front, obj: dict[str, Any]) -> None:
    front.simulated.store.replace(dict(obj), "somebody")


def test_a_dry_run_tells_and_changes_nothing(front: Front) -> None:
    stored = front.api.apply(deployment(), force=False, dry_run=False)
    would_be = front.api.apply(deployment(replicas=7), force=True, dry_run=True)
    assert would_be["spec"]["replicas"] == 7
    found = front.api.get(ref(deployment()))
    assert found is not None
    assert found["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]


def test_an_object_that_is_wrong_is_refused_with_its_field(front: Front) -> None:
    wrong = deployment()
    del wrong["spec"]["template"]["spec"]["containers"][0]["image"]
    with pytest.raises(Refused) as caught:
        front.api.apply(wrong, force=False, dry_run=False)
    assert "image" in str(caught.value)


def test_an_immutable_field_is_refused(front: Front) -> None:
    front.api.apply(deployment(), force=False, dry_run=False)
    other = deployment()
    other["spec"]["selector"] = {"matchLabels": {"app": "b"}}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "b"}
    with pytest.raises(Refused):
        front.api.apply(other, force=True, dry_run=False)


def test_a_delete_counts_only_for_the_object_it_names(front: Front) -> None:
    made = front.api.create(config_map())
    meta = made["metadata"]
    with pytest.raises(Conflict):
        front.api.delete(
            ref(config_map()),
            uid="another",
            resource_version="",
            propagation=Propagation.BACKGROUND,
        )
    front.api.delete(
        ref(config_map()),
        uid=meta["uid"],
        resource_version=meta["resourceVersion"],
        propagation=Propagation.BACKGROUND,
    )
    assert front.api.get(ref(config_map())) is None
    # Once more is nothing to do.
    front.api.delete(
        ref(config_map()), uid=meta["uid"], resource_version="", propagation=Propagation.BACKGROUND
    )


def test_a_list_is_whole_and_chosen_by_labels(front: Front) -> None:
    for number in range(7):
        front.api.create(config_map(f"map-{number}"))
    other = config_map("other")
    other["metadata"]["labels"] = {"a": "c"}
    front.api.create(other)
    listing = front.api.list("v1", "ConfigMap", namespace=NAMESPACE, label_selector="a=b")
    assert [o["metadata"]["name"] for o in listing.items] == [f"map-{n}" for n in range(7)]
    everywhere = front.api.list("v1", "ConfigMap", namespace=None, label_selector="a")
    assert len(everywhere.items) >= 8


def test_a_watch_tells_what_happened_since(front: Front) -> None:
    listing = front.api.list("v1", "ConfigMap", namespace=NAMESPACE, label_selector="")
    front.api.create(config_map(x="1"))
    front.api.apply(config_map(x="2"), force=True, dry_run=False)
    seen = _watch(front, listing.resource_version, 2)
    assert [e[0] for e in seen] == [Change.ADDED, Change.MODIFIED]
    assert [e[1]["data"]["x"] for e in seen] == ["1", "2"]


def test_a_watch_from_too_long_ago_has_expired(front: Front) -> None:
    front.api.create(config_map())
    front.simulated.store.forget()
    with pytest.raises(Expired):
        _watch(front, "1", 1)


def _watch(front: Front, version: str, count: int) -> list[tuple[Change, Any]]:
    found: list[tuple[Change, Any]] = []
    events = front.api.watch(
        "v1",
        "ConfigMap",
        namespace=NAMESPACE,
        label_selector="",
        resource_version=version,
        timeout_s=5,
    )
    for event in events:
        if event.change is not Change.BOOKMARK:
            found.append((event.change, event.object))
        if len(found) == count:
            break
    return found


def record(**changes: Any) -> dict[str, Any]:
    made = ServiceRecord("web", "dev", revision(), "web", epoch=2, holder="me")  # type: ignore[arg-type]
    obj = service_record_object(made, namespace=NAMESPACE)
    obj["spec"].update(changes)
    return obj


def test_a_record_refuses_a_lower_epoch_and_another_holder(front: Front) -> None:
    bootstrap(front.api, "reconciler-system")
    stored = front.api.create(record())
    for changes in ({"epoch": 1}, {"holder": "another"}):
        with pytest.raises(Refused):
            front.api.replace({**stored, "spec": {**stored["spec"], **changes}}, subresource=None)
    higher = {**stored["spec"], "epoch": 3, "holder": "another"}
    assert front.api.replace({**stored, "spec": higher}, subresource=None)


def test_a_status_is_written_apart_and_bumps_no_generation(front: Front) -> None:
    bootstrap(front.api, "reconciler-system")
    stored = front.api.create(record())
    made = ServiceRecord("web", "dev", revision(), "web", observed_generation=1)  # type: ignore[arg-type]
    status = service_record_status(made)
    now = front.api.replace({**stored, "status": status}, subresource="status")
    assert now["metadata"]["generation"] == stored["metadata"]["generation"] == 1
    assert now["status"]["state"] == "Pending"
    again = front.api.replace({**now, "spec": {**now["spec"], "epoch": 9}}, subresource=None)
    assert again["metadata"]["generation"] == 2
    assert again["status"] == now["status"]


def test_two_writers_never_both_win(front: Front) -> None:
    front.api.create(config_map(x="0"))
    won: list[int] = []

    def add() -> None:
        for _ in range(10):
            found = front.api.get(ref(config_map()))
            assert found is not None
            value = str(int(found["data"]["x"]) + 1)
            try:
                front.api.replace({**found, "data": {"x": value}}, subresource=None)
            except Conflict:
                continue
            won.append(1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = front.api.get(ref(config_map()))
    assert found is not None and int(found["data"]["x"]) == len(won)


# What only a connection can show.


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (401, "Unauthorized", Denied),
        (403, "Forbidden", Denied),
        (409, "Conflict", Conflict),
        (410, "Expired", Expired),
        (422, "Invalid", Refused),
        (429, "TooManyRequests", Throttled),
        (500, "InternalError", Unreachable),
        (503, "ServiceUnavailable", Unreachable),
    ],
)
def test_every_refusal_has_its_error(
    code: int, reason: str, error: type[Exception], tmp_path: Path
) -> None:
    def refuse(verb: str, steps: list[str]) -> None:
        if "configmaps" in steps:
            raise answering(code, reason)

    with serve_with_faults(tmp_path, refuse) as front, pytest.raises(error):
        front.api.list("v1", "ConfigMap", namespace=None, label_selector="")


@pytest.mark.parametrize("fault", [HalfPage, Refuse])
def test_an_answer_that_breaks_off_is_no_answer(fault: type[Exception], tmp_path: Path) -> None:
    def break_off(verb: str, steps: list[str]) -> None:
        if "configmaps" in steps:
            raise fault

    with serve_with_faults(tmp_path, break_off) as front, pytest.raises(Unreachable):
        front.api.list("v1", "ConfigMap", namespace=None, label_selector="")


def test_a_server_that_asks_for_less_says_for_how_long(tmp_path: Path) -> None:
    def throttle(verb: str, steps: list[str]) -> None:
        if "configmaps" in steps:
            raise answering(429, "TooManyRequests", seconds=7)

    with serve_with_faults(tmp_path, throttle) as front, pytest.raises(Throttled) as caught:
        front.api.list("v1", "ConfigMap", namespace=None, label_selector="")
    assert caught.value.retry_after_s == 7


def test_an_error_of_discovery_is_not_a_kind_that_is_not_served(tmp_path: Path) -> None:
    def forbid(verb: str, steps: list[str]) -> None:
        raise answering(403, "Forbidden")

    with serve_with_faults(tmp_path, forbid) as front, pytest.raises(Denied):
        front.api.kind("apps/v1", "Deployment")


def test_a_page_of_many_is_one_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.adapters.kube.client.PAGE_ITEMS", 3)
    with FRONTS["http"](tmp_path) as front:
        front.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for number in range(10):
            front.api.create(config_map(f"map-{number}"))
        listing = front.api.list("v1", "ConfigMap", namespace=NAMESPACE, label_selector="")
        assert len(listing.items) == 10


# What people see with kubectl.


def kubectl(front: Front, *arguments: str, text: str = "") -> str:
    done = subprocess.run(
        [str(find_kubectl()), "--kubeconfig", str(front.kubeconfig), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kubectl_reads_records_and_applies(tmp_path: Path) -> None:
    with http(tmp_path, token="") as front:
        front.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        bootstrap(front.api, "reconciler-system")
        front.api.create(record())
        lines = kubectl(front, "get", "servicerecords", "-A").splitlines()
        assert "VERSION" in lines[0] and "STATE" in lines[0]
        assert lines[1].split()[:4] == [NAMESPACE, "web.dev", "web", "dev"]
        text = json.dumps(deployment())
        told = kubectl(front, "apply", "--server-side", "-f", "-", text=text)
        assert told.strip() == "deployment.apps/a serverside-applied"
        kubectl(front, "annotate", "-n", NAMESPACE, "deployment/a", "note=hello")
        found = front.api.get(ref(deployment()))
        assert found is not None and found["metadata"]["annotations"]["note"] == "hello"


def test_pods_become_ready_in_real_time(tmp_path: Path) -> None:
    with FRONTS["memory"](tmp_path) as front:
        front.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        front.api.apply(deployment(), force=False, dry_run=False)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            front.simulated.step()
            found = front.api.get(ref(deployment()))
            assert found is not None
            if (found.get("status") or {}).get("availableReplicas") == 2:
                return
            time.sleep(0.05)
        raise AssertionError("the Deployment never became available")
