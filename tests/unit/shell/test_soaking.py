"""Which time counts as seen healthy: that of exactly what is there, and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import Unreachable
from reconciler.model.names import RenderDigest
from reconciler.schema.records import service_record_object, service_record_status
from reconciler.shell.executor.soaking import Soak
from tests.fakes.at_work import KEY, NAMESPACE, AtWork, config_map, workload
from tests.fakes.records import revision


@pytest.fixture
def work() -> AtWork:
    return AtWork()


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
    record = work.record()
    assert record is not None
    two, digest = revision("2"), RenderDigest(order.rendered.digest)
    given = replace(record, revision=two, applied=two.id, render_digest=digest)
    work.refuse(Unreachable("x", "y", "z"), ["get"], "Secret")
    for subresource in (None, "status"):
        found = work.record()
        assert found is not None
        obj = service_record_object(replace(given, version=found.version), namespace=NAMESPACE)
        status = replace(given, observed_generation=found.generation)
        obj = {**obj, "status": service_record_status(status)}
        work.kube.replace(obj, subresource=subresource)
    work.pass_(5)
    work.mend()
    work.delivered("3", workload())
    assert work.member().healthy_s < 1


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
