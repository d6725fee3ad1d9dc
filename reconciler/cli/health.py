"""`reconciler health`: the health of objects in a file, as a pure function of them and a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from reconciler.adapters.render.documents import documents
from reconciler.cli.output import Document, Exit, emit, fail, output_option
from reconciler.core.health import assess
from reconciler.errors import InvalidInput, ReconcilerError
from reconciler.model.health import ObjectHealth, worst
from reconciler.model.objects import KubeObject
from reconciler.model.times import from_rfc3339, rfc3339


@click.command()
@click.option("-f", "--file", "file", required=True, help="A file of objects, or - for stdin.")
@click.option("--now", "now_text", default=None, help="The time to judge at, RFC 3339.")
@output_option
def health(file: str, now_text: str | None, output: str) -> None:
    """Tell each object's health: Current, InProgress, Failed, Terminating or Unknown."""
    empty: Document = {"schema": "reconciler.health/v1", "objects": []}
    try:
        now = _time(now_text)
        objects = list(_flattened(documents(file, _octets(file))))
    except ReconcilerError as error:
        fail(error, empty, output)
    healths = [_assessed(obj, objects, now) for obj in objects]
    document = {
        "schema": "reconciler.health/v1",
        "now": rfc3339(now),
        "worst": worst(tuple(h.status for h in healths)).value,
        "objects": [_document(index, h) for index, h in enumerate(healths)],
        "errors": [],
    }
    emit(document, output, _text)
    is_current = all(h.status.value == "Current" for h in healths)
    sys.exit(Exit.DONE if is_current and healths else Exit.FOUND)


def _octets(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InvalidInput(file, "it cannot be read", why) from error


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


def _assessed(obj: Any, objects: list[Any], now: datetime) -> ObjectHealth:
    return assess(obj, _family(obj, objects), now=now)


def _family(obj: Any, objects: list[Any]) -> list[KubeObject]:
    """Returns the objects below one by owner, as the cluster's own controllers link them."""
    uids = {_uid(obj)}
    found: list[KubeObject] = []
    for _ in range(3):
        below = [o for o in objects if _owners(o) & uids and o not in found]
        found.extend(below)
        uids = {_uid(o) for o in below}
    return found


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
