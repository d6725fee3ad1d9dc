"""Random facts about one service: whatever may be seen of it, likely or not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from reconciler.core.delivering import deliveries
from reconciler.core.judging import APPLY_REFUSED
from reconciler.core.view import CellView
from reconciler.model.facts import (
    Ask,
    Cell,
    FleetSummary,
    LiveState,
    Member,
    MemberHealth,
    Ordered,
)
from reconciler.model.health import HealthStatus
from reconciler.model.names import EnvironmentName, RenderDigest, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import (
    ApplyState,
    Origin,
    PromotionRecord,
    Proof,
    Rejection,
    RevertProgress,
)
from reconciler.model.release import Part, Revision, Values
from tests.fakes.facts import (
    BEFORE,
    BLOWN_UNTIL,
    CLUSTERS,
    CRASHING,
    CURRENT,
    NOW,
    STARTING,
    STUCK,
    SUSPENDED,
    WEB,
    carried_out,
    comes_back,
    entry,
    in_line,
    policy,
    proof,
    rejection,
    rollout,
)
from tests.fakes.records import COMMIT, revision

PATH = tuple(CLUSTERS)
REVISIONS = tuple(
    revision(f"{image}.0.0", tree=tree * 40, values=Values.of({"replicas": replicas}))
    for image in (1, 2, 3)
    for tree in "ab"
    for replicas in (1, 2)
)
ANEW = tuple(
    revision(of.release.version, tree=tree * 40, values=of.values, renderer="assembly/2")
    for of, tree in zip(REVISIONS, "aabb" * 3, strict=True)
)
"""The same, by another renderer."""
OTHER = ServiceName("api")
UNREAD = MemberHealth(HealthStatus.UNKNOWN, "Unread", "it could not be read")

revisions = st.sampled_from((*REVISIONS, *ANEW[:4]))
renders = st.sampled_from([None, RenderDigest("sha256:a"), RenderDigest("sha256:b")])
healths = st.sampled_from([CURRENT, CURRENT, CURRENT, STARTING, CRASHING, STUCK, UNREAD])
flags = st.sampled_from([True, True, True, False])
"""Mostly true, so that what is rare does not hide all else."""


@st.composite
def proofs(draw: st.DrawFn, environment: EnvironmentName) -> tuple[Proof, ...]:
    """Draws proofs, some of them adopted, watched, or opening nothing."""
    found = draw(st.lists(revisions, max_size=4, unique_by=lambda r: r.id))
    return tuple(
        proof(
            revision,
            environment,
            origin=draw(st.sampled_from(Origin)),
            opens_gates=draw(flags),
            watch_until=draw(st.sampled_from([None, BEFORE, NOW + timedelta(minutes=1)])),
            renders=draw(renders),
        )
        for revision in found
    )


@st.composite
def rejections(draw: st.DrawFn, at: int) -> Rejection:
    """Draws a rejection made here or in an environment before."""
    bad, part = draw(revisions), draw(st.sampled_from(Part))
    first = draw(st.integers(0, at))
    return rejection(
        bad,
        PATH[at],
        part=part,
        part_digest=bad.part(part),
        environments=PATH[first:] if part is not Part.VALUES else PATH[first : first + 1],
        restore_to=draw(st.none() | revisions),
        rolled_back_at=draw(st.sampled_from([None, BEFORE])),
        rejected_at=BEFORE + timedelta(seconds=draw(st.integers(0, 9))),
        revert=draw(st.sampled_from([RevertProgress(), RevertProgress(COMMIT)])),
    )


@st.composite
def records(draw: st.DrawFn, at: int) -> PromotionRecord | None:
    """Draws a promotion record; where something is admitted it is mostly proven."""
    if not draw(flags):
        return None
    environment = PATH[at]
    admitted = draw(st.none() | revisions | revisions)
    proven = draw(proofs(environment))
    rolling = None
    if admitted is not None:
        if draw(st.booleans()):
            rolling = rollout(admitted, environment, restore_to=draw(st.none() | revisions))
        elif draw(flags) and all(p.revision.id != admitted.id for p in proven):
            proven = (proof(admitted, environment), *proven)
    return PromotionRecord(
        WEB,
        environment,
        admitted,
        rolling,
        proven,
        tuple(draw(st.lists(rejections(at), max_size=2))),
    )


@st.composite
def asks(draw: st.DrawFn, at: int, known: PromotionRecord | None) -> Ask:
    """Draws what HEAD asks for, perhaps nothing, perhaps with a quarantine that cannot be read."""
    wanted = draw(st.none() | revisions | revisions | revisions)
    made = known.rejections if known else ()
    entries = [entry(r) for r in draw(st.lists(rejections(at), max_size=1))]
    lifted = tuple(entry(r, lifted="why") for r in made if draw(st.booleans()))
    drawn = Ask(
        wanted=wanted,
        commit=COMMIT,
        policy=policy(PATH[at]) if wanted or draw(st.booleans()) else None,
        paused=not draw(flags),
        adopt_overwrite=not draw(flags),
        immediate=draw(st.none() | revisions) if wanted else None,
        renders=draw(renders) if wanted else None,
        quarantine=draw(st.sampled_from([(), (), tuple(entries), None])),
        lifted=lifted,
        reason=None if wanted else draw(st.sampled_from([Reason.ORPHANED, Reason.INVALID_PIN])),
        message="" if wanted else "nothing is asked for",
    )
    return comes_back(drawn, known)


orders = st.builds(
    Ordered,
    revisions,
    waiting_s=st.sampled_from([0.0, 10_000.0]),
    why=st.sampled_from(["", "HTTP 403"]),
    retry_in_s=st.sampled_from([0.0, 30.0]),
)


@st.composite
def members(draw: st.DrawFn, of: Cell, cluster: Any) -> Member:
    """Draws a cluster; where it was asked for something, mostly as it was planned to be."""
    given = Member(cluster, reachable=True, synced=True, record=None)
    runs = draw(st.none() | st.sampled_from(_likely(of)) | revisions)
    if runs is not None:
        facts = in_line(WEB, (of,))
        (order,) = deliveries(CellView(facts, 0, FleetSummary(), NOW), runs, (given,))
        asked = carried_out(order)
        given = replace(given, record=draw(st.sampled_from([asked, asked, *_odd(asked)])))
    return replace(
        given,
        reachable=draw(flags),
        synced=draw(flags),
        health=draw(healths),
        healthy_s=draw(st.sampled_from([0.0, 100_000.0])),
        waiting_s=draw(st.sampled_from([0.0, 10_000.0])),
        live=draw(st.sampled_from(LiveState)),
        live_for_s=draw(st.sampled_from([9.0, 9.0, 0.0])),
        order=draw(st.none() | st.none() | orders),
        suspended=None if draw(flags) else SUSPENDED,
    )


def _likely(of: Cell) -> list[Revision]:
    known = of.record
    found = [known.admitted, *(r.restore_to for r in known.rejections)] if known else []
    return [r for r in found if r is not None] or list(REVISIONS)


def _odd(asked: Any) -> tuple[Any, ...]:
    return (
        replace(asked, observed_generation=0),
        replace(asked, state=ApplyState.FAILED, applied=None, reason=APPLY_REFUSED),
        replace(asked, state=ApplyState.FAILED, applied=None, reason="FieldConflict"),
        replace(asked, state=ApplyState.APPLYING, applied=None),
        replace(asked, rejection=rejection(asked.revision, rolled_back_at=None)),
    )


@st.composite
def cells(draw: st.DrawFn, at: int) -> Cell:
    """Draws one environment."""
    known = draw(records(at))
    bare = Cell(PATH[at], draw(asks(at, known)), known, record_known=True, members=())
    bare = replace(bare, record_saved=draw(flags))
    return replace(
        bare,
        members=tuple(draw(members(bare, name)) for name in CLUSTERS[PATH[at]]),
        record_known=draw(flags),
        depends=draw(st.sampled_from([(), ((OTHER, True),), ((OTHER, False),), ((OTHER, None),)])),
    )


services = st.builds(lambda *cells: in_line(WEB, cells), *(cells(at) for at in range(len(PATH))))

fleets = st.builds(
    FleetSummary,
    fuses_blown=st.sampled_from([{}, {}, {WEB: BLOWN_UNTIL}]),
    fleet_fuse_blown=st.sampled_from([None, None, BLOWN_UNTIL]),
    platform_incident=st.sampled_from([frozenset(), frozenset(), frozenset({WEB, OTHER})]),
    halted=st.sampled_from(["", "", "", "another daemon leads"]),
)
