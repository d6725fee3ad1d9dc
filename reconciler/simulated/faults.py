"""What can be broken about a simulated cluster's connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.simulated.answers import Answer


class Refuse(Exception):
    """The connection is closed without an answer."""


class Hang(Exception):
    """No answer ever comes."""


class HalfPage(Exception):
    """The answer breaks off, with an orderly end of the connection."""


class OnePage(Exception):
    """Of a list comes a first page of one object, and never another."""


class Reset(Exception):
    """The answer breaks off by a reset, as a firewall or a dying proxy makes it."""


class Drip(Exception):
    """The answer goes on for ever, a byte at a time.

    Attributes:
        every_s: Seconds between two bytes.
    """

    def __init__(self, every_s: float = 0.1) -> None:
        super().__init__(every_s)
        self.every_s = every_s


Rule = Callable[[str, list[str]], None]
"""Called with verb (lists are `get`) and path steps before each request; raises what is to be met."""


@dataclass(slots=True)
class WireFaults:
    """The faults of one cluster's HTTP front.

    Attributes:
        is_down: Every connection is closed at once, watches that run included.
        is_cut: Only watches that run are ended, each in the middle of its stream.
        rules: Asked one after the other.
    """

    is_down: bool = False
    is_cut: bool = False
    rules: list[Rule] = field(default_factory=list)

    def meet(self, verb: str, steps: list[str]) -> None:
        """Raises what a request meets."""
        if self.is_down:
            raise Refuse
        for rule in list(self.rules):
            rule(verb, steps)

    def cuts_watches(self) -> bool:
        """Whether running watches end now."""
        return self.is_down or self.is_cut


def answering(code: int, reason: str, message: str = "", *, seconds: int | None = None) -> Answer:
    """Returns a refusal of any code, with a time to wait where one is given."""
    details = {"retryAfterSeconds": seconds} if seconds else {}
    return Answer(code, reason, message or f"a fault of the simulation: {reason}", details)
