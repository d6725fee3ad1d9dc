"""Where a field stands among a service's manifests."""

from __future__ import annotations

import pytest

from reconciler.schema.manifests import Place, place_of

FIELD = ("spec", "updateStrategy", "type")

OTHERS = """\
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {updateStrategy: {type: OnDelete}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: other}
spec: {updateStrategy: {type: RollingUpdate}}
"""

OWN = """\
apiVersion: apps/v1
kind: StatefulSet
metadata:
  labels: &labels {app: db}
  name: db
spec:
  selector: {matchLabels: *labels}
  template:
    spec:
      containers: [{name: db, type: no, args: [[a], {b: c}]}]
  updateStrategy:
    type: OnDelete
"""


@pytest.mark.parametrize(
    ("case", "files", "wanted"),
    [
        ("in one of several documents", {"a.yaml": f"{OTHERS}---\n{OWN}"}, Place("a.yaml", 22, 11)),
        ("in another file", {"a.yaml": OTHERS, "b.yaml": OWN}, Place("b.yaml", 12, 11)),
        (
            "in what a kustomization renames",
            {"a.yaml": OWN.replace("name: db\nspec", "name: base\nspec")},
            Place("a.yaml", 12, 11),
        ),
        (
            "in JSON",
            {
                "a.json": '{"kind": "StatefulSet", "metadata": {"name": "db"},\n'
                ' "spec": {"updateStrategy": {"type": "OnDelete"}}}'
            },
            Place("a.json", 2, 38),
        ),
        ("after a file that is no YAML", {"a": "\x01", "b.yaml": OWN}, Place("b.yaml", 12, 11)),
        ("after one that is too deep", {"a": "[" * 50_000, "b.yaml": OWN}, Place("b.yaml", 12, 11)),
        ("in the first of two", {"a.yaml": OWN, "b.yaml": OWN}, Place("a.yaml", 12, 11)),
        ("in none of that kind", {"a.yaml": OTHERS.replace("StatefulSet", "X")}, None),
        ("in an item of a list", {"a.yaml": "- kind: StatefulSet\n  spec: {}\n"}, None),
        ("nowhere", {"a.yaml": "- - a\n--- b\n--- {c: d}\n", "b": ""}, None),
    ],
)
def test_a_field_is_found(case: str, files: dict[str, str], wanted: Place | None) -> None:
    octets = {file: text.encode() for file, text in files.items()}
    assert place_of(octets, "StatefulSet", "db", FIELD) == wanted, case
