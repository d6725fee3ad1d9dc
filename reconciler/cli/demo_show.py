"""`reconciler demo`: the main job on simulated clusters and a real Git remote, to watch and to play with."""

from __future__ import annotations

import itertools
import shlex
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from reconciler.cli.demo_fleet import CLUSTERS, SERVICE, SOAK_S
from reconciler.cli.demo_world import DemoWorld
from reconciler.cli.output import Document, Exit, emit, error_document, fail
from reconciler.cli.stopping import note_signals, wait_until
from reconciler.core.gates import proof_of
from reconciler.core.reporting import blank, revision_document
from reconciler.errors import ReconcilerError, Unreachable
from reconciler.model.events import Event, EventKind
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.times import from_rfc3339, rfc3339
from reconciler.shell.runner import SystemClock
from reconciler.simulated.behaviour import Fate, digest_for

GOOD, BAD = "1.9.0", "1.10.0"
STEP_LIMIT_S = 60.0
"""Each step takes a few seconds; a busy machine may take ten times as long."""

_TIMELINE = {
    EventKind.ADMITTED: "Admitted",
    EventKind.APPLIED: "Applied",
    EventKind.HEALTHY: "Healthy",
    EventKind.FAILED: "Failed",
    EventKind.PROVEN: "Proven",
    EventKind.ROLLED_BACK: "RolledBack",
}


def play(script: str, *, once: bool, listen: str, output: str) -> None:
    """Plays a script on a fleet of its own, and ends the process with what came of it.

    Args:
        script: One of SCRIPTS.
        once: Ends with the report instead of staying up.
        listen: Address of the board.
        output: What form the report has.
    """
    # An exception that comes anywhere could be lost anywhere: whoever ends it leaves nothing behind.
    ended = threading.Event()
    note_signals(ended)
    started = SystemClock().now()
    report = blank("demo", script=script, started_at=rfc3339(started))
    quiet = output == "json"

    def say(text: str) -> None:
        click.echo(text, err=quiet)

    try:
        with DemoWorld(listen=listen) as world:
            show = _Show(world, say, ended)
            try:
                checks = SCRIPTS[script](show)
                error = None
            except Unreachable as late:
                checks, error = [_check("InTime", ok=False, message=str(late))], late
            report = _report(world, show, script, started, checks, error)
            emit(report, output, _text)
            if once:
                sys.exit(Exit.DONE if report["ok"] else Exit.FOUND)
            # What was installed with it, kubectl too, need not be on anybody's path.
            programs = shlex.quote(str(Path(sys.executable).parent))
            say(_INVITATION.format(world=world, programs=programs))
            wait_until(ended)
    except ReconcilerError as error:
        fail(error, report, output)


_INVITATION = """
ready: repo={world.repo_url} page={world.page_url}

Clone the repo, change a pin, push, and watch the page. To look around from another terminal:

    export PATH={programs}:$PATH
    export RECONCILER_REPO={world.repo_url} RECONCILER_HOME=dev-1 RECONCILER_MODE=enforce
    export RECONCILER_KUBECONFIG={world.kubeconfig} RECONCILER_STATE_DIR={world.folder}/looking
    reconciler status
    reconciler explain web staging
    kubectl --kubeconfig {world.kubeconfig} --context dev-1 get promotionrecords,servicerecords -A

Ctrl-C ends it and leaves nothing behind."""


