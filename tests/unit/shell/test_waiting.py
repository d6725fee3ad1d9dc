"""Since when a cluster is waited for, and what its record says of how long it was well."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import Denied, Unreachable
from reconciler.model.objects import ObjectRef
from reconciler.schema.records import (
    read_service_record,
    service_record_object,
    service_record_status,
)
from reconciler.shell.executor.cells import CellState
from reconciler.shell.executor.records import current
from tests.fakes.at_work import KEY, NAMESPACE, AtWork, config_map
from tests.fakes.records import revision
from tests.unit.shell.test_executor import stored_secret

LONG_S = 500.0
UNREADABLE = Denied("Secret", "it cannot be read", "forbidden")


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def waited_s(work: AtWork, version: str) -> float | None:
    return work.member().waited_s(revision(version).id)


def test_an_order_that_cannot_be_claimed_is_waited_for_and_what_runs_is_seen_as_before(
    work: AtWork,
) -> None:
    work.delivered("1", config_map(x="1"))
    work.pass_(LONG_S)
    work.refuse(Denied("ServiceRecord", "it cannot be written", "forbidden"), ["update"])
    work.deliver("2", config_map(x="2"))
    for _ in range(100):
        work.pass_(1)
        assert work.member().known and work.member().is_on(revision("1").id)
    assert 99 <= (waited_s(work, "2") or 0) <= 101
    assert waited_s(work, "1") == pytest.approx(LONG_S + 100, abs=20)
    found = work.member().order
    assert found is not None and "forbidden" in found.why and 0 <= found.retry_in_s <= 30
    work.mend()
    assert work.until(lambda: work.member().is_on(revision("2").id))
    assert work.member().order is None and waited_s(work, "1") is None


@pytest.mark.parametrize("comes_back", ["process", "cluster"])
def test_what_was_begun_and_never_applied_is_waited_for_however_often_it_is_ordered(
    work: AtWork, comes_back: str
) -> None:
    """Whoever comes back oftener than its deadline would page nobody."""
    work.delivered("1", config_map(x="1"))
    work.refuse(Denied("ConfigMap", "it cannot be applied", "forbidden"), ["apply"], "ConfigMap")
    work.deliver("2", config_map(x="2"))
    work.pass_(2)
    if comes_back == "process":
        work.start()
    for _ in range(5):
        if comes_back == "cluster":
            work.cluster.faults.is_down = True
            work.pass_(20)
            work.cluster.faults.is_down = False
        work.pass_(LONG_S / 5)
        work.deliver("2", config_map(x="2"))
    assert work.until(lambda: work.member().retried(revision("2").id) is not None)
    assert (waited_s(work, "2") or 0) >= LONG_S
    work.mend()
    work.delivered("2", config_map(x="2"))
    assert (waited_s(work, "2") or 0) >= LONG_S


def test_what_was_applied_and_is_delivered_once_more_is_waited_for_from_then_on(
    work: AtWork,
) -> None:
    """What is stored of it was damaged, and the next process asks for it anew."""
    work.delivered("1", config_map(x="1"))
    work.edit(stored_secret(work, "1"), data={"objects": "bm9uc2Vuc2U="}, annotations={})
    work.start()
    work.pass_(LONG_S)
    assert not work.member().is_on(revision("1").id)
    assert (waited_s(work, "1") or 0) >= LONG_S
    work.delivered("1", config_map(x="1"))
    assert waited_s(work, "1") == pytest.approx(0.0, abs=5)


def test_another_order_for_what_is_there_does_not_begin_the_wait_anew(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.pass_(LONG_S)
    work.refuse(Denied("ServiceRecord", "it cannot be written", "forbidden"), ["update"])
    work.deliver("1", config_map(x="1"), proven=True)
    work.pass_(5)
    assert work.member().order is not None
    assert (waited_s(work, "1") or 0) >= LONG_S


def test_a_stop_writes_down_that_what_is_proven_was_seen_healthy(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), proven=True)
    assert work.until(lambda: work.member().healthy_s > 1)
    work.executor.flush()
    work.start()
    assert work.until(lambda: work.member().record is not None)
    known = work.member().record
    assert known is not None and known.healthy_s > 1
    work.executor.flush()
    work.pass_(1)
    again = work.member().record
    assert again is not None and again.version == known.version, "and only once"


def test_how_long_one_revision_is_asked_for_is_not_told_of_the_next() -> None:
    state = CellState(asked_for=revision("1").id, asked_s=0.0)
    assert state.waiting_s(revision("1").id, LONG_S) == LONG_S
    assert state.waiting_s(revision("2").id, LONG_S) == 0.0


def test_a_record_says_that_it_was_well_once_it_is_proven(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.pass_(20)
    writes = len(work.writes())
    work.delivered("1", config_map(x="1"), proven=True)
    record = work.record()
    assert record is not None and record.proven and 19 <= record.healthy_s <= 30
    assert len(work.writes()) == writes + 2, "with the claim and the status, as before"
    # Another process, which has not read what is stored, takes nothing of it away.
    work.refuse(UNREADABLE, ["get"], "Secret")
    work.start()
    work.deliver("1", config_map(x="1"), proven=True, keep=())
    assert work.until(lambda: (found := work.record()) is not None and found.keep == ())
    record = work.record()
    assert record is not None and record.healthy_s >= 19


def test_how_long_one_revision_was_well_is_not_written_of_another(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    work.pass_(LONG_S)
    record = work.record()
    found = work.kube.get(
        ObjectRef("reconciler.dev/v1alpha1", "ServiceRecord", NAMESPACE, f"{KEY[0]}.{KEY[1]}")
    )
    assert record is not None and found is not None
    theirs = replace(record, revision=revision("2"), applied=revision("2").id)
    spec = service_record_object(theirs, namespace=NAMESPACE)["spec"]
    written = work.kube.replace({**found, "spec": spec}, subresource=None)
    claimed = current(read_service_record({**written, "status": service_record_status(theirs)}))
    status = service_record_status(claimed)
    work.refuse(UNREADABLE, ["get"], "Secret")
    work.kube.replace({**written, "status": status}, subresource="status")
    work.pass_(1)
    work.deliver("2", config_map(x="2"), proven=True)
    assert work.until(lambda: (found := work.record()) is not None and found.proven)
    record = work.record()
    assert record is not None and record.healthy_s < 10


def test_an_order_that_is_taken_back_is_told_so_that_the_cell_is_looked_at_again(
    work: AtWork,
) -> None:
    work.refuse(Unreachable("x", "y", "z"), ["create"])
    work.deliver("1", config_map(x="1"))
    assert work.until(lambda: work.executor._backlog.trouble(KEY) is not None)
    assert work.executor.ordered(KEY[0]) == {KEY[1]} and work.executor.known_cells() == (KEY,)
    told = len(work.told)
    work.executor.forget(KEY, unless=revision("1").id)
    assert work.member().order is not None and work.told[told:] == []
    work.executor.forget(KEY)
    assert work.member().order is None and work.told[told:] == [KEY]
    assert work.executor.ordered(KEY[0]) == frozenset() and work.executor.known_cells() == ()
    work.executor.forget(KEY)
    assert work.told[told:] == [KEY], "nothing was there"
    work.mend()
    work.pass_(60)
    assert work.get(config_map()) is None
