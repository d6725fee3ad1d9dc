"""What a tombstone deletes is this service's still when its turn comes, and nobody has stopped it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.assembly import SERVICE_LABEL
from reconciler.core.identity import absence
from reconciler.model.names import CommitId
from reconciler.model.objects import ObjectRef
from reconciler.model.records import ServiceRecord
from reconciler.model.times import rfc3339
from reconciler.shell.executor.burying import Burials
from reconciler.shell.executor.inventory import Inventories, Inventory
from reconciler.shell.executor.live import LiveObjects
from tests.fakes.at_work import DEV_1, KEY, NAMESPACE, AtWork, config_map


@dataclass(frozen=True, slots=True)
class Fresh:
    is_fresh: bool = True
    heard_s: float | None = 0.0
    fresh_until_s: float = 1e9


def anothers(work: AtWork, meta: dict[str, Any]) -> None:
    meta["labels"] = {**meta["labels"], SERVICE_LABEL: "another"}


def suspended(work: AtWork, meta: dict[str, Any]) -> None:
    until = rfc3339(work.clock.now() + timedelta(hours=1))
    meta["annotations"] = {
        "reconciler.dev/suspend-until": until,
        "reconciler.dev/suspend-reason": "a look",
    }


@pytest.mark.parametrize("change", [anothers, suspended])
def test_what_changes_hands_after_the_plan_stays(
    change: Callable[[AtWork, dict[str, Any]], None],
) -> None:
    work = AtWork()
    live = LiveObjects(DEV_1, lambda *asked: Fresh(), lambda key: None, lambda: None)
    mine = [work.kube.create(config_map(name, x="1")) for name in ("a", "b")]
    for obj in mine:
        live.note_written(obj)
    inventories = Inventories(work.kube, NAMESPACE)
    refs = frozenset(map(ObjectRef.of, mine))
    inventories.save(KEY, Inventory(refs), Inventory(frozenset()))

    def hold(record: ServiceRecord) -> ServiceRecord:
        # The watch tells of it while the record is written.
        meta = dict(mine[1]["metadata"])
        change(work, meta)
        kind = work.cluster.store.served("v1", "ConfigMap")
        assert kind is not None
        live.note_written(work.cluster.store.replace({**mine[1], "metadata": meta}, "another"))
        return record

    burials = Burials(work.kube, live, inventories, clock=work.clock, may_go_on=lambda: True)
    record = ServiceRecord(*KEY, absence(CommitId("0" * 40)), "web")
    told: list[ObjectRef] = []
    burials.bury(record, hold, told.append)
    assert told == [ObjectRef.of(mine[0])]
    assert [work.kube.get(ObjectRef.of(obj)) is not None for obj in mine] == [False, True]