class _Show:
    """The steps that scripts are made of."""

    def __init__(
        self, world: DemoWorld, say: Callable[[str], None], ended: threading.Event
    ) -> None:
        self.world = world
        self.say = say
        self._ended = ended
        self._told = 0

    def start(self) -> None:
        up = "five simulated clusters, a Git remote and the daemon are up"
        self.say(f"{up}; watch {self.world.page_url}")
        self.wait("the first releases are proven everywhere", self._all_settled)

    def merge(self, version: str, fate: Fate, kind: str) -> None:
        self.say(f"a person merges {SERVICE} {version} for dev, staging and prod")
        self.world.merge(version, fate, kind)

    def wait(self, what: str, is_done: Callable[[], bool]) -> None:
        """Waits for a step, which must come about."""
        if not self.comes(is_done, STEP_LIMIT_S):
            raise Unreachable("demo", f"{what}: it did not happen", f"within {STEP_LIMIT_S:g} s")
        self.say(what)

    def comes(self, is_done: Callable[[], bool], limit_s: float) -> bool:
        """Returns whether something comes about within a time; tells what happens meanwhile."""

        def done() -> bool:
            if self._ended.is_set():
                raise KeyboardInterrupt
            self._tell()
            return is_done()

        came = self.world.until(done, limit_s)
        self._tell()
        return came

    def proven(self, version: str, environment: str) -> bool:
        cell = self.cell(environment)
        record = cell.record if cell else None
        admitted = record.admitted if record else None
        return (
            cell is not None
            and admitted is not None
            and admitted.release.version == version
            and proof_of(cell, admitted) is not None
        )

    def cell(self, environment: str) -> Any:
        view = self.world.daemon.engine.view
        planned = view.services.get(ServiceName(SERVICE)) if view else None
        cells = planned.facts.cells if planned else ()
        return next((c for c in cells if c.environment == EnvironmentName(environment)), None)

    def events(self, kind: EventKind) -> list[Event]:
        return [e for e in self.world.events if e.kind is kind and e.service == SERVICE]

    def _all_settled(self) -> bool:
        view = self.world.daemon.engine.view
        if view is None or len(view.services) < 4:
            return False
        return all(
            cell.record is not None
            and cell.record.admitted is not None
            and proof_of(cell, cell.record.admitted) is not None
            for planned in view.services.values()
            for cell in planned.facts.cells
        )

    def _tell(self) -> None:
        news, self._told = self.world.events[self._told :], len(self.world.events)
        for event in news:
            if event.service == SERVICE and event.kind in _SAID:
                where = str(event.cluster or event.environment)
                version = event.revision.release.version if event.revision else ""
                why = event.message if event.kind in _EXPLAINED else ""
                line = (
                    f"  {event.at:%H:%M:%S}  {where:<10} {event.kind.value:<12} {version:<7} {why}"
                )
                self.say(line.rstrip())


_EXPLAINED = frozenset(
    {EventKind.FAILED, EventKind.REJECTED, EventKind.ROLLED_BACK}
    | {EventKind.REVERT_PUSHED, EventKind.REVERT_REFUSED}
)
"""Of the others the name says all."""

_SAID = frozenset(
    {*_TIMELINE, EventKind.REJECTED, EventKind.REVERT_PUSHED, EventKind.REVERT_REFUSED}
)


def _good_release(show: _Show) -> list[Document]:
    show.start()
    show.merge(GOOD, Fate.READY, "good")
    show.wait(f"{GOOD} is proven in every environment", lambda: show.proven(GOOD, "prod"))
    return [
        _check("ProvenEverywhere", ok=all(show.proven(GOOD, e) for e in CLUSTERS)),
        _check("NothingReverted", ok=not show.events(EventKind.REVERT_PUSHED)),
        _check("InOrder", ok=_in_order(show, GOOD)),
    ]


def _bad_release(show: _Show) -> list[Document]:
    checks = _good_release(show)
    show.merge(BAD, Fate.CRASH, "bad")
    show.wait("its clusters are back", lambda: bool(show.events(EventKind.ROLLED_BACK)))
    show.wait("the revert is on the remote", lambda: bool(show.events(EventKind.REVERT_PUSHED)))
    show.wait("dev keeps what is healthy there", lambda: show.proven(BAD, "dev"))
    good, bad = digest_for(Fate.READY, GOOD), digest_for(Fate.CRASH, BAD)
    not_back = [c for c in CLUSTERS["staging"] if not show.world.runs(c, good)]
    prod_saw = [c for c in CLUSTERS["prod"] if show.world.saw(c, bad)]
    reverts = [c for c in show.world.log() if "Reconciler-Action: revert" in c["body"]]
    settled = [c for c in checks if c["name"] != "NothingReverted"]
    return [
        *settled,
        _check("ProdNeverSawBadRelease", ok=not prod_saw, message=", ".join(prod_saw)),
        _check("StagingIsBack", ok=not not_back, message=", ".join(not_back)),
        _check("DevKeepsIt", ok=show.proven(BAD, "dev")),
        _check("ExactlyOneRevert", ok=len(reverts) == 1, message=f"{len(reverts)} found"),
    ]


def _cluster_down(show: _Show) -> list[Document]:
    show.start()
    show.say("prod-2 refuses every connection")
    show.world.faults["prod-2"].is_down = True
    show.merge(GOOD, Fate.READY, "good")
    digest = digest_for(Fate.READY, GOOD)
    show.wait("prod-1 and prod-3 have it", lambda: show.world.saw("prod-3", digest))
    # Long enough to be proven, if it could be without prod-2.
    proven = show.comes(lambda: show.proven(GOOD, "prod"), 3 * SOAK_S)
    show.say("prod-2 answers again")
    show.world.faults["prod-2"].is_down = False
    show.wait("it is proven in every environment", lambda: show.proven(GOOD, "prod"))
    return [
        _check("OthersGoOn", ok=show.world.saw("prod-1", digest)),
        _check("HeldWithoutIt", ok=not proven),
        _check("NothingReverted", ok=not show.events(EventKind.REVERT_PUSHED)),
        _check("CaughtUp", ok=show.world.saw("prod-2", digest)),
    ]


