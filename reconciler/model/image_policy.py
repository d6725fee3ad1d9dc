"""Which of a repository's tags a service follows, and what is older or newer among them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import re2
import semantic_version

RANGE_CHARACTERS_MAX = 200
PATTERN_CHARACTERS_MAX = 200
"""Nobody reads a longer one."""

PATTERN_BYTES_MAX = 1024 * 1024
"""What a compiled pattern may take: repetitions of repetitions fill any memory."""

TAG_CHARACTERS_MAX = 128
"""Source: OCI distribution specification 1.1, "Pulling manifests"."""

_BOUND_WITH_PRERELEASE = re.compile(r"(\d+\.\d+\.\d+)-[0-9A-Za-z]")

_SHOWN = re.compile(r"v?(\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?)", re.ASCII)
"""Three numbers, as Flux asks for them; a tag has no `+` for a build."""


class TagOrder(StrEnum):
    """By what the part of a tag is compared that a pattern takes out."""

    NUMERICAL = "numerical"
    ALPHABETICAL = "alphabetical"


@dataclass(frozen=True, slots=True)
class SemverPolicy:
    """Follows the newest version in a range.

    Attributes:
        range: As npm has them, `>=1.4 <2`; commas may stand between, as for Flux.
        prerelease: Whether 1.5.0-rc.1 is taken for a version of the range.
        downgrade: Whether an older one is followed when the range, or the registry, has nothing newer.
    """

    repository: str
    range: str
    prerelease: bool = False
    downgrade: bool = False


@dataclass(frozen=True, slots=True)
class PatternPolicy:
    """Follows the last of the tags that match a pattern.

    Attributes:
        pattern: As RE2 has them, and Flux; it is looked for anywhere in the tag.
        extract: The name of the group that is compared.
        downgrade: As of a SemverPolicy.
    """

    repository: str
    pattern: str
    extract: str
    order: TagOrder
    downgrade: bool = False


ImagePolicy = SemverPolicy | PatternPolicy


class VersionRange:
    """A range of versions.

    Args:
        text: What people wrote.

    Raises:
        ValueError: It is no range; says why.
    """

    def __init__(self, text: str) -> None:
        if not text.strip() or len(text) > RANGE_CHARACTERS_MAX:
            raise ValueError(f"it is empty, or over {RANGE_CHARACTERS_MAX} characters")
        joined = " ".join(text.replace(",", " ").split())
        # As people write them, and as npm reads them: `>= 1.4` is one bound.
        joined = re.sub(r"([<>=~^]) (?=[0-9vxX*])", r"\1", joined)
        try:
            self._spec = semantic_version.NpmSpec(joined)
        except ValueError:
            raise ValueError("it is no range of versions, such as `>=1.4 <2` or `1.x`") from None
        self._named = set(_BOUND_WITH_PRERELEASE.findall(joined))

    def holds(self, version: Any, *, prerelease: bool) -> bool:
        """Tells whether a version is in the range."""
        if not version.prerelease:
            return bool(self._spec.match(version))
        if not prerelease:
            return False
        released = version.truncate()
        if str(released) in self._named:
            return bool(self._spec.match(version))
        # Npm lets a pre-release in only where a bound names one of the same version. Whoever asks for
        # pre-releases means those of every version in the range.
        return bool(self._spec.match(released))


def version_of(tag: str) -> Any | None:
    """Returns the version that a tag says, or None; `v1.2.3` is one, and `1.2` is none."""
    shown = _SHOWN.fullmatch(tag) if len(tag) <= TAG_CHARACTERS_MAX else None
    if shown is None:
        return None
    try:
        return semantic_version.Version(shown[1])
    except ValueError:
        return None


def compiled(pattern: str) -> Any:
    """Returns a pattern that takes time in proportion to a text, whatever it says.

    Raises:
        ValueError: It is no pattern; says why.
    """
    if not pattern or len(pattern) > PATTERN_CHARACTERS_MAX:
        raise ValueError(f"it is empty, or over {PATTERN_CHARACTERS_MAX} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_BYTES_MAX
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        raise ValueError(f"it is no pattern of RE2: {_words(error)}") from None


class TagPattern:
    """A pattern with the group that is compared.

    Args:
        pattern: What people wrote.
        extract: The group's name.

    Raises:
        ValueError: It is no pattern, or has no such group; says why.
    """

    def __init__(self, pattern: str, extract: str) -> None:
        self._compiled = compiled(pattern)
        self._extract = extract
        if extract not in self._compiled.groupindex:
            raise ValueError(f"it has no group (?P<{extract}>…)")

    def part_of(self, tag: str) -> str | None:
        """Returns what is compared of a tag, or None: it does not match, or leaves the group out."""
        if len(tag) > TAG_CHARACTERS_MAX:
            return None
        found = self._compiled.search(tag)
        part = found.group(self._extract) if found is not None else None
        return part or None


def _words(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)
