"""A bug of ours that one cell meets is that cell's trouble: the others of its cluster are served as ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from reconciler.model.facts import LiveState
from reconciler.model.health import HealthStatus
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.policy import DriftMode
from reconciler.shell.executor.live import LiveObjects
from reconciler.shell.executor.orders import CellKey, Examination
from tests.fakes.at_work import KEY, AtWork, config_map, labelled, workload
from tests.fakes.records import revision

OTHER: CellKey = (ServiceName("worker"), EnvironmentName("dev"))
"""Comes after the first in every order."""

BUG = ZeroDivisionError("division by zero")


@pytest.fixture
def work() -> AtWork:
    return AtWork()


@pytest.fixture(autouse=True)
def told() -> Iterator[list[EventDict]]:
    """Returns what was logged."""
    with capture_logs() as logged:
        yield logged


def other_workload(*, image: str = "example.com/worker:1") -> dict[str, Any]:
    """Returns a workload of the other service."""
    made = workload(image=image)
    meta = {"name": "worker", "namespace": "web"}
    return labelled({**made, "metadata": meta}, OTHER)


def meets_a_bug(work: AtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has whatever is read of the first cell's workload from the watches meet a bug."""
    family = LiveObjects.family

    def odd(self: LiveObjects, obj: dict[str, Any]) -> Any:
        if obj["metadata"]["name"] == "web":
            raise BUG
        return family(self, obj)

    monkeypatch.setattr(LiveObjects, "family", odd)
    work.edit(workload(), annotations={"touched": "by hand"})
    work.pass_(1)


def test_the_order_of_one_cell_is_put_off_and_those_of_others_are_carried_out(
    work: AtWork, told: list[EventDict]
) -> None:
    work.refuse(BUG, ["apply"], "ConfigMap")
    work.deliver("1", config_map(x="1"))
    work.deliver("1", other_workload(), key=OTHER)
    assert work.until(lambda: work.member(OTHER).is_on(revision("1").id), 5)
    found = work.member().order
    assert found is not None and "a bug of ours: ZeroDivisionError; report it" in found.why
    assert [one["exc_info"] for one in told if one["event"] == "bug-met"], "with its traceback"
    work.mend()
    assert work.until(lambda: work.member().is_on(revision("1").id), 60)


def test_a_cell_that_cannot_be_looked_at_is_unknown_and_others_are_looked_at(
    work: AtWork, monkeypatch: pytest.MonkeyPatch, told: list[EventDict]
) -> None:
    work.delivered("1", workload())
    work.delivered("1", other_workload(), key=OTHER)
    work.pass_(20)
    assert work.member().known and work.member().health.status is HealthStatus.CURRENT
    with monkeypatch.context() as patched:
        meets_a_bug(work, patched)
        at_s = work.member().healthy_s
        work.edit(other_workload(), spec={**other_workload()["spec"], "replicas": 9})
        work.told.clear()
        work.pass_(60)
        assert work.member(OTHER).drift == 1 and OTHER in work.told
        found = work.member()
        assert not found.known and found.healthy_s == at_s, "nobody has looked"
        assert found.health.status is HealthStatus.UNKNOWN
        assert "a bug of ours: ZeroDivisionError" in found.health.message
        assert 4 < len([one for one in told if one["event"] == "bug-met"]) < 12, "ever later"
    work.told.clear()
    assert work.until(lambda: work.member().known, 31), "and it is tried again"
    assert work.member().health.status is HealthStatus.CURRENT and KEY in work.told


def test_a_comparison_that_meets_a_bug_says_so_and_stands_before_no_order(
    work: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.cluster.store.create(workload(), "kubectl-create")
    order = work.deliver("1", workload())
    work.executor.forget(order.key)
    assert order.rendered is not None
    examination = Examination(KEY, revision("1").id, order.rendered)
    work.executor.examine(examination)
    work.pass_(1)  # What an object is looked through to is listed.
    meets_a_bug(work, monkeypatch)
    work.executor.examine(examination)
    work.clock.advance(0.1)  # It is due, as what said nothing before is asked again a little later.
    work.deliver("1", other_workload(), key=OTHER)
    assert work.until(lambda: work.member(OTHER).is_on(revision("1").id), 0.4)
    found = work.member(wanted=revision("1").id)
    assert found.live is LiveState.UNKNOWN and "a bug of ours" in found.health.message


def test_the_keeping_of_one_cell_is_put_off_and_that_of_others_is_done(work: AtWork) -> None:
    work.delivered("1", config_map(x="1"), drift=DriftMode.CORRECT)
    work.delivered("1", other_workload(), key=OTHER, drift=DriftMode.CORRECT)
    work.refuse(BUG, ["apply"], "ConfigMap")
    work.edit(config_map(), data={"x": "by hand"})
    work.edit(other_workload(), spec={**other_workload()["spec"], "replicas": 9})
    work.pass_(5)
    found = work.get(other_workload())
    assert found is not None and found["spec"]["replicas"] == 2
