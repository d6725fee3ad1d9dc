"""What is live is compared with what a revision renders to, or with what is stored of it; nothing is written."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.stored import render_digest
from reconciler.errors import Denied
from reconciler.model.facts import LiveState, Member
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.objects import KubeObject, Rendered
from reconciler.model.release import Revision
from reconciler.shell.executor.orders import CellKey, Examination
from tests.fakes.at_work import KEY, AtWork, config_map
from tests.fakes.records import revision

V1 = revision("1")
API: CellKey = (ServiceName("api"), EnvironmentName("dev"))


def examined(at: AtWork, of: Revision, *objects: KubeObject) -> Member:
    """Returns the cluster once a comparison was answered; without objects, with what is stored."""
    rendered = Rendered(objects, render_digest(objects, key=b"a key")) if objects else None
    before = len(at.writes())
    for _ in range(2):
        # The first time, Pods are only begun to be watched.
        at.executor.examine(Examination(KEY, of.id, rendered))
        at.pass_(10)
    assert len(at.writes()) == before, "nothing is written"
    member = at.member()
    assert member.compared is not None and member.compared.revision == of.id
    return member


def foreign(value: str) -> dict[str, Any]:
    return {**config_map(a=value), "metadata": {"name": "web", "namespace": "web"}}


@pytest.mark.parametrize(
    ("there", "state"),
    [
        pytest.param([], LiveState.ABSENT, id="nothing"),
        pytest.param([config_map(a="1")], LiveState.EQUAL, id="the same"),
        pytest.param([foreign("1")], LiveState.EQUAL, id="the same, by somebody else"),
        pytest.param([config_map(a="2")], LiveState.OURS, id="ours, and another"),
        pytest.param([foreign("2")], LiveState.DIFFERS, id="another, by somebody else"),
        pytest.param([config_map(a="2", key=API)], LiveState.DIFFERS, id="of a service"),
    ],
)
def test_what_is_live_is(there: list[dict[str, Any]], state: LiveState) -> None:
    at = AtWork()
    for obj in there:
        at.kube.create(obj)
    assert examined(at, V1, config_map(a="1")).live(V1.id) is state


def test_a_part_of_what_is_asked_for_is_a_difference() -> None:
    at = AtWork()
    at.kube.create(foreign("1"))
    wanted = (config_map(a="1"), config_map("more", a="1"))
    assert examined(at, V1, *wanted).live(V1.id) is LiveState.DIFFERS


def test_one_thing_of_somebody_else_is_enough_to_differ() -> None:
    at = AtWork()
    at.kube.create(foreign("2"))
    at.kube.create(config_map("more", a="1"))
    wanted = (config_map(a="1"), config_map("more", a="1"))
    assert examined(at, V1, *wanted).live(V1.id) is LiveState.DIFFERS


def test_what_is_stored_is_compared_with_where_nothing_can_be_rendered() -> None:
    at = AtWork()
    first = at.delivered("1", config_map(a="1"))
    at.delivered("2", config_map(a="2"), keep=(revision("2").id, first.id))
    assert examined(at, first).live(first.id) is LiveState.OURS


def test_with_nothing_to_compare_with_nobody_knows() -> None:
    member = examined(AtWork(), V1)
    assert member.live(V1.id) is LiveState.UNKNOWN
    assert "not stored" in member.health.message


def test_what_may_not_be_read_is_not_known_and_says_why() -> None:
    at = AtWork()
    at.refuse(Denied("ConfigMap", "it cannot be read", "forbidden"), ["get"], "ConfigMap")
    member = examined(at, V1, config_map(a="1"))
    assert member.live(V1.id) is LiveState.UNKNOWN
    assert "forbidden" in member.health.message
