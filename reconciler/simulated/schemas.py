"""A custom object against the schema of its definition: types, bounds, pruning, and CEL rules.

A rule is compiled without the types of its schema, and with the functions that the library has: one that a real server
refuses for its types or its cost is taken, and one that asks for a function of Kubernetes' own is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from cel_expr_python import cel

Object = dict[str, Any]
Cause = tuple[str, str]
"""Field and message."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
}


def faults(schema: Object, value: Any, was: Any, path: str) -> Iterator[Cause]:
    """Yields what is wrong with a value, and drops what the schema does not name from it.

    Args:
        schema: Structural, as definitions hold it.
        value: Changed in place: defaults are written in, and what is unknown is pruned.
        was: The former value, for rules about changes; None where there was none.
        path: Of the value, for people.
    """
    if value is None and schema.get("nullable"):
        return
    wanted = _TYPES.get(str(schema.get("type")))
    is_bool = isinstance(value, bool) and wanted is not bool
    if wanted is not None and (not isinstance(value, wanted) or is_bool):
        yield path, f"Invalid value: {path} in body must be of type {schema['type']}"
        return
    yield from _bounds(schema, value, path)
    if isinstance(value, dict):
        yield from _members(schema, value, was if isinstance(was, dict) else {}, path)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from faults(schema["items"], item, _former(schema, was, item), f"{path}[{index}]")
    for rule in schema.get("x-kubernetes-validations") or ():
        yield from _rule(rule, value, was, path)


def unknown(schema: Object, value: Any, path: str) -> Iterator[str]:
    """Yields the fields of a value that its schema does not name, and that would be dropped."""
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from unknown(schema["items"], item, f"{path}[{index}]")
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    properties: Object = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    for key, item in value.items():
        at = f"{path}.{key}" if path else key
        inner = properties.get(key) or others
        if isinstance(inner, dict):
            yield from unknown(inner, item, at)
        elif properties and not inner:
            yield at


def rule_faults(schema: Object, path: str, *, has_former: bool = True) -> Iterator[Cause]:
    """Yields what is wrong with the rules of a schema themselves, whatever they will be asked about.

    Args:
        schema: Structural.
        path: Of the schema in its definition, for people.
        has_former: Whether its value is found again in a later object: an item of a list without keys is not.
    """
    for index, rule in enumerate(schema.get("x-kubernetes-validations") or ()):
        text, at = str(rule.get("rule") or ""), f"{path}.x-kubernetes-validations[{index}].rule"
        try:
            _program(text)
        except RuntimeError as error:
            yield at, f"Invalid value: compilation failed: {error}"
        if "oldSelf" in text and not has_former:
            why = "oldSelf cannot be used on the uncorrelatable portion of the schema"
            yield at, f"Invalid value: {why}"
    below = {f".properties[{name}]": one for name, one in (schema.get("properties") or {}).items()}
    below |= {f".{name}": schema.get(name) for name in ("additionalProperties", "items")}
    for step, inner in below.items():
        if isinstance(inner, dict):
            is_found = has_former and (step != ".items" or _is_by_keys(schema))
            yield from rule_faults(inner, f"{path}{step}", has_former=is_found)


def _is_by_keys(schema: Object) -> bool:
    return schema.get("x-kubernetes-list-type") == "map"


def _former(schema: Object, was: Any, item: Any) -> Any:
    """Returns the item of a former list that has the keys of one, or None."""
    if not (_is_by_keys(schema) and isinstance(was, list)):
        return None
    key = _key(schema, item)
    return next((one for one in was if _key(schema, one) == key), None)


def _key(schema: Object, item: Any) -> list[Any]:
    """Returns what an item's keys are, or will be once its defaults are written."""
    fields: Object = schema["items"].get("properties") or {}
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    given = item if isinstance(item, dict) else {}
    return [given.get(key, (fields.get(key) or {}).get("default")) for key in keys]


def _bounds(schema: Object, value: Any, path: str) -> Iterator[Cause]:
    if "enum" in schema and value not in schema["enum"]:
        yield path, f'Unsupported value: "{value}"'
    if isinstance(value, str):
        yield from _size(schema, len(value), path, "Length")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield path, f"Invalid value: {path} in body should match '{schema['pattern']}'"
    elif isinstance(value, list):
        yield from _size(schema, len(value), path, "Items")
    elif isinstance(value, dict):
        yield from _size(schema, len(value), path, "Properties")
    elif isinstance(value, int | float):
        yield from _number(schema, value, path)


def _size(schema: Object, size: int, path: str, of: str) -> Iterator[Cause]:
    least, most = schema.get(f"min{of}", size), schema.get(f"max{of}", size)
    is_text = of == "Length"
    if size < least:
        how = (
            f"be at least {least} chars long" if is_text else f"have at least {least} {of.lower()}"
        )
        yield path, f"Invalid value: {path} in body should {how}"
    if size > most:
        many = f"Too many: {size}: must have at most {most} items"
        yield path, f"Too long: may not be more than {most} bytes" if is_text else many


def _number(schema: Object, value: float, path: str) -> Iterator[Cause]:
    least, most = schema.get("minimum", value), schema.get("maximum", value)
    if value < least or (schema.get("exclusiveMinimum") and value == least):
        words = "greater than" if schema.get("exclusiveMinimum") else "greater than or equal to"
        yield path, f"Invalid value: {path} in body should be {words} {least}"
    if value > most or (schema.get("exclusiveMaximum") and value == most):
        words = "less than" if schema.get("exclusiveMaximum") else "less than or equal to"
        yield path, f"Invalid value: {path} in body should be {words} {most}"
    step = schema.get("multipleOf")
    if step and value % step:
        yield path, f"Invalid value: {path} in body should be a multiple of {step}"


def _members(schema: Object, value: Object, was: Object, path: str) -> Iterator[Cause]:
    properties: Object = schema.get("properties") or {}
    others = schema.get("additionalProperties")
    for key, inner in properties.items():
        if key not in value and "default" in inner:
            value[key] = inner["default"]
    if properties and not others and not schema.get("x-kubernetes-preserve-unknown-fields"):
        for key in [k for k in value if k not in properties]:
            del value[key]
    for key, item in value.items():
        inner = properties.get(key) or (others if isinstance(others, dict) else None)
        if inner:
            yield from faults(inner, item, was.get(key), f"{path}.{key}" if path else key)
    for key in schema.get("required") or ():
        if key not in value:
            yield f"{path}.{key}" if path else key, "Required value"


def _rule(rule: Object, value: Any, was: Any, path: str) -> Iterator[Cause]:
    """A rule that names oldSelf speaks of changes alone; one that cannot be answered does not hold."""
    if "oldSelf" in rule["rule"] and was is None:
        return
    answer = _program(rule["rule"]).eval(data={"self": value, "oldSelf": was})
    if answer.plain_value() is not True:
        yield path, f"Invalid value: {rule.get('message') or 'failed rule: ' + rule['rule']}"


@cache
def _program(rule: str) -> Any:
    environment = cel.NewEnv(variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN})
    return environment.compile(rule)
