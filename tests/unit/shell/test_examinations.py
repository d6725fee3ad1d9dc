"""What is compared before an adoption: asked again while it cannot be read, and ever more rarely."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import Denied
from reconciler.model.facts import LiveState
from reconciler.model.names import RenderDigest
from reconciler.model.objects import ObjectRef, Rendered
from reconciler.schema.records import service_record_object
from reconciler.shell.executor.orders import Examination
from tests.fakes.at_work import KEY, NAMESPACE, AtWork, config_map
from tests.fakes.records import revision

ASKED = Examination(KEY, revision("1").id, Rendered((config_map(x="1"),), RenderDigest("sha256:r")))
RECORD = ObjectRef("reconciler.dev/v1alpha1", "ServiceRecord", NAMESPACE, f"{KEY[0]}.{KEY[1]}")


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def answered(work: AtWork) -> LiveState:
    return work.member(wanted=ASKED.revision).live


def wait(work: AtWork, seconds: int) -> None:
    """Asks as the coordinator does at each of its turns."""
    for _ in range(seconds * 10):
        if answered(work) is LiveState.UNKNOWN:
            work.executor.examine(ASKED)
        work.pass_(0.1)


def test_what_cannot_be_read_is_not_asked_for_without_a_pause(work: AtWork) -> None:
    asked: list[str] = []

    def before(verb: str, kind: str) -> None:
        if (verb, kind) == ("get", "ConfigMap"):
            asked.append(kind)
            raise Denied("ConfigMap web/web", "it cannot be read", "forbidden")

    work.cluster.faults.before = before
    wait(work, 60)
    assert answered(work) is LiveState.UNKNOWN
    assert 10 < len(asked) < 30
    assert work.until(lambda: work.executor.is_settled, 6), "nobody need wait for it"
    work.mend()
    wait(work, 6)
    assert answered(work) is LiveState.ABSENT


def test_a_first_look_is_asked_for_soon_again(work: AtWork) -> None:
    wait(work, 2)
    assert answered(work) is LiveState.ABSENT


def test_what_another_coordinator_asks_for_begins_to_be_waited_for(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.start()
    work.pass_(500)
    record = work.record()
    assert record is not None
    theirs = replace(record, revision=revision("2"), epoch=record.epoch + 1, holder="another")
    found = work.kube.get(RECORD)
    assert found is not None
    spec = service_record_object(theirs, namespace=NAMESPACE)["spec"]
    work.kube.replace({**found, "spec": spec}, subresource=None)
    work.pass_(2)
    assert work.member().waiting_s < 10
