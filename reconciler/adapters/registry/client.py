"""Registries over the OCI distribution API: tags in pages, and digests of what they name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import orjson

from reconciler.adapters.http.answer import Answer, Doing, not_known, refusal
from reconciler.adapters.http.client import HttpClient
from reconciler.adapters.registry.authorizing import Authorizing
from reconciler.adapters.registry.names import Repository, check_tag, read_repository
from reconciler.errors import ReconcilerError
from reconciler.model.answers import NotKnown
from reconciler.model.registry import TagDigest, Tags

PAGE_TAGS = 1000
"""More than most registries give at once; one that gives fewer is asked more often."""

PAGES_MAX = 200
TAGS_MAX = 50_000
"""A tag for each of a hundred commits a day, for a year and more; more is not read, and not known."""

MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
"""What a node would ask for. One that is not named is translated by some registries, into another digest."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NEXT = re.compile(r"""<([^<>]{1,4096})>\s*;[^,]*\brel="?next"?""", re.IGNORECASE)
_NO_SUCH_TAG = "MANIFEST_UNKNOWN"
"""What a registry says of a tag; the 404 of anything in between says nothing."""

_ASKED_AGAIN = frozenset({200, 404, 405})
"""After these a GET may say more than a HEAD did."""

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """How registries are asked; credentials are files, read at every use.

    Attributes:
        config_file: A docker config with a user and a password by registry; without it we are nobody.
        ca_file: Certificates trusted instead of the system's.
        plain_http: Hosts, with their ports, that are spoken to without TLS; each is the operator's word.
        timeout_s: How long one request may take in all.
    """

    config_file: Path | None = None
    ca_file: Path | None = None
    plain_http: frozenset[str] = field(default_factory=frozenset)
    timeout_s: float = 10.0


class OciRegistry:
    """The Registry port. Safe to use from several threads; no request is repeated but to say who we are.

    Args:
        access: How they are asked.

    Raises:
        InvalidInput: Its CA file cannot be used.
    """

    def __init__(self, access: RegistryAccess) -> None:
        self._access = access
        client = HttpClient(request_timeout_s=access.timeout_s, ca_file=access.ca_file)
        self._authorizing = Authorizing(client, access.config_file)

    def tags(self, repository: str) -> Tags | NotKnown:
        """As the port has it."""

        def ask() -> Tags:
            doing = Doing(repository, "list its tags")
            found = read_repository(repository, plain_http=self._access.plain_http)
            return Tags(repository, tuple(sorted(self._every_tag(found, doing))))

        return _known(ask)

    def digest(self, repository: str, tag: str) -> TagDigest | NotKnown:
        """As the port has it."""

        def ask() -> TagDigest:
            doing = Doing(f"{repository}:{tag}", "read its digest")
            found = read_repository(repository, plain_http=self._access.plain_http)
            check_tag(repository, tag)
            return TagDigest(repository, tag, self._digest(found, tag, doing))

        return _known(ask)

    def _every_tag(self, repository: Repository, doing: Doing) -> set[str]:
        target = f"/v2/{repository.path}/tags/list?n={PAGE_TAGS}"
        tags: set[str] = set()
        for _ in range(PAGES_MAX):
            answer = self._ask("GET", repository, target, doing)
            if answer.status != 200:
                raise refusal(doing, answer, said=_words(answer))
            new = _tags_of(answer.json(doing), repository, doing) - tags
            tags |= new
            if len(tags) > TAGS_MAX:
                raise doing.unreachable(f"there are over {TAGS_MAX}")
            following = _next(repository, target, answer, doing)
            if following is None:
                return tags
            if not new or following == target:
                raise doing.unreachable("its pages go round in a circle")
            target = following
        raise doing.unreachable(f"there are over {PAGES_MAX} pages of them")

    def _digest(self, repository: Repository, tag: str, doing: Doing) -> str | None:
        target = f"/v2/{repository.path}/manifests/{tag}"
        answer = self._ask("HEAD", repository, target, doing)
        told = answer.headers.get("Docker-Content-Digest", "")
        if answer.status == 200 and _DIGEST.fullmatch(told) and _is_manifest(answer):
            return told
        if answer.status not in _ASKED_AGAIN:
            raise refusal(doing, answer, said="to a HEAD")
        # A HEAD has no body that would say why, and some registries give no digest with it.
        answer = self._ask("GET", repository, target, doing)
        if answer.status == 404 and _NO_SUCH_TAG in _codes(answer):
            return None
        if answer.status != 200:
            raise refusal(doing, answer, said=_words(answer))
        if not _is_manifest(answer) or "schemaVersion" not in _tree(answer.json(doing), doing):
            raise doing.unreachable("the answer is no manifest")
        made = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
        told = answer.headers.get("Docker-Content-Digest", made)
        if told != made:
            raise doing.unreachable("the answer is not what its digest says")
        return made

    def _ask(self, method: str, repository: Repository, target: str, doing: Doing) -> Answer:
        headers = {"Accept": MANIFESTS if "/manifests/" in target else "application/json"}
        return self._authorizing.request(method, repository, target, doing, headers=headers)


def _known(ask: Callable[[], Found]) -> Found | NotKnown:
    try:
        return ask()
    except ReconcilerError as error:
        return not_known(error)


def _tags_of(body: Any, repository: Repository, doing: Doing) -> set[str]:
    page = _tree(body, doing)
    if page.get("name") != repository.path or "tags" not in page:
        raise doing.unreachable("the answer is no list of this repository's tags")
    # Of a repository whose last tag is gone, it is null.
    tags = page["tags"] if page["tags"] is not None else []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise doing.unreachable("the answer is no list of tags")
    return set(tags)


def _next(repository: Repository, target: str, answer: Answer, doing: Doing) -> str | None:
    """Returns where the next page is, or None for the last one."""
    link = answer.headers.get("Link", "")
    found = _NEXT.search(link[:8192])
    if found is None:
        if link:
            raise doing.unreachable("its link to the next page cannot be read")
        return None
    parts = urlsplit(urljoin(target, found[1]))
    # Behind a proxy some registries give themselves another scheme or name: the path counts, and is
    # asked for where it was before.
    following = str(parts.path) + (f"?{parts.query}" if parts.query else "")
    if parts.path != f"/v2/{repository.path}/tags/list":
        raise doing.unreachable("its link to the next page leads elsewhere")
    return following


def _is_manifest(answer: Answer) -> bool:
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in MANIFESTS.split(", ")


def _tree(body: Any, doing: Doing) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise doing.unreachable("the answer is not what a registry says")
    return body


def _errors(answer: Answer) -> list[Mapping[str, Any]]:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return []
    errors = body.get("errors") if isinstance(body, dict) else None
    return [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []


def _codes(answer: Answer) -> set[str]:
    return {str(error.get("code")) for error in _errors(answer)}


def _words(answer: Answer) -> str:
    return "; ".join(f"{e.get('code')}: {e.get('message')}" for e in _errors(answer)[:5])
