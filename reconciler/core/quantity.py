"""Quantities of Kubernetes, such as `500m` and `2Gi`, as numbers."""

from __future__ import annotations

import re
from decimal import Decimal

_SUFFIXES: dict[str, int | Decimal] = {
    "": 1, "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "k": 10**3,
    "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
"""Source: Kubernetes API reference, "Quantity"."""

_QUANTITY = re.compile(r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?\Z")


def quantity(value: str | float) -> Decimal | None:
    """Returns the number that a quantity stands for; None where it is none, or larger than any we work with."""
    found = _QUANTITY.match(str(value))
    if found is None:
        return None
    try:
        return Decimal(found[1]) * Decimal(_SUFFIXES[found[2] or ""])
    except ArithmeticError:
        return None
