"""Below the record of another installation nothing is watched over: neither its drift nor its health is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.model.events import EventKind
from reconciler.model.health import HealthStatus
from reconciler.model.objects import ObjectRef
from reconciler.schema.records import (
    read_service_record,
    service_record_object,
    service_record_status,
)
from reconciler.shell.executor.records import current, is_applied
from reconciler.simulated.behaviour import Fate, digest_for
from tests.fakes.at_work import NAMESPACE, AtWork, config_map, workload

RECORD = ObjectRef("reconciler.dev/v1alpha1", "ServiceRecord", NAMESPACE, "web.dev")
GOOD = f"example.com/web@{digest_for(Fate.READY, '1')}"
BAD = f"example.com/web@{digest_for(Fate.CRASH, '2')}"


@pytest.fixture
def work() -> AtWork:
    work = AtWork()
    work.delivered("1", config_map(x="1"), workload(image=GOOD))
    assert work.until(lambda: work.member().health.status is HealthStatus.CURRENT)
    return work


def take(work: AtWork, installation: str) -> None:
    """Writes the record in the name of an installation, which finds all of it applied."""
    record, found = work.record(), work.kube.get(RECORD)
    assert record is not None and found is not None
    named = replace(record, installation=installation)
    spec = service_record_object(named, namespace=NAMESPACE)["spec"]
    written = work.kube.replace({**found, "spec": spec}, subresource=None)
    status = service_record_status(current(read_service_record(written)))
    work.kube.replace({**written, "status": status}, subresource="status")
    work.pass_(1)


def drift(work: AtWork) -> None:
    work.edit(config_map(), data={"x": "by hand"})


def crash(work: AtWork) -> None:
    spec = workload(image=BAD)["spec"]
    work.edit(workload(), spec=spec)


@pytest.mark.parametrize("change", [drift, crash])
@pytest.mark.parametrize("is_new", [True, False], ids=["a new process", "one that had it before"])
def test_what_happens_below_it_is_not_told(
    work: AtWork, change: Callable[[AtWork], None], is_new: bool
) -> None:
    take(work, "blue")
    if is_new:
        work.start()
    assert is_applied(work.record()) and work.member().other == "blue"
    work.events.clear()
    change(work)
    work.pass_(60)
    assert [e for e in work.events if e.kind is not EventKind.CLUSTER_REACHABLE] == []
    assert work.executor.is_settled, "and nobody waits for it to be looked at"


def test_what_comes_back_to_us_is_looked_at_again(work: AtWork) -> None:
    take(work, "blue")
    drift(work)
    work.pass_(5)
    work.events.clear()
    take(work, "default")
    assert work.until(lambda: bool(work.told_of(EventKind.DRIFT_SEEN)), 20)
    assert work.member().known and work.member().drift == 1
