"""What a registry asks of us before it answers: a `WWW-Authenticate` header, read."""

from __future__ import annotations

import re
from dataclasses import dataclass

CHALLENGE_CHARACTERS_MAX = 8192
"""As long as a header may be for common servers."""

_SCHEME = re.compile(r"([A-Za-z0-9-]{1,32})(?: +|$)")
_PARAMETER = re.compile(r'([A-Za-z0-9_-]{1,64})="?([^",]*)"?(?: *, *|$)')
_QUOTED = re.compile(r'([A-Za-z0-9_-]{1,64})="((?:[^"\\]|\\.)*)"(?: *, *|$)')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge.

    Attributes:
        scheme: In small letters: `basic`, `bearer`.
        parameters: By name in small letters.
    """

    scheme: str
    parameters: dict[str, str]


def read_challenge(header: str) -> Challenge | None:
    """Returns the challenge in a header, or None where there is none that can be read.

    Source: RFC 9110, section 11.6.1; a registry gives one, as the distribution's token specification has it.
    """
    scheme = _SCHEME.match(header) if len(header) <= CHALLENGE_CHARACTERS_MAX else None
    if scheme is None:
        return None
    parameters, place = {}, scheme.end()
    while place < len(header):
        found = _QUOTED.match(header, place) or _PARAMETER.match(header, place)
        if found is None:
            return None
        parameters[found[1].lower()] = found[2]
        place = found.end()
    return Challenge(scheme[1].lower(), parameters)
