"""Writes into the chart what is made or kept elsewhere: the records' definitions and the alerts.

A chart can only read files of its own. `make chart` runs this, and a test sees that it was run.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from reconciler.schema.crds import crds

ROOT = Path(__file__).resolve().parents[1]


def files() -> dict[str, str]:
    """Returns the text of each made file by its path inside the chart."""
    made = {
        f"files/crds/{definition['spec']['names']['plural']}.yaml": yaml.safe_dump(
            definition, sort_keys=False, width=120
        )
        for definition in crds()
    }
    rules = (ROOT / "policies" / "prometheus" / "reconciler.yaml").read_text()
    return made | {"files/rules/reconciler.yaml": rules}


if __name__ == "__main__":
    for path, text in files().items():
        target = ROOT / "charts" / "reconciler" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
