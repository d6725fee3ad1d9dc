"""What service.yaml may say of the tags that it follows, and what is told of the rest."""

from __future__ import annotations

import pytest

from reconciler.model.image_policy import PatternPolicy, SemverPolicy, TagOrder
from reconciler.schema import building
from reconciler.schema.files import ServiceFile
from reconciler.schema.reading import read_file
from reconciler.schema.yaml_text import BadText

PATH = "services/web/service.yaml"
WEB = "registry.example.com/team/web"


def read(policy: str) -> ServiceFile:
    text = f"source: manifests\npolicy: line\nnamespace: web\nimage_policy: {{{policy}}}\n"
    return read_file(PATH, text.encode(), ServiceFile)[0]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        (f"repository: {WEB}, semver: '>=1.4 <2'", SemverPolicy(WEB, ">=1.4 <2")),
        (
            f"repository: {WEB}, semver: '*', prerelease: true, downgrade: true",
            SemverPolicy(WEB, "*", prerelease=True, downgrade=True),
        ),
        (
            f"repository: {WEB}, pattern: '^r(?P<ts>.+)$', extract: ts, order: alphabetical",
            PatternPolicy(WEB, "^r(?P<ts>.+)$", "ts", TagOrder.ALPHABETICAL),
        ),
    ],
)
def test_what_it_says_is_what_is_followed(text: str, policy: object) -> None:
    file = read(text).image_policy
    assert file is not None and building.image_policy(file) == policy


PATTERN = "pattern: '(?P<ts>a)', extract: ts, order: numerical"


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [("MissingField", "repository"), ("MissingField", "semver")]),
        (f"repository: {WEB}", [("MissingField", "semver")]),
        ("semver: '*'", [("MissingField", "repository")]),
        (f"repository: {WEB}, semver: latest", [("BadRange", "semver")]),
        (f"repository: {WEB}, semver: ''", [("BadRange", "semver")]),
        (f"repository: {WEB}, semver: 1.4", [("WrongType", "semver")]),
        (f"repository: {WEB}, semver: '{'1' * 201}'", [("Invalid", "semver")]),
        (f"repository: {WEB}, semver: '*', prerelease: 'yes'", [("Invalid", "prerelease")]),
        (f"repository: {WEB}, semver: '*', colour: red", [("UnknownField", "colour")]),
        (f"repository: {WEB}, semver: '*', {PATTERN}", [("UnknownField", "semver")]),
        ("repository: Team/web, semver: '*'", [("BadFormat", "repository")]),
        (
            f"repository: {WEB}, pattern: 'a'",
            [("MissingField", "extract"), ("MissingField", "order")],
        ),
        (
            f"repository: {WEB}, pattern: '(', extract: ts, order: numerical",
            [("BadPattern", "pattern")],
        ),
        (
            f"repository: {WEB}, pattern: '(?P<ts>a)\\1', extract: ts, order: numerical",
            [("BadPattern", "pattern")],
        ),
        (
            f"repository: {WEB}, pattern: '(?P<ts>a)', extract: other, order: numerical",
            [("BadPattern", "extract")],
        ),
        (
            f"repository: {WEB}, pattern: '(?P<ts>a)', extract: '$ts', order: numerical",
            [("BadFormat", "extract")],
        ),
        (
            f"repository: {WEB}, pattern: '(?P<ts>a)', extract: ts, order: newest",
            [("UnknownValue", "order")],
        ),
    ],
)
def test_each_fault_is_told_where_it_stands(text: str, faults: list[tuple[str, str]]) -> None:
    with pytest.raises(BadText) as bad:
        read(text)
    found = [(fault.code, fault.field) for fault in bad.value.faults]
    assert sorted(found) == [(code, f"image_policy.{field}") for code, field in sorted(faults)]


@pytest.mark.parametrize("text", ["7", "[a]", "text"])
def test_what_is_no_mapping_is_a_fault(text: str) -> None:
    said = f"source: manifests\npolicy: line\nnamespace: web\nimage_policy: {text}\n"
    with pytest.raises(BadText) as bad:
        read_file(PATH, said.encode(), ServiceFile)
    assert [fault.field for fault in bad.value.faults] == ["image_policy"]
