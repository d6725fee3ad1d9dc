"""Which time counts as seen healthy: that of exactly what is there, and no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.errors import Unreachable
from reconciler.model.names import RenderDigest
from reconciler.model.objects import ObjectRef
from reconciler.ports.kube import Propagation
from reconciler.schema.records import service_record_object, service_record_status
from reconciler.shell.executor.records import current
from reconciler.shell.executor.soaking import Soak
from tests.fakes.at_work import KEY, NAMESPACE, AtWork, config_map, workload
from tests.fakes.records import revision

RECORD = ObjectRef("reconciler.dev/v1alpha1", "ServiceRecord", NAMESPACE, f"{KEY[0]}.{KEY[1]}")


@pytest.fixture
def work() -> AtWork:
    return AtWork()


def by_another(work: AtWork, subresource: str | None, **changes: Any) -> None:
    """Writes the record as the daemon that leads does: what is asked for, or then what came of it."""
    found = work.record()
    assert found is not None
    given = replace(found, **changes)
    if subresource is not None:
        given = current(given)
    obj = service_record_object(given, namespace=NAMESPACE)
    work.kube.replace({**obj, "status": service_record_status(given)}, subresource=subresource)


def test_time_on_another_revision_is_no_time_of_the_one_before(work: AtWork) -> None:
    """Half of the next one was applied, and the pin goes back to what the status still speaks of."""
    work.delivered("1", config_map(x="1"), workload())
    assert work.until(lambda: work.member().healthy_s > 5)
    work.refuse(Unreachable("x", "y", "z"), ["apply"], "Deployment")
    work.deliver("2", config_map(x="2"), workload(image="example.com/web:2"))
    work.pass_(20)
    assert work.executor._looks.state(KEY).soak.total_s(work.clock.monotonic_s()) == 0
    work.mend()
    work.delivered("1", config_map(x="1"), workload())
    record = work.record()
    assert record is not None and max(record.healthy_s, work.member().healthy_s) < 1


def test_time_on_what_another_daemon_replaced_is_no_time_of_what_it_applied(work: AtWork) -> None:
    """What it applied cannot be read here, so that what was applied before is still what was last seen."""
    work.delivered("1", config_map(x="1"))
    assert work.until(lambda: work.member().healthy_s > 5)
    order = work.deliver("3", workload())
    work.executor.forget(order.key)
    assert order.rendered is not None
    two, digest = revision("2"), RenderDigest(order.rendered.digest)
    work.refuse(Unreachable("x", "y", "z"), ["get"], "Secret")
    by_another(work, None, revision=two)
    by_another(work, "status", applied=two.id, render_digest=digest)
    work.pass_(5)
    work.mend()
    work.delivered("3", workload())
    assert work.member().healthy_s < 1


def test_time_on_what_another_daemon_began_is_no_time_of_what_it_went_back_to(work: AtWork) -> None:
    """It has applied half of the next one, and then all of the former again."""
    one = work.delivered("1", config_map(x="1"))
    assert work.until(lambda: work.member().healthy_s > 5)
    by_another(work, None, revision=revision("2"))
    work.pass_(20)
    by_another(work, None, revision=one)
    work.pass_(1)
    by_another(work, "status")
    assert work.until(lambda: work.member().known and work.member().is_on(one.id), 10)
    assert work.member().healthy_s < 1


def test_a_record_that_was_lost_takes_the_time_with_it(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    assert work.until(lambda: work.member().healthy_s > 5)
    record = work.record()
    work.kube.delete(RECORD, uid="", resource_version="", propagation=Propagation.BACKGROUND)
    work.pass_(20)
    assert record is not None
    work.kube.create(service_record_object(replace(record, version=""), namespace=NAMESPACE))
    by_another(work, "status", state=record.state, applied=record.applied)
    assert work.until(lambda: work.member().is_on(revision("1").id), 10)
    assert work.member().healthy_s < 1


def test_another_word_on_what_is_there_only_halts_its_time(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"))
    assert work.until(lambda: work.member().healthy_s > 5)
    by_another(work, None, proven=True)
    work.pass_(20)
    halted_s = work.member().healthy_s
    assert 5 < halted_s < 7
    by_another(work, "status")
    work.pass_(10)
    assert halted_s + 8 < work.member().healthy_s <= halted_s + 10


def test_what_is_written_begins_its_soak_anew_though_it_renders_to_the_same(work: AtWork) -> None:
    work.delivered("1", workload())
    work.delivered("2", workload())
    assert work.until(lambda: work.member().healthy_s > 5)
    work.delivered("1", rendered=False, returning=True)
    assert work.member().healthy_s < 1


def test_what_renders_to_the_same_is_applied_to_nothing_and_keeps_its_soak(work: AtWork) -> None:
    work.delivered("1", workload())
    assert work.until(lambda: work.member().healthy_s > 5)
    work.cluster.audit.clear()
    work.delivered("2", workload())
    assert not work.writes("Deployment")
    assert work.member().healthy_s > 5


def test_soak_does_not_count_while_the_cluster_is_away(work: AtWork) -> None:
    work.delivered("1", workload())
    assert work.until(lambda: work.member().healthy_s > 3)
    work.cluster.faults.is_down = True
    work.pass_(60)
    work.cluster.faults.is_down = False
    assert work.until(lambda: work.member().known, 20)
    assert work.member().healthy_s < 15


def test_soak_adds_up_what_was_seen_and_nothing_else() -> None:
    soak = Soak()
    soak.healthy(10)
    assert soak.total_s(15) == 5
    soak.stop(15)
    assert soak.total_s(100) == 5
    soak.healthy(100)
    soak.healthy(101)
    assert soak.total_s(103) == 8
    # Nobody has looked since 102: what is counted ends there.
    soak.stop(102)
    assert soak.total_s(200) == 7
