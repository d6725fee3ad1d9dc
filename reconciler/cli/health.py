"""`reconciler health`: the health of objects in a file, as a pure function of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from reconciler.adapters.render.documents import documents
from reconciler.cli.output import Document, end, fail, output_option
from reconciler.core.health import assess
from reconciler.core.reporting import blank
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.health import ObjectHealth, worst
from reconciler.model.objects import KubeObject
from reconciler.model.times import from_rfc3339, rfc3339

INPUT_BYTES_MAX = 64 * 1024 * 1024
"""All objects of a large namespace, as kubectl prints them."""

GENERATIONS = 3
"""A CronJob's Job's Pod is the longest line of owners that is looked through."""


@click.command(short_help="The health of objects in a file.")
@click.option("-f", "--file", "file", required=True, help="A file of objects, or - for stdin.")
@click.option("--now", "now_text", default=None, help="The time that the document names, RFC 3339.")
@output_option
def health(file: str, now_text: str | None, output: str) -> None:
    """Tell each object's health: Current, InProgress, Failed, Terminating or Unknown."""
    document = blank("health")
    try:
        now = _time(now_text)
        document["now"] = rfc3339(now)
        found = documents(file, _octets(file), bytes_max=INPUT_BYTES_MAX)
    except ReconcilerError as error:
        fail(error, document, output)
    objects = list(_flattened(found))
    below = _by_owner(objects)
    healths = [assess(obj, _family(obj, below)) for obj in objects]
    document["worst"] = worst(tuple(h.status for h in healths)).value
    document["objects"] = [_document(index, h) for index, h in enumerate(healths)]
    # Of nothing the worst is Unknown: a file without an object proves no health.
    end(document, output, _text, found=document["worst"] != "Current")


def _octets(file: str) -> bytes:
    try:
        # One more than is allowed, so that a longer input is seen to be one.
        if file == "-":
            return sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)
        with Path(file).open("rb") as opened:
            return opened.read(INPUT_BYTES_MAX + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        fix = "check the path and its rights"
        raise InvalidInput(file, "it cannot be read", why, fix) from error


def _time(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        return from_rfc3339(text)
    except ValueError as error:
        raise InvalidInput("--now", "it is no time", str(error), "write RFC 3339") from error


def _flattened(found: list[Any]) -> Iterator[Any]:
    """Yields objects in input order, those of a List in its place."""
    for item in found:
        items = item.get("items") if isinstance(item, dict) else None
        if isinstance(items, list) and str(item.get("kind", "")).endswith("List"):
            yield from _flattened(items)
        else:
            yield item


def _by_owner(objects: list[Any]) -> dict[str, list[KubeObject]]:
    """Returns objects by the UID of each of their owners."""
    found: dict[str, list[KubeObject]] = {}
    for obj in objects:
        for owner in _owners(obj):
            found.setdefault(owner, []).append(obj)
    return found


def _family(obj: Any, below: Mapping[str, list[KubeObject]]) -> list[KubeObject]:
    """Returns the objects below one by owner, as the cluster's own controllers link them."""
    uids = [_uid(obj)]
    found: dict[int, KubeObject] = {}
    for _ in range(GENERATIONS):
        children = [child for uid in uids for child in below.get(uid, ()) if id(child) not in found]
        found.update((id(child), child) for child in children)
        uids = [_uid(child) for child in children]
    return list(found.values())


def _uid(obj: Any) -> str:
    meta = obj.get("metadata") if isinstance(obj, dict) else None
    return str(meta.get("uid") or "-") if isinstance(meta, dict) else "-"


def _owners(obj: Any) -> set[str]:
    meta = obj.get("metadata") if isinstance(obj, dict) else None
    owners = meta.get("ownerReferences") if isinstance(meta, dict) else None
    if not isinstance(owners, list):
        return set()
    return {str(o.get("uid")) for o in owners if isinstance(o, dict)} - {"-"}


def _document(index: int, found: ObjectHealth) -> Document:
    return {
        "index": index,
        "api_version": found.ref.api_version,
        "kind": found.ref.kind,
        "namespace": found.ref.namespace or None,
        "name": found.ref.name,
        "status": found.status.value,
        "reason": found.reason,
        "message": found.message,
        "evidence": [
            {
                "kind": e.kind,
                "name": e.name,
                "reason": e.reason,
                "exit_code": e.exit_code,
                "restarts": e.restarts,
                "message": e.message,
            }
            for e in found.evidence
        ],
    }


def _text(document: Document) -> str:
    return "\n".join(
        f"{o['status']}\t{o['reason'] or '-'}\t{' '.join(o['message'].split())}"
        for o in document["objects"]
    )
