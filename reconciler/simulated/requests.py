"""A request to the API server, taken apart: what it is about and what it asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from reconciler.simulated.answers import bad_request
from reconciler.simulated.kinds import Kind
from reconciler.simulated.shelf import Object
from reconciler.simulated.store import Store


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        verb: As an audit log names it: get, create, update, patch, delete.
        path: Without the query.
        body: Parsed; None when there is none.
        content_type: Of the body.
        accept: What the client would like.
        agent: The client's own name.
    """

    verb: str
    path: str
    query: dict[str, str]
    body: Any
    content_type: str
    accept: str
    agent: str

    @classmethod
    def of(
        cls, verb: str, target: str, body: Any, *, content_type: str, accept: str, agent: str
    ) -> Request:
        """Takes a request line apart."""
        parts = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        return cls(verb, parts.path, query, body, content_type, accept, agent.partition("/")[0])

    @property
    def steps(self) -> list[str]:
        """The path's parts."""
        return [unquote(step) for step in self.path.split("/") if step]

    @property
    def manager(self) -> str:
        """Who writes, for managedFields."""
        return self.query.get("fieldManager") or self.agent or "unknown"

    @property
    def dry_run(self) -> bool:
        """Whether nothing may be stored."""
        return self.query.get("dryRun") == "All"

    @property
    def strict(self) -> bool:
        """Whether unknown fields are refused."""
        return self.query.get("fieldValidation") == "Strict"

    @property
    def wants_table(self) -> bool:
        """Whether the client asks for what `kubectl get` prints."""
        return "as=Table" in self.accept

    @property
    def is_watch(self) -> bool:
        """Whether the client stays to be told of changes."""
        return self.query.get("watch") in ("true", "1")

    def mapping(self) -> Object:
        """Returns the body, which must be an object."""
        if not isinstance(self.body, dict):
            raise bad_request("the body is no object")
        return self.body


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names.

    Attributes:
        namespace: Empty for all of them, or for a kind that has none.
        name: Empty for a collection.
        subresource: Empty for the object itself.
    """

    kind: Kind
    namespace: str
    name: str
    subresource: str

    @property
    def typed(self) -> Object:
        """apiVersion and kind."""
        return {"apiVersion": self.kind.api_version, "kind": self.kind.kind}

    def selection(self, query: dict[str, str]) -> tuple[str | None, str, str]:
        """Returns the namespace, labels and fields that a list or a watch of this is about."""
        fields = f"metadata.name={self.name}" if self.name else query.get("fieldSelector", "")
        return self.namespace or None, query.get("labelSelector", ""), fields

    @classmethod
    def of(cls, store: Store, steps: list[str]) -> Target | None:
        """Returns what a path names, or None when nothing is served there."""
        if steps[:2] == ["api", "v1"]:
            version, rest = "v1", steps[2:]
        elif steps[:1] == ["apis"] and len(steps) > 3:
            version, rest = f"{steps[1]}/{steps[2]}", steps[3:]
        else:
            return None
        namespace = ""
        if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        plural, name, sub = (*rest, "", "", "")[:3]
        kind = next(
            (k for k in store.kinds.values() if (k.api_version, k.plural) == (version, plural)),
            None,
        )
        if kind is None or (sub and sub not in kind.subresources):
            return None
        return cls(kind, namespace, name, sub)
