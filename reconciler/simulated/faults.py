"""What can be broken about a simulated cluster's connection."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.simulated.answers import Answer


class Refuse(Exception):
    """The connection is closed without an answer."""


class Hang(Exception):
    """No answer ever comes."""


class HalfPage(Exception):
    """The answer breaks off."""


@dataclass(slots=True)
class WireFaults:
    """The faults of one cluster's HTTP front.

    Attributes:
        is_down: Every connection is closed at once, watches that run included.
        rules: Called with verb and path steps before each request; raise an Answer or a fault.
    """

    is_down: bool = False
    rules: list[Callable[[str, list[str]], None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def meet(self, verb: str, steps: list[str]) -> None:
        """Raises what a request meets."""
        if self.is_down:
            raise Refuse
        for rule in self.rules:
            rule(verb, steps)

    def cuts_watches(self) -> bool:
        """Whether running watches end now."""
        return self.is_down


def answering(code: int, reason: str, *, seconds: int | None = None) -> Answer:
    """Returns a refusal of any code, with a time to wait where one is given."""
    details = {"retryAfterSeconds": seconds} if seconds else {}
    return Answer(code, reason, f"a fault of the simulation: {reason}", details)
