"""What an API server refuses of an object by the schema of its kind, checked on every front of a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.core.diff import list_key
from reconciler.core.diff.list_keys import LIST_KEYS
from reconciler.errors import Refused
from reconciler.simulated.kinds import BUILT_IN
from tests.contract.kube_fronts import Front
from tests.contract.kube_objects import (
    Object,
    config_map,
    define,
    deployment,
    thing,
    ways,
)
from tests.controlplane.cluster import ControlPlane
from tests.controlplane.fields import FILE, lists, table

# Fields that a kind does not have.


def within(*steps: str | int) -> Callable[[Object], Any]:
    def find(obj: Any) -> Any:
        for step in steps:
            obj = obj[step]
        return obj

    return find


CONTAINER = ("spec", "template", "spec", "containers", 0)


@pytest.mark.parametrize(
    ("made", "place"),
    [
        pytest.param(deployment, within(), id="at the top"),
        pytest.param(deployment, within("metadata"), id="in the metadata"),
        pytest.param(deployment, within("spec"), id="in the spec"),
        pytest.param(deployment, within("spec", "selector"), id="in a selector"),
        pytest.param(deployment, within(*CONTAINER), id="in a container"),
        pytest.param(deployment, within(*CONTAINER, "env", 0), id="in a variable"),
        pytest.param(config_map, within(), id="of a ConfigMap"),
    ],
)
def test_a_field_that_a_kind_does_not_have_is_refused_by_its_name(
    made: Callable[[str], Object], place: Callable[[Object], Any], front: Front, space: str
) -> None:
    wrong = made(space)
    place(wrong)["nonsense"] = "x"
    for way, write in ways(front).items():
        with pytest.raises(Refused) as caught:
            write(wrong)
        assert "nonsense" in str(caught.value), way
    stored = front.api.create(made(space))
    changed = {**wrong, "metadata": {**stored["metadata"], **wrong["metadata"]}}
    with pytest.raises(Refused) as caught:
        front.api.replace(changed, subresource=None)
    assert "nonsense" in str(caught.value)


def test_keys_of_a_map_are_anybodys(front: Front, space: str) -> None:
    obj = deployment(space)
    obj["metadata"]["annotations"] = {"nonsense": "x"}
    obj["spec"]["template"]["spec"]["nodeSelector"] = {"nonsense": "x"}
    assert front.api.apply(obj, force=False, dry_run=False)["spec"]["template"]["spec"]


def test_the_fields_that_a_simulated_cluster_knows_are_those_of_a_real_one(
    planes: dict[str, ControlPlane],
) -> None:
    assert table(planes["dev-1"]) == FILE.read_text(), "run python -m tests.controlplane.fields"


# Lists that are maps in disguise.


def test_the_keys_of_lists_are_those_of_a_real_cluster(planes: dict[str, ControlPlane]) -> None:
    published = lists(planes["dev-1"])
    assert {(k.api_version, k.kind) for k in BUILT_IN} <= {place[:2] for place in published}
    assert {place: list_key(*place) for place in published} == published
    ends = [f".{kind}.{'.'.join(path)}" for _, kind, path in published]
    idle = [key for key in LIST_KEYS if not any(end.endswith(f".{key}") for end in ends)]
    assert idle == [], "no such list is published"


# Bounds of a custom kind.

SPEC: Object = {
    "size": {"type": "integer", "minimum": 1, "maximum": 9},
    "share": {
        "type": "number",
        "minimum": 0,
        "exclusiveMinimum": True,
        "maximum": 1,
        "exclusiveMaximum": True,
    },
    "even": {"type": "integer", "multipleOf": 2},
    "name": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
    "hosts": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
    "labels": {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 3},
        "minProperties": 1,
        "maxProperties": 2,
    },
    "color": {"type": "string", "enum": ["red", "green"]},
    "note": {"type": "string", "nullable": True},
    "parts": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", "minLength": 1}},
        },
    },
}


@pytest.fixture
def defined(front: Front, request: pytest.FixtureRequest) -> str:
    """A group of the test's own with a kind that has every bound."""
    return define(front, request, properties=SPEC)


TOO_MUCH_OR_TOO_LITTLE: tuple[tuple[str, Any, str], ...] = (
    ("size", 0, "greater than or equal to 1"),
    ("size", 10, "less than or equal to 9"),
    ("share", 0, "greater than 0"),
    ("share", 1, "less than 1"),
    ("even", 3, "multiple of 2"),
    ("name", "a", "at least 2 chars long"),
    ("name", "abcde", "may not be more than 4"),
    ("name", "ABC", "should match"),
    ("hosts", [], "at least 1 items"),
    ("hosts", ["a", "b", "c"], "at most 2 items"),
    ("labels", {}, "at least 1 properties"),
    ("labels", {"a": "1", "b": "2", "c": "3"}, "at most 2 items"),
    ("labels", {"a": "long"}, "may not be more than 3"),
    ("color", "blue", "Unsupported value"),
    ("parts", [{"name": "a"}, {"name": ""}], "at least 1 chars long"),
    ("parts", [{}], "Required value"),
)


def test_a_value_out_of_its_bounds_is_refused_with_its_field(
    defined: str, front: Front, space: str
) -> None:
    for field, value, words in TOO_MUCH_OR_TOO_LITTLE:
        wrong = thing(space, defined, **{field: value})
        for way, write in ways(front).items():
            with pytest.raises(Refused) as caught:
                write(wrong)
            said = str(caught.value)
            assert f"spec.{field}" in said and words in said, (way, field, value)


def test_a_value_within_its_bounds_is_taken(defined: str, front: Front, space: str) -> None:
    fits = {
        "size": 9,
        "share": 0.5,
        "even": 4,
        "name": "ab",
        "hosts": ["a", "b"],
        "labels": {"any": "1"},
        "color": "red",
        "note": None,
        "parts": [{"name": "a"}],
    }
    for number, (field, value) in enumerate({**fits, "size": 1, "name": "abcd"}.items()):
        obj = thing(space, defined, **{field: value})
        obj["metadata"]["name"] = f"fits-{number}"
        assert front.api.create(obj)["spec"] == {field: value}


def test_a_field_that_a_definition_does_not_name_is_refused_in_every_way(
    defined: str, front: Front, space: str
) -> None:
    for place in (within("spec"), within("metadata"), within("spec", "parts", 0)):
        wrong = thing(space, defined, parts=[{"name": "a"}])
        place(wrong)["nonsense"] = "x"
        for way, write in ways(front).items():
            with pytest.raises(Refused) as caught:
                write(wrong)
            assert "nonsense" in str(caught.value), way
