"""What an API server makes of the CEL rules of a custom kind, checked on every front of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.errors import Refused
from reconciler.model.objects import KubeObject
from tests.contract.kube_fronts import Front
from tests.contract.kube_objects import Object, define, defining, ref, thing, ways


def ruled(rule: str) -> list[Object]:
    return [{"rule": rule, "message": f"broken: {rule}"}]


NAME: Object = {"type": "string", "maxLength": 9}
SIZE: Object = {"type": "integer"}
PART: Object = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": NAME, "protocol": {**NAME, "default": "TCP"}, "size": SIZE},
}


def listing(rule: str, **of: Any) -> Object:
    """Returns a list whose items have a rule."""
    items = {**PART, "x-kubernetes-validations": ruled(rule)}
    return {"type": "array", "maxItems": 9, "items": items, **of}


BY_NAME_AND_PROTOCOL: Object = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name", "protocol"],
}
RULED: Object = {
    "x-kubernetes-validations": [
        *ruled("self.least <= self.most"),
        *ruled("!has(self.note) || self.note != self.fixed"),
    ],
    "required": ["least", "most", "fixed"],
    "properties": {
        "least": SIZE,
        "most": SIZE,
        "note": NAME,
        "fixed": {**NAME, "x-kubernetes-validations": ruled("self == oldSelf")},
        "plain": listing("self.name != 'root'"),
        "parts": listing("self.size >= oldSelf.size", **BY_NAME_AND_PROTOCOL),
    },
}
FITS: Object = {
    "least": 1,
    "most": 2,
    "fixed": "a",
    "note": "b",
    "plain": [{"name": "a"}],
    "parts": [
        {"name": "a", "size": 3},
        {"name": "b", "size": 5},
        {"name": "b", "protocol": "UDP", "size": 7},
    ],
}


@pytest.fixture
def with_rules(front: Front, request: pytest.FixtureRequest) -> str:
    """A group of the test's own with a kind that has rules."""
    return define(front, request, **RULED)


def test_what_breaks_a_rule_is_refused_with_its_message(
    with_rules: str, front: Front, space: str
) -> None:
    for changes, rule, field in (
        ({"least": 3}, "self.least <= self.most", "spec"),
        ({"note": "a"}, "!has(self.note) || self.note != self.fixed", "spec"),
        ({"plain": [{"name": "a"}, {"name": "root"}]}, "self.name != 'root'", "spec.plain[1]"),
    ):
        for way, write in ways(front).items():
            with pytest.raises(Refused) as caught:
                write(thing(space, with_rules, **{**FITS, **changes}))
            assert f"{field}: " in str(caught.value), (way, rule)
            assert f"broken: {rule}" in str(caught.value), (way, rule)
    without_note = {name: value for name, value in FITS.items() if name != "note"}
    for number, spec in enumerate((FITS, without_note)):
        fits = thing(space, with_rules, **spec)
        fits["metadata"]["name"] = f"fits-{number}"
        assert front.api.create(fits)


def test_a_rule_about_a_change_is_asked_of_what_was_there_under_the_same_keys(
    with_rules: str, front: Front, space: str
) -> None:
    def change(**changes: Any) -> KubeObject:
        obj = thing(space, with_rules, **{**FITS, **changes})
        return front.api.apply(obj, force=False, dry_run=False)

    assert change()
    for changes, rule, field in (
        ({"fixed": "c"}, "self == oldSelf", "spec.fixed"),
        ({"parts": [{"name": "b", "size": 4}]}, "self.size >= oldSelf.size", "spec.parts[0]"),
        (
            {"parts": [{"name": "c", "size": 1}, {"name": "b", "protocol": "UDP", "size": 6}]},
            "self.size >= oldSelf.size",
            "spec.parts[1]",
        ),
    ):
        with pytest.raises(Refused) as caught:
            change(**changes)
        assert f"{field}: " in str(caught.value) and f"broken: {rule}" in str(caught.value)
    # In another order, and with new ones, which nothing is compared with.
    changed = [{"name": "c", "size": 1}, {"name": "b", "size": 5}, {"name": "a", "size": 4}]
    assert change(parts=changed)


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        pytest.param({"x-kubernetes-validations": ruled("self.size >")}, "", id="no expression"),
        pytest.param(
            {"x-kubernetes-validations": ruled("self.size.nonsense()")}, "", id="no such function"
        ),
        pytest.param(
            {"properties": {"size": {**SIZE, "x-kubernetes-validations": ruled("other > 1")}}},
            ".properties[size]",
            id="no such variable",
        ),
        pytest.param(
            {"properties": {"parts": listing("self.size >= oldSelf.size")}},
            ".properties[parts].items",
            id="the former one of an item without keys",
        ),
        pytest.param(
            {
                "properties": {
                    "by": {
                        "type": "object",
                        "maxProperties": 9,
                        "additionalProperties": {
                            **NAME,
                            "x-kubernetes-validations": ruled("self.nonsense() == ''"),
                        },
                    }
                }
            },
            ".properties[by].additionalProperties",
            id="in the values of a map",
        ),
    ],
)
def test_a_definition_whose_rule_can_never_be_asked_is_refused(
    spec: Object, where: str, front: Front
) -> None:
    crd = defining(**{"properties": {"size": SIZE}, **spec})
    at = f"openAPIV3Schema.properties[spec]{where}.x-kubernetes-validations[0].rule: "
    for way, write in ways(front).items():
        with pytest.raises(Refused) as caught:
            write(crd)
        assert at in str(caught.value), way
        assert front.api.get(ref(crd)) is None, way
