"""The published JSON Schemas say what the models say: an editor and `validate` agree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from reconciler.schema.edit import HEADER
from reconciler.schema.published import FOLDER, KINDS, published
from reconciler.schema.reading import read_file
from reconciler.schema.shipped import shipped
from reconciler.schema.yaml_text import BadText
from tests.fakes.world import FLEET, POLICY, SERVICE, pin
from tests.system.served import cli

EXAMPLE = shipped("example-repo")
HINT = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")

FILES = sorted(
    path
    for pattern in (
        "fleet.yaml",
        "policies/*.yaml",
        "services/*/service.yaml",
        "environments/*/*.yaml",
    )
    for path in EXAMPLE.glob(pattern)
)


def is_valid(kind: str, tree: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(published(kind)).is_valid(tree))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_schema_is_one_and_is_what_the_command_prints(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(published(kind))
    for arguments in ((), ("-o", "json")):
        assert json.loads(cli("schema", kind, *arguments).out) == published(kind)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_field_says_what_it_is(kind: str) -> None:
    schema = published(kind)
    for name, part in {kind: schema, **schema.get("$defs", {})}.items():
        assert part["description"], name
        for key, field in part["properties"].items():
            assert field.get("description"), f"{name}.{key}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXAMPLE)))
def test_a_file_of_the_example_names_its_schema_and_keeps_to_it(file: Path) -> None:
    text = file.read_text()
    hint = HINT.match(text)
    assert hint is not None
    schema = file.parent / hint[1]
    assert schema.parent.resolve() == (EXAMPLE / FOLDER).resolve()
    jsonschema.validate(yaml.safe_load(text), json.loads(schema.read_text()))


def test_the_daemons_own_file_keeps_to_its_schema() -> None:
    entry = {
        "revision": f"sha256:{'1' * 64}",
        "identity": f"sha256:{'2' * 64}",
        "version": "1.0.0",
        "part": "images",
        "part_digest": f"sha256:{'3' * 64}",
        "environments": ["prod"],
        "reason": "CrashLoopBackOff",
        "commit": "a" * 40,
        "rejected_at": "2026-01-31T12:00:00Z",
    }
    text = HEADER + yaml.safe_dump({"entries": [entry]})
    read_file("quarantine/web.yaml", text.encode(), KINDS["quarantine"])
    assert is_valid("quarantine", yaml.safe_load(text))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("fleet", FLEET),
        ("policy", POLICY.replace("DRIFT", "report")),
        ("service", SERVICE),
        ("pin", pin("1.0.0")),
        ("pin", "release: absent"),
        ("pin", "release: gone"),
        ("pin", "release: {version: 1.1}"),
        ("pin", 'release: {version: ""}'),
        ("pin", 'release: {version: "1\\n2"}'),
        ("pin", 'release: {version: "1\\e[2J"}'),
        ("pin", 'release: {version: "1\\u202e2"}'),
        ("pin", 'release: {version: "1", images: {"A b": x}}'),
        ("pin", 'release: {version: "1", images: {a: "b c"}}'),
        ("pin", 'release: {version: "1", source: main}'),
        ("pin", 'release: {version: "1"}\npaused: 1'),
        ("pin", 'release: {version: "1"}\nadopt: delete'),
        ("pin", 'release: {version: "1"}\ncolour: red'),
        ("pin", 'release: {version: "1"}\nclusters: {Prod: {values: {}}}'),
        ("pin", "paused: true"),
        ("fleet", "environments: []"),
        ("fleet", FLEET.replace("enforce", "sometimes")),
        ("fleet", FLEET.replace("name: dev-1", "name: dev_1")),
        ("fleet", FLEET.replace("name: dev-1", "address: https://example.com")),
        ("policy", POLICY.replace("DRIFT", "ignore")),
        ("policy", POLICY.replace("DRIFT", "report").replace("soak_s: 5", "soak_s: -1")),
        ("policy", POLICY.replace("DRIFT", "report").replace("waves: all", "waves: some")),
        ("policy", POLICY.replace("DRIFT", "report").replace("soak_s: 5,", "")),
        ("service", SERVICE.replace("manifests", "jsonnet")),
        ("service", SERVICE + "checks: [{name: errors}]\n"),
        ("service", SERVICE.replace("namespace: web", "")),
        ("quarantine", "entries: 3"),
        ("quarantine", "entries: [{version: x}]"),
    ],
)
def test_the_schema_and_the_model_agree(kind: str, text: str) -> None:
    try:
        read_file("file.yaml", text.encode(), KINDS[kind])
        is_read = True
    except BadText:
        is_read = False
    assert is_valid(kind, yaml.safe_load(text)) == is_read
