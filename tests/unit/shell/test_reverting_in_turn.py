"""Commits for one service are never made on top of each other before both are known to be in HEAD."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.model.release import Part
from reconciler.schema.snapshot import read_snapshot
from tests.fakes.incident import STAGING, WEB, Incident


@pytest.fixture
def incident() -> Incident:
    return Incident()


def test_two_of_one_service_are_made_in_turn_and_each_on_a_head_that_has_the_other(
    incident: Incident,
) -> None:
    key = (WEB, STAGING)
    known = incident.records[key]
    first = known.rejections[0]
    tree = first.revision.tree_digest
    earlier = first.rejected_at - timedelta(minutes=1)
    other = replace(first, part=Part.TREE, part_digest=tree, rejected_at=earlier)
    incident.records[key] = replace(known, rejections=(first, other))
    incident.step()
    entries = read_snapshot(incident.git, incident.git.branches["main"]).quarantine[WEB]
    assert len(entries) == 1
    incident.pass_()
    incident.pass_()
    entries = read_snapshot(incident.git, incident.git.branches["main"]).quarantine[WEB]
    assert [entry.part for entry in entries] == [Part.IMAGES, Part.TREE]
    assert all(r.revert.commit for r in incident.records[key].rejections)
