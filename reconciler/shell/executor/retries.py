"""When to try again what failed, for each of many things: sooner at first, then less and less."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

from reconciler.errors import TransientError

FIRST_S, LONGEST_S = 0.5, 30.0

Key = TypeVar("Key", bound=Hashable)


class Retries(Generic[Key]):
    """How often things failed in a row, and from when on they may be tried again."""

    def __init__(self) -> None:
        self._failed: dict[Key, tuple[int, float]] = {}

    def failed(self, key: Key, error: Exception, now_s: float) -> None:
        """Notes a failure."""
        tries = self._failed.get(key, (0, 0.0))[0] + 1
        wait_s = min(LONGEST_S, FIRST_S * 2 ** min(tries - 1, 10))
        if isinstance(error, TransientError) and error.retry_after_s is not None:
            wait_s = max(wait_s, min(error.retry_after_s, LONGEST_S))
        self._failed[key] = (tries, now_s + wait_s)

    def later(self, key: Key, due_s: float) -> None:
        """Notes that it went well, and is to be done again from some moment on."""
        self._failed[key] = (0, due_s)

    def worked(self, key: Key) -> None:
        """Notes that it went well, or that nobody asks for it any more."""
        self._failed.pop(key, None)

    def due_s(self, key: Key) -> float:
        """Returns from when on it may be tried; a time long past where it has not failed."""
        return self._failed.get(key, (0, float("-inf")))[1]

    def first_due(self, keys: Iterable[Key]) -> tuple[Key | None, float]:
        """Returns the one that has been due for longest, or will be first, and when."""
        found = min(keys, key=self.due_s, default=None)
        return found, float("inf") if found is None else self.due_s(found)
