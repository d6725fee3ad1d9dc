"""Conditions in a policy's environment, as pydantic models."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from reconciler.schema.conditions import EXPRESSION_CHARACTERS_MAX, condition_fault
from reconciler.schema.parts import Part


def _checked(text: str) -> str:
    why = condition_fault(text)
    if why:
        # A brace would be taken for a place to fill in.
        raise PydanticCustomError("condition", "{why}", {"why": why})
    return text


Expression = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=EXPRESSION_CHARACTERS_MAX, pattern=r"^[\n\x20-\x7e\u00a1-\u167f]+$"
    ),
    AfterValidator(_checked),
]


class ConditionFile(Part):
    """A condition in CEL over the facts of an admission."""

    name: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=40)
    ]
    """What people call it; `explain` names the gate `Condition/<name>`."""
    expression: Expression
    """Comes to true where it lets through, as in `clusters.all(c, c.health == "Current")`."""
    message: Annotated[
        str,
        StringConstraints(
            pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+$",
            min_length=1,
            max_length=200,
        ),
    ]
    """What those who wait are told while it does not hold."""


def _distinct(conditions: list[ConditionFile]) -> list[ConditionFile]:
    if len({condition.name for condition in conditions}) != len(conditions):
        raise PydanticCustomError("condition", "two of them have one name")
    return conditions


ConditionsFile = Annotated[
    list[ConditionFile], Field(min_length=1, max_length=20), AfterValidator(_distinct)
]
