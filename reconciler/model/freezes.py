"""Freezes: no forward moves in a scope, for a time or until somebody thaws it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from reconciler.model.names import EnvironmentName, ServiceName


class ScopeKind(StrEnum):
    """What a freeze may be of."""

    FLEET = "fleet"
    ENVIRONMENT = "environment"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Scope:
    """Where there are no forward moves.

    Attributes:
        name: The environment's, or the service's; empty for the fleet.
    """

    kind: ScopeKind
    name: str = ""

    @classmethod
    def of(cls, text: str) -> Scope:
        """Returns what `fleet`, `environment/<name>` or `service/<name>` means.

        Raises:
            ValueError: It is none of them.
        """
        kind, slash, name = text.partition("/")
        scope = cls(ScopeKind(kind), name)
        is_named = scope.kind is not ScopeKind.FLEET
        if bool(slash) is not is_named or bool(name) is not is_named or "/" in name:
            raise ValueError(f"{text!r} is not `fleet`, `environment/<name>` or `service/<name>`")
        return scope

    def covers(self, service: ServiceName, environment: EnvironmentName) -> bool:
        """Whether a service in an environment is in it."""
        match self.kind:
            case ScopeKind.FLEET:
                return True
            case ScopeKind.ENVIRONMENT:
                return self.name == environment
            case ScopeKind.SERVICE:
                return self.name == service

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.name}" if self.name else self.kind.value


@dataclass(frozen=True, slots=True)
class Freeze:
    """No forward moves in a scope; what goes back is let through.

    Attributes:
        until: When it ends by itself; None: a person thaws it.
        reason: A person's.
    """

    scope: Scope
    until: datetime | None
    reason: str
