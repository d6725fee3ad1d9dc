"""The memory in the home: what cannot be read is not none, and what people write there stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.errors import Conflict
from reconciler.model.objects import KubeObject, ObjectRef
from reconciler.model.times import rfc3339
from reconciler.ports.kube import Change, WatchEvent
from reconciler.schema.crds import crds
from reconciler.schema.records import promotion_record_object
from reconciler.shell.executor.orders import Installation
from reconciler.shell.promotion_records import PromotionRecords
from reconciler.shell.runner import VirtualClock
from reconciler.simulated.cluster import SimulatedCluster
from tests.fakes.facts import DEV, STAGING, V1, V2, WEB, record
from tests.fakes.watched import Fresh

NAMESPACE = "reconciler-system"
KEY = (WEB, DEV)
REF = ObjectRef("reconciler.dev/v1alpha1", "PromotionRecord", NAMESPACE, "web.dev")


class Home:
    """Promotion records over a home cluster."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.api = SimulatedCluster("home", clock=self.clock).client()
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for crd in crds():
            self.api.create(crd)
        self.watched = Fresh()
        self.changed: list[Any] = []
        self.records = PromotionRecords(
            self.api,
            NAMESPACE,
            lambda *_: self.watched,
            on_change=self.changed.append,
            on_fresh=lambda: None,
            answers=lambda: True,
            may_write=lambda key: True,
            clock=self.clock,
            installation=Installation("ours", ("before",)),
        )

    def annotate(self, **annotations: str) -> None:
        """Writes annotations as a person does, and lets the watch tell of it."""
        self.tell(self.annotate_untold(**annotations))

    def annotate_untold(self, **annotations: str) -> KubeObject:
        """Writes annotations as a person does; the watch has not told of it yet."""
        found: Any = self.api.get(REF)
        meta = {**found["metadata"], "annotations": annotations}
        return self.api.replace({**found, "metadata": meta}, subresource=None)

    def tell(self, obj: KubeObject, change: Change = Change.MODIFIED) -> None:
        self.records._note(WatchEvent(change, obj))


@pytest.fixture
def home() -> Home:
    """A home with one record, which its watch has told of."""
    found = Home()
    found.records.save(record(DEV, V1, epoch=1, holder="me"))
    obj = found.api.get(REF)
    assert obj is not None
    found.tell(obj)
    return found


def test_nothing_is_known_before_the_first_list_is_in() -> None:
    home = Home()
    home.watched.is_fresh = False
    assert not home.records.is_known(KEY)
    home.watched.is_fresh = True
    assert home.records.is_known(KEY)
    home.watched.is_fresh = False
    assert home.records.is_known(KEY)


def test_a_record_that_cannot_be_read_is_not_none(home: Home) -> None:
    broken: Any = home.api.get(REF)
    home.tell({**broken, "spec": {"service": 3}})
    assert not home.records.is_known(KEY)
    assert home.records.is_known((WEB, STAGING))
    assert KEY in home.records.cells()
    home.tell(broken)
    assert home.records.is_known(KEY)


def test_one_that_could_never_be_read_is_a_cell_that_is_not_known() -> None:
    home = Home()
    obj = promotion_record_object(record(DEV), namespace=NAMESPACE)
    home.tell({**obj, "spec": {}}, Change.ADDED)
    assert home.records.cells() == (KEY,)
    assert not home.records.is_known(KEY)
    home.tell({**obj, "spec": {}}, Change.DELETED)
    assert home.records.is_known(KEY)
    assert home.records.cells() == ()


def test_a_suspension_ends_by_time_alone(home: Home) -> None:
    assert home.records.suspended(KEY) is None
    until = home.clock.now() + timedelta(minutes=5)
    home.annotate(
        **{
            "reconciler.dev/suspend-until": rfc3339(until),
            "reconciler.dev/suspend-reason": "the forge is on fire",
        }
    )
    assert "the forge is on fire" in str(home.records.suspended(KEY))
    home.clock.advance(301)
    assert home.records.suspended(KEY) is None


@pytest.mark.parametrize("text", ["2026-06-01T00:00:00Z", "for ever"])
def test_a_suspension_ends_four_hours_after_it_was_written_whatever_it_says(
    text: str, home: Home
) -> None:
    home.clock.advance(24 * 3600)
    home.annotate(**{"reconciler.dev/suspend-until": text})
    home.clock.advance(4 * 3600 - 1)
    assert home.records.suspended(KEY)
    home.clock.advance(1)
    assert home.records.suspended(KEY) is None


def test_what_people_note_on_a_record_stays_when_it_is_written(home: Home) -> None:
    home.annotate(note="see the ticket")
    known = home.records.get(KEY)
    assert known is not None
    home.records.save(replace(known, admitted=V2))
    found = home.api.get(REF)
    assert found is not None
    assert found["metadata"]["annotations"] == {"note": "see the ticket"}
    assert found["spec"]["admitted"]["release"]["version"] == "2.0.0"


def test_a_suspension_that_no_watch_has_told_of_survives_a_write_and_is_heeded(home: Home) -> None:
    """What a write in its way reads instead is what the next write replaces, annotations and all."""
    known = home.records.get(KEY)
    assert known is not None
    written = home.annotate_untold(**{"reconciler.dev/suspend-until": "for ever"})
    with pytest.raises(Conflict):
        home.records.save(replace(known, admitted=V2))
    assert home.records.suspended(KEY)
    again = home.records.get(KEY)
    assert again is not None
    home.records.save(replace(again, admitted=V2))
    home.tell(written)
    found: Any = home.api.get(REF)
    assert found["metadata"]["annotations"] == {"reconciler.dev/suspend-until": "for ever"}
    assert home.records.suspended(KEY)


def test_a_record_is_named_by_its_uid_as_soon_as_it_is_written() -> None:
    """kubectl finds no Event without it; the watch may tell of the record only later."""
    home = Home()
    assert "uid" not in home.records.reference(KEY)
    home.records.save(record(DEV, V1, epoch=1, holder="me"))
    found: Any = home.api.get(REF)
    assert home.records.reference(KEY)["uid"] == found["metadata"]["uid"]


def test_a_record_that_is_gone_is_not_suspended_any_more(home: Home) -> None:
    home.annotate(**{"reconciler.dev/suspend-until": "for ever"})
    assert home.records.suspended(KEY)
    found: Any = home.api.get(REF)
    home.tell(found, Change.DELETED)
    assert home.records.suspended(KEY) is None
