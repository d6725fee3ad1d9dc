"""Conditions in CEL: what they may look at, and whether a text is one; what it comes to is asked elsewhere.

Compiling one takes milliseconds whatever it holds: the library gives up at 32 levels (docs/adr/0028).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from cel_expr_python import cel

EXPRESSION_CHARACTERS_MAX = 1000

WHY_CHARACTERS_MAX = 200

VARIABLES: Mapping[str, cel.Type] = {
    "service": cel.Type.STRING,
    "environment": cel.Type.STRING,
    "version": cel.Type.STRING,
    "revision": cel.Type.STRING,
    "identity": cel.Type.STRING,
    "source": cel.Type.STRING,
    "images": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
    "unpinned": cel.Type.BOOL,
    "values": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "admitted": cel.Type.STRING,
    "now": cel.Type.TIMESTAMP,
    "clusters": cel.Type.List(cel.Type.Map(cel.Type.STRING, cel.Type.DYN)),
}
"""As core/condition_facts.py makes them."""


@cache
def language() -> cel.Env:
    """Returns what conditions are written in: CEL's standard library over the variables, and no extension."""
    return cel.NewEnv(variables=dict(VARIABLES))


def condition_fault(text: str) -> str:
    """Returns why a text is no condition, or nothing."""
    try:
        compiled = language().compile(text)
    except RuntimeError as error:
        return _cleaned(str(error))
    if compiled.return_type() != cel.Type.BOOL:
        kind = compiled.return_type().name().lower()
        return f"it comes to {kind}, and not to bool; compare it with something"
    return ""


def _cleaned(text: str) -> str:
    """Returns the first fault of the library's several lines, led by line and column."""
    first = text.removeprefix("INVALID_ARGUMENT: ").splitlines()[0]
    return first.replace("ERROR: <input>:", "")[:WHY_CHARACTERS_MAX]
