"""Plain manifests through the Builder: read as kubectl reads them, hostile ones refused by name."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from reconciler.adapters.render import ServiceBuilder
from reconciler.errors import InvalidInput
from reconciler.model.env_repo import SourceKind
from reconciler.model.names import EnvironmentName

KIND = "kind: A\nmetadata: {}\n"
"""Enough for a document to be an object."""

CONFIG_MAP = b"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n"


def build(files: dict[str, bytes | str]) -> list[dict[str, Any]]:
    octets = {p: c.encode() if isinstance(c, str) else c for p, c in files.items()}
    built = ServiceBuilder().build(SourceKind.MANIFESTS, octets, EnvironmentName("prod"))
    return [dict(o) for o in built]


def names(files: dict[str, bytes | str]) -> list[str]:
    return [o["n"] for o in build(files)]


def test_every_manifest_counts_and_nothing_else() -> None:
    files: dict[str, bytes | str] = {
        "b/deep/er.yml": f"{KIND}n: deep",
        "a.yaml": f"{KIND}n: first\n---\n---\n{KIND}n: second\n",
        "c.json": '{"kind": "A", "metadata": {}, "n": "json"}',
        "service.yaml": "n: x",
        "overlays/prod/o.yaml": "n: x",
        "README.md": "n: x",
        "notes.txt": "n: x",
        "kustomization.yaml": "n: x",
        "b/Kustomization": "n: x",
    }
    assert names(files) == ["first", "second", "deep", "json"]


def test_lists_are_flattened_in_order() -> None:
    one, two, three, four = ({"kind": "A", "metadata": {}, "n": n} for n in "1234")
    inner = {"kind": "BList", "items": [two, three]}
    files = {"a.json": json.dumps({"kind": "List", "items": [one, inner, four]})}
    assert names({**files}) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0400", 256),
        ("0o400", 256),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1e3", 1000),
        ("08", 8),
        ("1.50", 1.5),
        ("no", False),
        ("on", True),
        ("y", True),
        ("~", None),
        ("10:30", "10:30"),
        ("2024-01-31", "2024-01-31"),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("'1'", "1"),
    ],
)
def test_a_scalar_is_what_kubectl_takes_it_for(text: str, value: object) -> None:
    (built,) = build({"a.yaml": f"{KIND}n: {text}"})
    assert built["n"] == value
    assert type(built["n"]) is type(value)


def test_keys_that_look_like_numbers_are_text_as_in_json() -> None:
    (built,) = build({"a.yaml": f"{KIND}data: {{8080: x, true: z}}"})
    assert built["data"] == {"8080": "x", "true": "z"}


def test_merge_keys_and_aliases_are_written_out() -> None:
    (built,) = build({"a.yaml": f"{KIND}a: &a {{k: 1, l: 2}}\nb: {{<<: *a, k: 3}}\nc: *a"})
    written = {"a": {"k": 1, "l": 2}, "b": {"k": 3, "l": 2}, "c": {"k": 1, "l": 2}}
    assert built == {"kind": "A", "metadata": {}, **written}


@pytest.mark.parametrize("text", ["a: 1", "kind: 3", "kind: A", "kind: A\nmetadata: b"])
def test_what_does_not_say_what_it_is_is_named_by_its_file(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"deep/a\.yaml: it holds something that is no object"):
        build({"deep/a.yaml": f"{KIND}---\n{text}"})


def bomb() -> str:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{n}: &{n} [{', '.join([f'*{p}'] * 9)}]" for p, n in itertools.pairwise("abcdefghi")]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        pytest.param("a.yaml", bomb(), "values, aliases written out", id="an alias bomb"),
        pytest.param("a.yaml", "a: &a [*a]", "or what holds it", id="an alias of itself"),
        pytest.param("a.yaml", "a: *a", "names what is not there", id="an alias of nothing"),
        pytest.param("a.yaml", "[" * 50_000, "more than 100 levels", id="50 KB of brackets"),
        pytest.param("a.yaml", "{a: " * 10_000, "more than 100 levels", id="depth 10^4"),
        pytest.param("a.yaml", "- " * 10_000, "more than 100 levels", id="depth without brackets"),
        pytest.param("a.yaml", "---\nn: 1\n" * 100_000, "2000 documents", id="10^5 documents"),
        pytest.param("a.yaml", b"# " + b"x" * 100_000_000, "files of 100000057 bytes", id="100 MB"),
        pytest.param("a.yaml", b"# " + b"x" * 5_000_000, "5000002 bytes, and", id="5 MB"),
        pytest.param(
            "a.yaml", "n: 1\nn: 2", "a.yaml:2: it cannot be read: a key", id="a key twice"
        ),
        pytest.param("a.yaml", "a:\n\tb: 1", "a.yaml:2", id="a tab"),
        pytest.param("a.yaml", "n: 1".encode("utf-16"), "not UTF-8", id="UTF-16"),
        pytest.param("a.yaml", "!!python/object:os.system {}", "python/object", id="an object"),
        pytest.param("a.yaml", "n: !!binary aGk=", "binary", id="bytes"),
        pytest.param("a.yaml", "? [a]\n: b", "a key is no text", id="a key that is a list"),
        pytest.param("a.yaml", "n: 1e999", "too large", id="a number without end"),
        pytest.param("a.yaml", "n: " + "9" * 5_000, "no manifest may", id="a number of 5 KB"),
        pytest.param("a.yaml", "text", "is no object", id="a text"),
        pytest.param("a.yaml", "[]", "is no object", id="a list"),
        pytest.param("a.json", "[" * 100_000, "no manifest may", id="deep JSON"),
        pytest.param("a.json", '{"n": 1, "n": 2}', "a key is given twice", id="a JSON key twice"),
        pytest.param("a.json", '{"n": NaN}', "NaN is no number", id="NaN"),
        pytest.param("a.json", '{"n": "\\ud800"}', "no manifest may", id="half a character"),
        pytest.param("a.json", '{"n": ', "a.json:1", id="half a file"),
        pytest.param(
            "a.yaml",
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "a.yaml: it is a Git LFS pointer",
            id="a Git LFS pointer",
        ),
    ],
)
def test_a_file_that_is_broken_or_hostile(name: str, content: bytes | str, fault: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        build({name: content, "good.yaml": CONFIG_MAP})
    assert fault in str(caught.value)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "path",
    [
        "../a.yaml",
        "a/../../b.yaml",
        "/etc/a.yaml",
        "a//b.yaml",
        "./a.yaml",
        "a\0.yaml",
        "a\n.yaml",
        "\u202ea.yaml",
        "a\udcff.yaml",
        "x" * 4096 + ".yaml",
        "x/" * 600 + "a.yaml",
    ],
)
def test_a_path_that_leads_outside_or_deceives_is_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="it is no plain relative path"):
        build({path: CONFIG_MAP})


def test_every_broken_file_is_told() -> None:
    with pytest.raises(InvalidInput) as caught:
        build({"a.yaml": "[", "b.yaml": "n: 1\nn: 2", "c.json": "{", "d.yaml": CONFIG_MAP})
    assert all(f"{name}:" in str(caught.value) for name in ("a.yaml", "b.yaml", "c.json"))


def test_no_content_is_quoted_in_a_fault() -> None:
    broken = ["stringData: {a: canary-1: b}", "a: 'canary-1", "a: canary-1\n b: c", '"canary-1" x']
    for text in broken:
        with pytest.raises(InvalidInput) as caught:
            build({"a.yaml": text, "b.json": text})
        assert "canary" not in str(caught.value)


def test_too_many_files_are_refused() -> None:
    with pytest.raises(InvalidInput, match="2001 files"):
        build({f"{i}.yaml": CONFIG_MAP for i in range(2001)})


def test_a_chart_is_a_clear_fault() -> None:
    with pytest.raises(InvalidInput, match="charts are not supported yet"):
        ServiceBuilder().build(SourceKind.HELM, {}, EnvironmentName("prod"))
