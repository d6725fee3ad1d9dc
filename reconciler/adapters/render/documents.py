"""Manifests as text into JSON-like trees, read as kubectl reads them and with a limit on everything.

PyYAML alone differs from kubectl in what bites (`10:30` is 630, a date is no text), lets a repeated
key pass, and crashes on deep nesting; so the events are looked at first, and the types are ours.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, ClassVar

import yaml

from reconciler.errors import InvalidInput

FILE_BYTES_MAX = 4 * 1024 * 1024
"""Four times the largest object that a cluster takes."""

DEPTH_MAX = 100
"""The deepest schema met in CRDs is under 40."""

NODES_MAX = 500_000
"""Aliases written out; more than a file of this size holds without them."""

DOCUMENTS_MAX = 2_000
"""As many objects as assembly takes of a whole service."""

_LFS = b"version https://git-lfs.github.com/spec/"


class _Rejected(Exception):
    """What is wrong with a text, and the line, from 1, or 0 where none is known."""


def documents(path: str, octets: bytes, *, bytes_max: int = FILE_BYTES_MAX) -> list[Any]:
    """Returns every document of a YAML or JSON file, empty ones left out.

    Args:
        path: Names the file in errors, and `.json` at its end says that it is JSON.
        octets: Its content.
        bytes_max: The largest content that is read.

    Raises:
        InvalidInput: Not UTF-8, not well formed, over a limit, or it holds what JSON cannot; its
            text quotes nothing of the content.
    """
    try:
        text = _text(octets, bytes_max)
        loaded = [_json(text)] if path.endswith(".json") else _yaml(text)
        return [document for document in loaded if document is not None]
    except _Rejected as rejected:
        why, line = rejected.args
    except yaml.MarkedYAMLError as error:
        why = error.problem or error.context or "it is not well formed"
        line = error.problem_mark.line + 1 if error.problem_mark else 0
    except json.JSONDecodeError as error:
        why, line = error.msg, error.lineno
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why, line = f"it holds what no manifest may ({type(error).__name__})", 0
    raise InvalidInput(f"{path}:{line}" if line else path, "it cannot be read", why)


def refuse_pointer(path: str, octets: bytes) -> None:
    """Raises InvalidInput for the pointer that Git LFS leaves in the place of a file."""
    if octets.startswith(_LFS):
        raise InvalidInput(
            path,
            "it is a Git LFS pointer",
            "the content is not in the repo",
            "commit the file itself",
        )


def _text(octets: bytes, bytes_max: int) -> str:
    if len(octets) > bytes_max:
        raise _Rejected(f"it has {len(octets)} bytes, and {bytes_max} are allowed", 0)
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _Rejected("it is not UTF-8", 0) from None


def _json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise _Rejected("a key is given twice", 0)
        return dict(pairs)

    def no_constant(constant: str) -> None:
        raise _Rejected(f"{constant} is no number", 0)

    loaded = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant)
    # An escape can name half a character, which no UTF-8 can hold: this raises UnicodeEncodeError.
    json.dumps(loaded, ensure_ascii=False).encode()
    return loaded


def _yaml(text: str) -> list[Any]:
    _scan(text)
    return list(yaml.load_all(text, Loader=_Loader))


def _scan(text: str) -> None:
    """Holds the limits on the bare events, before anything recursive sees the text."""
    nodes = documents = 0
    opened: list[tuple[str | None, int]] = []
    sizes: dict[str | None, int] = {}
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        match event:
            case yaml.DocumentStartEvent():
                documents, sizes = documents + 1, {}
            case yaml.CollectionStartEvent():
                opened.append((event.anchor, nodes))
                sizes.pop(event.anchor, None)
                nodes += 1
            case yaml.CollectionEndEvent():
                anchor, before = opened.pop()
                sizes[anchor] = nodes - before
            case yaml.ScalarEvent():
                nodes += 1
                sizes[event.anchor] = 1
            case yaml.AliasEvent() if event.anchor not in sizes:
                raise _Rejected("an alias names what is not there, or what holds it", _line(event))
            case yaml.AliasEvent():
                nodes += sizes[event.anchor]
        for count, most, what in (
            (len(opened), DEPTH_MAX, "levels"),
            (nodes, NODES_MAX, "values, aliases written out"),
            (documents, DOCUMENTS_MAX, "documents"),
        ):
            if count > most:
                raise _Rejected(f"it has more than {most} {what}", _line(event))


def _line(place: yaml.Event | yaml.Node) -> int:
    return place.start_mark.line + 1 if place.start_mark else 0


class _Loader(yaml.CSafeLoader):
    """JSON's types alone, told apart as kubectl tells them.

    Source: sigs.k8s.io/yaml, goyaml.v2/resolve.go.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    yaml_constructors: ClassVar[dict[Any, Any]] = {
        tag: constructor
        for tag, constructor in yaml.CSafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in {"null", "str", "seq", "map"}
    }

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001  # the library's own signature
    ) -> dict[Any, Any]:
        """Builds a mapping; each key is given once, apart from what `<<` merges in."""
        own = [_key(key) for key, _ in node.value if not key.tag.endswith(":merge")]
        if len(set(own)) != len(own):
            again = next(key for place, key in enumerate(own) if key in own[:place])
            lines = [_line(key) for key, _ in node.value if _key(key) == again]
            raise _Rejected("a key is given twice", lines[-1])
        self.flatten_mapping(node)
        return {_key(key): self.construct_object(value, deep=deep) for key, value in node.value}


def _key(node: yaml.Node) -> str:
    """Returns a key as text, as a JSON object needs it."""
    if not isinstance(node, yaml.ScalarNode) or node.tag.rpartition(":")[2] in {"null", "float"}:
        raise _Rejected("a key is no text", _line(node))
    return str(node.value)


def _bool(_: yaml.SafeLoader, node: yaml.ScalarNode) -> bool:
    text = node.value.lower()
    if text not in _TRUE + _FALSE:
        raise _Rejected("it is neither true nor false", _line(node))
    return text in _TRUE


def _int(_: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "")
    return int(text, 8 if re.fullmatch(r"[-+]?0[0-7]+", text) else 0)


def _float(_: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    number = float(node.value)
    if not math.isfinite(number):
        raise _Rejected("a number is too large", _line(node))
    # Go writes a whole float without its point, and servers take 1e3 where they want an integer.
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


_TRUE = ("y", "yes", "true", "on")
_FALSE = ("n", "no", "false", "off")
_YAML_BOOL = "|".join(
    form for word in _TRUE + _FALSE for form in (word, word.capitalize(), word.upper())
)
# The order counts: the first form that fits is taken.
for _tag, _form, _first, _constructor in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""], None),
    ("bool", _YAML_BOOL, list("yYnNtTfFoO"), _bool),
    (
        "int",
        r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0o[0-7]+|0[0-7_]*|[1-9][0-9_]*)",
        list("-+0123456789"),
        _int,
    ),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
        list("-+.0123456789"),
        _float,
    ),
    ("merge", r"<<", ["<"], None),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_form})\Z"), _first
    )
    if _constructor:
        _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _constructor)
