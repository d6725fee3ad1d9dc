"""A claim on a cluster's record: what people write there stays, whatever the watch has told of so far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.errors import Conflict
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.ports.kube import Change, WatchEvent
from reconciler.schema.records import read_service_record
from reconciler.shell.clusters import bootstrap
from reconciler.shell.executor.known import KnownRecords
from reconciler.shell.executor.orders import Claim, Installation, Leadership
from reconciler.shell.executor.records import Fenced, ServiceRecords
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.cluster import SimulatedCluster
from tests.fakes.records import revision

NAMESPACE = "reconciler-system"
OURS = Installation("ours", ("before",))
KEY = (ServiceName("web"), EnvironmentName("dev"))
REF = ObjectRef("reconciler.dev/v1alpha1", "ServiceRecord", NAMESPACE, "web.dev")
NOTE = {"reconciler.dev/suspend-until": "for ever"}


class There:
    """One cluster with one claimed record, of which no watch tells by itself."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = SimulatedCluster("dev-1", clock=self.clock).client()
        bootstrap(self.api, NAMESPACE)
        self.known = KnownRecords(read_service_record, OURS)
        self.records = ServiceRecords(self.api, NAMESPACE, self.known)
        wanted = ServiceRecord(*KEY, revision("1"), "web", epoch=1, holder="me")
        self.first = self.records.claim(wanted, None)

    def annotate(self) -> Any:
        """Writes an annotation as a person does."""
        found: Any = self.api.get(REF)
        meta = {**found["metadata"], "annotations": NOTE}
        return self.api.replace({**found, "metadata": meta}, subresource=None)

    def annotations(self) -> Any:
        found: Any = self.api.get(REF)
        return found["metadata"].get("annotations")


@pytest.fixture
def there() -> There:
    return There()


def test_a_suspension_that_no_watch_has_told_of_survives_a_claim_and_is_heeded(
    there: There,
) -> None:
    written = there.annotate()
    wanted = replace(there.first, revision=revision("2"))
    with pytest.raises(Conflict):
        there.records.claim(wanted, there.first)
    there.records.reread(there.first)
    assert there.known.suspended(KEY, there.clock.now())
    there.records.claim(wanted, there.known.get(KEY))
    there.known.note(WatchEvent(Change.MODIFIED, written))
    assert there.annotations() == NOTE
    assert there.known.suspended(KEY, there.clock.now())


def test_a_claim_that_finds_itself_standing_hears_of_a_suspension(there: There) -> None:
    there.annotate()
    there.records.claim(there.first, there.first)
    assert there.known.suspended(KEY, there.clock.now())


def test_a_status_takes_no_note_away(there: There) -> None:
    there.annotate()
    there.records.reread(there.first)
    record = there.known.get(KEY)
    assert record is not None
    there.records.report(replace(record, reason="Waits"))
    assert there.annotations() == NOTE


def test_an_answer_does_not_set_back_what_the_watch_told(there: There) -> None:
    before: Any = there.api.get(REF)
    written = there.annotate()
    there.known.note(WatchEvent(Change.MODIFIED, written))
    there.known.keep(before)
    assert there.known.kept(KEY)["annotations"] == NOTE


def test_what_a_restored_cluster_says_counts_although_its_version_is_lower(there: There) -> None:
    record = there.known.get(KEY)
    before: Any = there.api.get(REF)
    assert record is not None
    there.records.claim(replace(record, revision=revision("2")), record)
    there.known.reread(KEY, before)
    assert there.known.get(KEY) == record
    there.known.reread(KEY, None)
    assert there.known.get(KEY) is None
    assert there.known.kept(KEY) == {}


@pytest.mark.parametrize(
    ("theirs", "is_ours"),
    [
        pytest.param("ours", True, id="our own"),
        pytest.param("before", True, id="one by the name that we had"),
        pytest.param("", True, id="one from before there were names"),
        pytest.param("default", False, id="one of whoever has no name"),
        pytest.param("blue", False, id="another's"),
    ],
)
def test_the_record_of_another_installation_is_not_written_over(
    there: There, theirs: str, is_ours: bool
) -> None:
    found: Any = there.api.get(REF)
    found = {**found, "spec": {**found["spec"], "installation": theirs}}
    was = there.known.keep(there.api.replace(found, subresource=None))
    wanted = replace(was, revision=revision("2"), epoch=7, holder="another", installation="ours")
    stood: Any = there.api.get(REF)
    leadership = Leadership(Claim(7, "another", "ours"), leads=True)

    def both() -> None:
        claimed = there.records.claim(wanted, was)
        assert there.records.hold(claimed, leadership).installation == "ours"

    if is_ours:
        both()
        return
    for write in (both, lambda: there.records.hold(was, leadership)):
        with pytest.raises(Fenced, match=f"installation {theirs}; .*installation_formerly"):
            write()
        assert there.api.get(REF) == stood
