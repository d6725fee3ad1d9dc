"""What is known of a cell is read by others at any moment, and never half changed."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.drift import FieldDifference
from reconciler.model.names import EnvironmentName
from reconciler.model.records import ServiceRecord
from reconciler.shell.executor.cells import CellState
from reconciler.shell.executor.known import KnownRecords
from reconciler.shell.executor.orders import CellKey, Examination
from tests.fakes.at_work import KEY, AtWork, config_map
from tests.fakes.records import revision

NEW: CellKey = (KEY[0], EnvironmentName("staging"))


def is_locked(work: AtWork) -> bool:
    return bool(work.executor._looks.lock._is_owned())  # type: ignore[attr-defined]


def test_what_is_known_of_a_cell_changes_under_its_lock_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = AtWork()
    changed: list[tuple[str, bool]] = []

    class Guarded(CellState):
        def __setattr__(self, name: str, value: Any) -> None:
            changed.append((name, is_locked(work)))
            object.__setattr__(self, name, value)

    monkeypatch.setattr("reconciler.shell.executor.looking.CellState", Guarded)
    differs = (FieldDifference("data.x", "2", "1", "somebody", ""),)
    monkeypatch.setattr("reconciler.shell.executor.cells.differences", lambda *_: differs)
    work.start()
    changed.clear()
    order = work.deliver("1", config_map(x="1"))
    assert order.rendered is not None
    work.executor.examine(Examination(NEW, revision("1").id, order.rendered))
    work.pass_(5)
    assert work.member().is_on(revision("1").id) and work.member().drift == 0, "the server says so"
    work.cluster.faults.is_down = True
    work.pass_(60)
    assert {"asked_for", "objects", "seen", "examined", "is_fresh"} <= {name for name, _ in changed}
    assert {name for name, locked in changed if not locked} == set()


def test_what_is_asked_for_is_read_where_no_order_can_begin_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    work = AtWork()
    work.delivered("1", config_map(x="1"))
    read: list[bool] = []
    get = KnownRecords.get

    def watched(self: KnownRecords[ServiceRecord], key: CellKey) -> ServiceRecord | None:
        read.append(is_locked(work))
        return get(self, key)

    monkeypatch.setattr(KnownRecords, "get", watched)
    work.executor._looks.note_asked(KEY)
    assert read == [True]
