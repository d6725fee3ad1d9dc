"""What every document has in common: its name, its keys, its errors, and how it names a revision."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reconciler.model.names import ClusterName
from reconciler.model.release import Revision
from reconciler.model.view import View

Document = dict[str, Any]

RECORDS_NAMED_MAX = 5
"""Cells that one error names; all of them may be meant."""

_COMMITTED: Mapping[str, Any] = {"commit": None, "branch": None, "paths": [], "pushed": False}

_BLANK: Mapping[str, Mapping[str, Any]] = {
    "approve": _COMMITTED,
    "bootstrap": {"clusters": []},
    "demo": {
        "script": None,
        "ok": False,
        "started_at": None,
        "finished_at": None,
        "repo": None,
        "commits": [],
        "incident": None,
        "timeline": [],
        "final": [],
        "checks": [],
    },
    "diff": {"objects": []},
    "explain": {"service": None, "environments": []},
    "freeze": _COMMITTED,
    "health": {"now": None, "worst": "Unknown", "objects": []},
    "history": {"items": []},
    "lift": _COMMITTED,
    "pause": _COMMITTED,
    "plan": {"commit": None, "actions": []},
    "promote": _COMMITTED,
    "render": {"items": []},
    "resume": _COMMITTED,
    "retry": _COMMITTED,
    "rollback": _COMMITTED,
    "status": {
        "mode": None,
        "halted": None,
        "head": {
            "branch": None,
            "commit": None,
            "accepted": None,
            "fetched_at": None,
            "stale": True,
            "error": None,
            "broken": [],
        },
        "cells": [],
        "reverts_pending": [],
    },
    "thaw": _COMMITTED,
    "validate": {"source": None, "commit": None, "ok": False, "files": 0, "faults": []},
}

DOCUMENTS = frozenset(_BLANK)
"""The commands with a document of their own."""


def blank(name: str, **known: Any) -> Document:
    """Returns a document with every one of its keys, in the state in which nothing is known.

    Args:
        name: The command's.
        known: What is known all the same.
    """
    whole = {"schema": f"reconciler.{name}/v1", **copy.deepcopy(dict(_BLANK[name])), "errors": []}
    return {**whole, **known}


def error(object: str, what: str, why: str, fix: str) -> Document:
    """Returns an error as documents carry it."""
    return {"object": object, "what": what, "why": why, "fix": fix}


def unseen(view: View, *, among: Collection[ClusterName] | None = None) -> list[Document]:
    """Returns an error for each thing that could not be looked at: clusters, records, the env repo.

    One that drains may be switched off.

    Args:
        view: What the last turn saw.
        among: The clusters that matter, the home always being one of them; None: all of them.
    """
    found = [
        error(f"cluster {name}", what, why, fix)
        for clusters, what, fix in (
            (
                view.unreachable,
                "it does not answer",
                "its API server must answer; the others go on without it",
            ),
            (
                view.denied,
                "not all of it may be watched",
                "grant the right; what needs it counts as unknown meanwhile",
            ),
            (
                view.late,
                "it could not be read whole",
                "ask again; what is said of it is not known",
            ),
        )
        for name, why in clusters.items()
        if name == view.home
        or (name not in view.head.unmissed and (among is None or name in among))
    ]
    if view.home not in {*view.unreachable, *view.late}:
        found += _unreadable_records(view)
    if view.head.error:
        kept = view.head.snapshot.commit[:12] if view.head.snapshot else None
        fix = f"{kept} is followed meanwhile" if kept else "nothing is followed meanwhile"
        found.append(error("env repo", "HEAD is not followed", view.head.error, fix))
    return sorted(found, key=by_object)


def _unreadable_records(view: View) -> Iterator[Document]:
    """Yields an error when the home was read, and what is remembered of some cells was not."""
    found = sorted(
        f"{service} in {cell.environment}"
        for service, planned in view.services.items()
        for cell in planned.facts.cells
        if not cell.record_known and not cell.other
    )
    if found:
        more = len(found) - RECORDS_NAMED_MAX
        named = ", ".join(found[:RECORDS_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
        fix = f"`kubectl get promotionrecords -A` on {view.home}; the log says what is wrong"
        yield error("promotion records", "not all of them could be read", named, fix)


def by_object(one: Mapping[str, Any]) -> str:
    """The order of errors."""
    return str(one["object"])


def by_cell(row: Mapping[str, Any]) -> tuple[str, str]:
    """The order of whatever names a service and an environment."""
    return str(row["service"]), str(row["environment"])


def revision_document(revision: Revision | None) -> Document | None:
    """Returns a revision as documents name it, or None."""
    if revision is None:
        return None
    return {
        "version": revision.release.version,
        "identity": revision.identity,
        "revision": revision.id,
        "source": revision.release.source,
    }
