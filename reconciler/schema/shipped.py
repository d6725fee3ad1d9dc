"""What comes with the reconciler itself: built-in policies and the example env repo."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from reconciler.model.names import PolicyName

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """Returns a shipped folder, in an installed package or in a checkout.

    Raises:
        FileNotFoundError: The package was built without it (our bug).
    """
    for place in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"{name} was not shipped with the package")


@cache
def builtin_policies() -> dict[PolicyName, bytes]:
    """Returns the text of each built-in policy by its name, `builtin:<file name>`."""
    return {
        PolicyName(f"builtin:{path.stem}"): path.read_bytes()
        for path in sorted(shipped("policies").glob("*.yaml"))
    }
