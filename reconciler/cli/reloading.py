"""The settings of a running daemon: read again now and then, and taken over where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from reconciler.config.settings import RELOADABLE, Settings
from reconciler.errors import InvalidInput

_log = structlog.get_logger(__name__)


class Reloading:
    """What the settings are now.

    What cannot be taken over is told once, and not at every look at a file that stays as it is.

    Attributes:
        settings: As they count.

    Args:
        settings: As read at the start.
        reread: Reads them again.
    """

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self.settings = settings
        self._reread = reread
        self._told: object = None

    def look(self) -> bool:
        """Reads the settings again; returns whether anything was taken over."""
        try:
            now = self._reread()
        except InvalidInput as error:
            self._tell("settings-refused", error=str(error))
            return False
        taken, left = _changed(self.settings.model_dump(), now.model_dump())
        if left:
            self._tell("settings-need-restart", fields=left)
        else:
            self._told = None
        if taken:
            self.settings = _with(self.settings, now, taken)
            _log.info("settings-reloaded", fields=taken)
        return bool(taken)

    def _tell(self, what: str, **said: Any) -> None:
        if self._told != (what, said):
            _log.warning(what, **said)
        self._told = (what, said)


def _changed(
    was: Mapping[str, Any], now: Mapping[str, Any], at: str = ""
) -> tuple[list[str], list[str]]:
    """Returns the changed fields that may be taken over, and those that need a restart."""
    taken: list[str] = []
    left: list[str] = []
    for key in was:
        name = f"{at}{key}"
        if was[key] == now.get(key):
            continue
        if name in RELOADABLE:
            taken.append(name)
        elif isinstance(was[key], dict) and isinstance(now.get(key), dict):
            inner = _changed(was[key], now[key], f"{name}.")
            taken += inner[0]
            left += inner[1]
        else:
            left.append(name)
    return taken, left


def _with(settings: Settings, now: Settings, names: list[str]) -> Settings:
    changed = settings
    for name in names:
        head, _, rest = name.partition(".")
        if rest:
            part = getattr(changed, head)
            value = getattr(getattr(now, head), rest)
            changed = changed.model_copy(update={head: part.model_copy(update={rest: value})})
        else:
            changed = changed.model_copy(update={head: getattr(now, head)})
    return changed