SCRIPTS: dict[str, Callable[[_Show], list[Document]]] = {
    "good-release": _good_release,
    "bad-release": _bad_release,
    "cluster-down": _cluster_down,
}


def _in_order(show: _Show, version: str) -> bool:
    """Whether each environment was given a version only after it was proven in the one before."""
    applied = _first(show.events(EventKind.APPLIED), version)
    proven = _first(show.events(EventKind.PROVEN), version)
    order = list(CLUSTERS)
    return all(
        before in proven and after in applied and proven[before] <= applied[after]
        for before, after in itertools.pairwise(order)
    )


def _first(events: list[Event], version: str) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for event in events:
        if event.revision is not None and event.revision.release.version == version:
            found.setdefault(str(event.environment), event.at)
    return found


def _check(name: str, *, ok: bool, message: str = "") -> Document:
    return {"name": name, "ok": ok, "message": "" if ok else message}


def _report(
    world: DemoWorld,
    show: _Show,
    script: str,
    started: datetime,
    checks: list[Document],
    error: ReconcilerError | None,
) -> Document:
    return {
        **blank("demo"),
        "script": script,
        "ok": error is None and all(check["ok"] for check in checks),
        "started_at": rfc3339(started),
        "finished_at": rfc3339(SystemClock().now()),
        "repo": world.repo_url,
        "commits": [_commit(world, row) for row in world.log()],
        "incident": _incident(show),
        "timeline": [
            {
                "at": rfc3339(event.at),
                "cluster": event.cluster,
                "environment": event.environment,
                "service": event.service,
                "event": _TIMELINE[event.kind],
                "revision": revision_document(event.revision),
            }
            for event in sorted(world.events, key=lambda e: e.at)
            if event.kind in _TIMELINE
        ],
        "final": _final(world),
        "checks": sorted(checks, key=lambda check: str(check["name"])),
        "errors": [error_document(error)] if error is not None else [],
    }


def _commit(world: DemoWorld, row: dict[str, str]) -> Document:
    trailers = dict(
        line.split(": ", 1) for line in row["body"].splitlines() if line.startswith("Reconciler-")
    )
    kind = world.kinds.get(row["commit"]) or ("revert" if trailers else "good")
    return {
        "commit": row["commit"],
        "kind": kind,
        "at": rfc3339(from_rfc3339(row["at"])),
        "author": row["author"],
        "subject": row["subject"],
        "trailers": trailers,
    }


def _incident(show: _Show) -> Document | None:
    rejected = show.events(EventKind.REJECTED)
    pushed = show.events(EventKind.REVERT_PUSHED)
    if not rejected:
        return None
    cell = show.cell(str(rejected[0].environment))
    rejection = cell.record.rejections[0]
    back = rejection.rolled_back_at
    pushed_at = pushed[0].at if pushed else None
    reverted = sorted(rejection.environments)
    first = rejection.first_failure_at
    return {
        "service": SERVICE,
        "environment": rejection.environments[0],
        "bad": revision_document(rejection.revision),
        "restored": revision_document(rejection.restore_to),
        "first_failure_at": rfc3339(first),
        "rolled_back_at": rfc3339(back) if back else None,
        "revert_pushed_at": rfc3339(pushed_at) if pushed_at else None,
        "failure_to_rollback_s": round((back - first).total_seconds(), 3) if back else None,
        "failure_to_revert_s": round((pushed_at - first).total_seconds(), 3) if pushed_at else None,
        "revert_commit": dict(pushed[0].detail).get("commit") if pushed else None,
        "reverted_environments": reverted,
        "kept_environments": sorted(e for e in CLUSTERS if e not in reverted),
    }


def _final(world: DemoWorld) -> list[Document]:
    view = world.daemon.engine.view
    found = [
        {
            "cluster": member.cluster,
            "service": name,
            "revision": revision_document(member.record.revision if member.record else None),
            "health": member.health.status.value if member.known else "Unknown",
        }
        for name, planned in (view.services.items() if view else ())
        for cell in planned.facts.cells
        for member in cell.members
    ]
    return sorted(found, key=lambda row: (str(row["cluster"]), str(row["service"])))


def _text(report: Document) -> str:
    lines = []
    for check in report["checks"]:
        told = f": {check['message']}" if check["message"] else ""
        lines.append(f"{'ok ' if check['ok'] else 'NOT'} {check['name']}{told}")
    incident = report["incident"]
    if incident:
        lines.append(
            f"{incident['bad']['version']} failed in {incident['environment']}: clusters back after "
            f"{incident['failure_to_rollback_s']} s, reverted in Git after "
            f"{incident['failure_to_revert_s']} s, commit {incident['revert_commit']}"
        )
    return "\n".join(lines)
