"""Files of this repo that are made from the code; `make docs` writes them, and a test holds them current."""

from __future__ import annotations

import json
from pathlib import Path

from reconciler.schema.published import FOLDER, KINDS, published

ROOT = Path(__file__).resolve().parents[2]


def generated() -> dict[str, str]:
    """Returns every generated file's text by its path."""
    return {
        f"example-repo/{FOLDER}/{kind}.json": json.dumps(published(kind), indent=2) + "\n"
        for kind in KINDS
    }


def main() -> None:
    """Writes what is not current."""
    for path, text in generated().items():
        file = ROOT / path
        if not file.exists() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
