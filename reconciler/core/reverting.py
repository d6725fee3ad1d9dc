"""What the commit for a rejection must change, judged against a fresh HEAD, and what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.core.rejections import repeats, way_back
from reconciler.model.env_repo import QuarantineEntry
from reconciler.model.facts import Cell
from reconciler.model.health import Evidence
from reconciler.model.names import EnvironmentName, ServiceName
from reconciler.model.records import EVIDENCE_MAX, Rejection
from reconciler.model.release import Part, Revision
from reconciler.model.times import rfc3339

"""A tired person reads the first; the rest say the same of other Pods."""


SOURCE_WRITTEN_OUT = "`source` out; delete that line to let a pin float again."
"""What a commit says that pins what ran before; it floated, and would float to what is left behind."""


@dataclass(frozen=True, slots=True)
class PinEdit:
    """One pin that goes from a bad revision to one that is proven there."""

    environment: EnvironmentName
    bad: Revision
    restore_to: Revision


@dataclass(frozen=True, slots=True)
class RevertPlan:
    """The content of one commit.

    Attributes:
        edits: In order of the path; empty when HEAD has moved on and nothing holds the bad part.
        entry: What is appended to quarantine/<svc>.yaml.
        mates: The pins of services that were let in together with it, each with its service.
    """

    edits: tuple[PinEdit, ...]
    entry: QuarantineEntry
    mates: tuple[tuple[ServiceName, PinEdit], ...] = ()

    def pins(self) -> Iterator[tuple[ServiceName, PinEdit]]:
        """Yields every pin that is edited, with its service."""
        yield from ((self.entry.service, edit) for edit in self.edits)
        yield from self.mates


def plan_revert(service: ServiceName, rejection: Rejection, cells: Iterable[Cell]) -> RevertPlan:
    """Plans the commit for a rejection on top of the HEAD that the cells were read from.

    A pin is edited only while what it resolves to there still contains the rejected part, and only
    where something is proven to go back to; the quarantine entry is written in any case.
    """
    edits = []
    for cell in cells:
        wanted = cell.ask.wanted
        if cell.environment not in rejection.environments or wanted is None:
            continue
        if not repeats(wanted, rejection) or rejection.part is Part.RENDERER:
            # No pin can choose what it is rendered by.
            continue
        target = way_back(cell, wanted, rejection)
        if cell.environment == rejection.environments[0]:
            target = rejection.restore_to
        if target is not None:
            edits.append(PinEdit(cell.environment, wanted, target))
    return RevertPlan(tuple(edits), _entry(service, rejection))


def with_mates(
    plan: RevertPlan, rejection: Rejection, mates: Mapping[ServiceName, tuple[Cell, ...]]
) -> RevertPlan:
    """Adds the pins of whatever was let in together with what is rejected, and is not proven yet.

    Nothing of these is rejected: it may be pinned again with what mends the other.

    Args:
        plan: For what is rejected.
        rejection: Of that.
        mates: The other services of its group, with their cells.
    """
    own = plan.entry.service
    found = ((mate, e) for mate, cells in mates.items() for e in _of_a_mate(own, rejection, cells))
    return replace(plan, mates=tuple(found))


def _of_a_mate(
    rejected: ServiceName, rejection: Rejection, cells: tuple[Cell, ...]
) -> Iterator[PinEdit]:
    failed_in = rejection.environments[0]
    here = next((cell for cell in cells if cell.environment == failed_in), None)
    rollout = here.record.rollout if here is not None and here.record is not None else None
    if rollout is None or rejected not in rollout.mates or rollout.irreversible:
        return
    if rejection.rejected_at < rollout.admitted_at:
        return
    for cell in cells:
        wanted = cell.ask.wanted
        if cell.environment not in rejection.environments or wanted is None:
            continue
        if wanted.identity != rollout.revision.identity or _is_proven(cell, wanted):
            continue
        target = rollout.restore_to if cell is here else way_back(cell, wanted)
        if target is not None:
            yield PinEdit(cell.environment, wanted, target)


def _is_proven(cell: Cell, revision: Revision) -> bool:
    proofs = cell.record.proofs if cell.record is not None else ()
    return any(proof.revision.id == revision.id for proof in proofs)


def branch_for(service: ServiceName, rejection: Rejection) -> str:
    """Returns one branch a failure, whoever makes it: the name is a hash of the failure alone."""
    text = f"{service} {rejection.revision.id} {rejection.rejected_at.isoformat()}"
    digits = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"reconciler/revert-{service}-{digits}"


def evidence_lines(rejection: Rejection) -> tuple[str, ...]:
    """Returns the evidence of a rejection, one structured line each.

    A cluster's own words are no part of it: they may quote what the release's files hold.
    """
    lines = tuple(_line(rejection, item) for item in rejection.evidence[:EVIDENCE_MAX])
    return lines or (_one_line(f"{rejection.reason} on {rejection.cluster}"),)


def commit_message(service: ServiceName, rejection: Rejection, plan: RevertPlan) -> str:
    """Returns the text of the commit, trailers last."""
    bad = rejection.revision
    version = _one_line(bad.release.version)
    failed_in = rejection.environments[0]
    where = ", ".join(edit.environment for edit in plan.edits)
    action = "revert" if plan.edits else "quarantine"
    if plan.edits:
        to = _one_line(plan.edits[0].restore_to.release.version)
        subject = f"Revert {service} to {to} in {where}"
        done = (
            f"The clusters of {failed_in} were put back first. This commit puts the pins back and writes\n"
            f"{SOURCE_WRITTEN_OUT}"
        )
    else:
        subject = f"Quarantine {service} {version}: {rejection.reason}"
        done = (
            "No pin is edited: none asks for it any more, or nothing proven is there to go back to."
        )
        if rejection.part is Part.RENDERER:
            done = (
                "No pin is edited: the release is as it was, and only rendered by another version."
            )
    lines = evidence_lines(rejection)
    body = (
        f"{service} {version} failed in {failed_in} at "
        f"{rfc3339(rejection.first_failure_at)}: {rejection.reason}.\n"
        + "".join(f"  {line}\n" for line in lines)
        + f"\n{done}\n{_told_of(plan)}Its {rejection.part} may not come back in {', '.join(rejection.environments)} "
        f"until a person lifts\nthe entry in quarantine/{service}.yaml with a reason.\n"
    )
    restored = plan.edits[0].restore_to if plan.edits else rejection.restore_to
    trailers = [
        ("Action", action),
        ("Service", service),
        (
            "Environments",
            ", ".join(rejection.environments if not plan.edits else where.split(", ")),
        ),
        ("From", bad.id),
        *([("To", restored.id)] if restored else []),
        ("Commit", rejection.commit),
        ("Reason", _one_line(rejection.reason)),
        *(("Evidence", line) for line in lines),
    ]
    return f"{subject}\n\n{body}\n" + "".join(f"Reconciler-{k}: {v}\n" for k, v in trailers)


def _told_of(plan: RevertPlan) -> str:
    """Returns what a commit says of services that are moved as one with the rejected one."""
    if not plan.mates:
        return ""
    where: dict[ServiceName, list[str]] = {}
    for mate, edit in plan.mates:
        where.setdefault(mate, []).append(edit.environment)
    each = "; ".join(f"{mate} in {', '.join(names)}" for mate, names in where.items())
    return f"Let in together with it, not proven yet, and taken back as one: {each}.\n"


def _entry(service: ServiceName, rejection: Rejection) -> QuarantineEntry:
    return QuarantineEntry(
        service=service,
        revision=rejection.revision.id,
        identity=rejection.revision.identity,
        version=rejection.revision.release.version,
        part=rejection.part,
        part_digest=rejection.part_digest,
        environments=rejection.environments,
        reason=rejection.reason,
        evidence=evidence_lines(rejection),
        commit=rejection.commit,
        rejected_at=rfc3339(rejection.rejected_at),
        lifted=None,
    )


def _line(rejection: Rejection, item: Evidence) -> str:
    facts = [f"{item.kind} {item.name} on {rejection.cluster}: {item.reason}"]
    if item.exit_code is not None:
        facts.append(f"exit code {item.exit_code}")
    if item.restarts is not None:
        facts.append(f"{item.restarts} restarts")
    return _one_line(", ".join(facts))


def _one_line(text: str) -> str:
    """A trailer is one line; a message from a cluster may not add trailers of its own."""
    return " ".join(text.split())[:300]
