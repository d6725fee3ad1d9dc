"""Which tags of a registry a service follows, as service.yaml says it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from reconciler.model.image_policy import (
    PATTERN_CHARACTERS_MAX,
    RANGE_CHARACTERS_MAX,
    VersionRange,
    compiled,
)
from reconciler.schema.parts import Part, Repository


def _range(text: str) -> str:
    try:
        VersionRange(text)
    except ValueError as bad:
        raise PydanticCustomError("bad_range", "{why}", {"why": str(bad)}) from None
    return text


def _pattern(text: str) -> str:
    try:
        compiled(text)
    except ValueError as bad:
        raise PydanticCustomError("bad_pattern", "{why}", {"why": str(bad)}) from None
    return text


class _ImagePolicyFile(Part):
    """Which tags of a repository a service follows."""

    repository: Repository
    """The image repository, as in a pin's `images`."""
    downgrade: bool = False
    """Follow an older tag, where there is none that is newer than what is pinned."""


class SemverPolicyFile(_ImagePolicyFile):
    """The newest version in a range."""

    semver: Annotated[
        str, StringConstraints(max_length=RANGE_CHARACTERS_MAX), AfterValidator(_range)
    ]
    """A range as npm has them, `>=1.4 <2`; a tag is a version with or without a `v`, and has three numbers."""
    prerelease: bool = False
    """Whether `1.5.0-rc.1` counts, too."""


class PatternPolicyFile(_ImagePolicyFile):
    """The last of the tags that match a pattern."""

    pattern: Annotated[
        str, StringConstraints(max_length=PATTERN_CHARACTERS_MAX), AfterValidator(_pattern)
    ]
    """What a tag must match, as RE2 has it, with a group by name: `^main-[0-9a-f]{7}-(?P<ts>[0-9]+)$`."""
    extract: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,31}$")]
    """The name of the group that is compared."""
    order: Literal["numerical", "alphabetical"]
    """How it is compared; the last one is followed."""

    @field_validator("extract")
    @classmethod
    def _is_a_group(cls, extract: str, others: ValidationInfo) -> str:
        if "pattern" in others.data and extract not in compiled(others.data["pattern"]).groupindex:
            why = f"the pattern has no group (?P<{extract}>…)"
            raise PydanticCustomError("bad_pattern", "{why}", {"why": why})
        return extract


def _policy_form(value: object) -> str:
    """Tells the two ways to follow tags apart, so that only one is found fault with."""
    is_pattern = isinstance(value, PatternPolicyFile) or (
        isinstance(value, dict) and bool({"pattern", "extract", "order"} & value.keys())
    )
    return "by-pattern" if is_pattern else "by-version"


ImagePolicyFile = Annotated[
    Annotated[SemverPolicyFile, Tag("by-version")]
    | Annotated[PatternPolicyFile, Tag("by-pattern")],
    Discriminator(_policy_form),
]
