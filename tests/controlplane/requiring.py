"""What a test asks for of the real parts: without Go it skips, and in CI it fails."""

from __future__ import annotations

from pathlib import Path

from tests.controlplane.building import ASSETS, NoGo, module_dir, tool
from tests.lacking import lacks


def require_tool(folder: str, program: str) -> Path:
    """Returns a program's path, built if need be; without Go it skips, and in CI it fails."""
    try:
        return tool(folder, program)
    except NoGo:
        lacks(f"{program} cannot be built: install Go, or set {ASSETS}")


def require_module(folder: str, module: str) -> Path:
    """Returns where a module's files are, fetched if need be; without Go it skips, and in CI it fails."""
    try:
        return module_dir(folder, module)
    except NoGo:
        lacks(f"the files of {module} cannot be fetched: install Go")
