"""Which of the pin's values do not wait for its release."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.immediate import immediate_values
from reconciler.model.release import Values
from tests.unit.core.test_resolution import PIN

ADMITTED = {"replicas": 2, "web": {"replicas": 1, "colour": "red"}, "flag": True}


@pytest.mark.parametrize(
    ("asked", "keys", "values"),
    [
        pytest.param({"replicas": 5, "flag": False}, ["replicas"], {"replicas": 5}, id="a key"),
        pytest.param({"replicas": 5}, [], {}, id="no key, nothing"),
        pytest.param(
            {"web": {"replicas": 4, "colour": "blue"}},
            ["web.replicas"],
            {"web": {"replicas": 4, "colour": "red"}},
            id="a key below another, and not its neighbour",
        ),
        pytest.param(
            {"new": {"deep": {"replicas": 4}}},
            ["new.deep.replicas"],
            {"new": {"deep": {"replicas": 4}}},
            id="a key that was not there",
        ),
        pytest.param({}, ["flag"], {"flag": None}, id="a key that is taken out"),
        pytest.param(
            {},
            ["web.replicas", "web.colour"],
            {"web": None},
            id="the last key takes its parent out",
        ),
        pytest.param(
            {"web": 3}, ["web.replicas"], {"web": {"colour": "red"}}, id="no mapping there"
        ),
        pytest.param(
            {"replicas": {"web": 3}},
            ["replicas.web"],
            {"replicas": {"web": 3}},
            id="a mapping in the place of a number",
        ),
        pytest.param({"web": {}}, ["web"], {"web": {}}, id="a whole mapping"),
    ],
)
def test_the_keys_are_as_the_pin_says_and_the_rest_as_it_is_admitted(
    asked: dict[str, Any], keys: list[str], values: dict[str, Any]
) -> None:
    pin = replace(PIN, values=Values.of(asked))
    found, by_cluster = immediate_values(Values.of(ADMITTED), pin, keys)
    wanted = {k: v for k, v in (ADMITTED | values).items() if v is not None}
    assert found.tree() == wanted
    assert by_cluster.tree() == {}


def test_what_differs_by_cluster_follows_too() -> None:
    admitted = {"flag": True, "clusters": {"a": {"replicas": 2, "flag": 0}, "b": {"replicas": 3}}}
    asked = {"a": {"replicas": 5, "flag": 1}, "c": {"replicas": 7}}
    pin = replace(PIN, cluster_values=Values.of(asked))
    found, by_cluster = immediate_values(Values.of(admitted), pin, ["replicas"])
    assert found.tree() == {"flag": True}
    assert by_cluster.tree() == {"a": {"replicas": 5, "flag": 0}, "c": {"replicas": 7}}
