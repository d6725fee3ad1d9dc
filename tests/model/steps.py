"""What may happen next in one environment: what its clusters do by themselves, and what is planned for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.core import moves, recording
from reconciler.core.plan import plan_cell
from reconciler.core.view import CellView
from reconciler.model.actions import (
    Action,
    Admit,
    Adopt,
    CommitRevert,
    Deliver,
    Examine,
    FinishRollBack,
    Hold,
    Prove,
    Reject,
    Withdraw,
)
from reconciler.model.facts import FleetSummary
from reconciler.model.names import EnvironmentName
from reconciler.model.records import ApplyState, PromotionRecord, Rejection, ServiceRecord
from reconciler.model.release import Revision
from tests.fakes.facts import NOW, WEB, carried_out
from tests.model import rules
from tests.model.values import (
    DOUBTFUL,
    OVER,
    WATCHED,
    Cluster,
    Fleet,
    Head,
    Place,
    Seen,
    cell,
    digest,
    facts,
    in_short,
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that may happen next.

    Attributes:
        told: In words, for the timeline.
        place: The environment after it.
        owed: The commit that the daemon's memory holds from then on.
        fails: Whether it is a failure of the doubtful release, which may as well not happen.
        first: Whether it may be taken before all else: it changes nothing that anything else looks at.
        broken: The promise that it breaks, in words; empty where none is.
    """

    told: str
    place: Place
    owed: Rejection | None = None
    fails: bool = False
    first: bool = False
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """What is planned for one environment: steps that change anything, and why it is held."""

    steps: tuple[Step, ...]
    actions: tuple[Action, ...]
    holds: tuple[Hold, ...]


def forgotten(place: Place) -> Place:
    """Returns it with only so much of a soak as decides: none for what waits for no proof, else not over or over.

    What soaks is told as current from the start: a plan that takes that for a soak is found out by it.
    """
    waits = _waits_for_proof(place.record)
    clusters = []
    for c in place.clusters:
        is_begun = c.runs is not None and c.runs == waits and c.does is Seen.STARTING
        is_over = c.runs != waits and c.does is Seen.SOAKED
        clusters.append(replace(c, does=Seen.CURRENT) if is_begun or is_over else c)
    return replace(place, clusters=tuple(clusters))


def _waits_for_proof(record: PromotionRecord | None) -> Revision | None:
    if record is None:
        return None
    if record.rollout is not None:
        return record.rollout.revision
    is_adopted = moves.state_of(record) is moves.CellState.ADOPTED
    return record.admitted if is_adopted else None


def by_itself(fleet: Fleet, at: int, place: Place) -> Iterator[Step]:
    """Yields what may happen in an environment without a decision."""
    for index, cluster in enumerate(place.clusters):
        name = fleet.clusters(at)[index]
        for told, then, fails in _of_cluster(place, cluster):
            after = _soaked(forgotten(place.order(index, then)))
            yield Step(f"{name} {told}", after, fails=fails)
    record = place.record
    proof = (
        next((p for p in record.proofs if p.revision == record.admitted), None) if record else None
    )
    if record is not None and proof is not None and proof.watch_until == WATCHED:
        proofs = tuple(replace(p, watch_until=OVER) for p in record.proofs)
        environment = fleet.environments()[at]
        yield Step(
            f"{environment}: the watch is over",
            replace(place, record=replace(record, proofs=proofs)),
        )


def _of_cluster(place: Place, cluster: Cluster) -> Iterator[tuple[str, Cluster, bool]]:
    if not cluster.read:
        yield "is read", replace(cluster, read=True), False
        return
    asked, order = cluster.asked, cluster.order
    if cluster.busy and asked is not None:
        is_done = order is not None and _spec(order) == _spec(asked)
        same = asked.applied == asked.revision.id
        then = replace(
            cluster,
            asked=_whole(asked),
            order=None if is_done else order,
            busy=False,
            does=cluster.does if same else Seen.STARTING,
        )
        yield f"has applied {asked.revision.release.version}", then, False
    elif order is not None:
        claimed = _claimed(order, asked)
        yield (
            f"is asked for {order.revision.release.version}",
            replace(cluster, asked=claimed, busy=True),
            False,
        )
    running = cluster.runs
    if running is None or asked is None or not asked.is_observed:
        return
    version = running.release.version
    if cluster.does is Seen.CURRENT and running == _waits_for_proof(place.record):
        yield f"has soaked {version}", replace(cluster, does=Seen.SOAKED), False
    elif cluster.does is Seen.STARTING:
        yield f"runs {version} well", replace(cluster, does=Seen.CURRENT), False
    if cluster.does is not Seen.FAILED and running == DOUBTFUL:
        yield f"fails with {version}", replace(cluster, does=Seen.FAILED), True


def _soaked(place: Place) -> Place:
    waits = _waits_for_proof(place.record)
    if waits is None or not all(c.is_on(waits) and c.does is Seen.SOAKED for c in place.clusters):
        return place
    return replace(place, soaked=place.soaked | {waits})


def _ordered(cluster: Cluster, order: ServiceRecord) -> Cluster:
    """Returns a cluster after an order; one that changes its record alone writes no object, and is done at once."""
    asked = cluster.asked
    waits = cluster.busy or cluster.order is not None
    if asked is not None and not waits and cluster.is_on(order.revision):
        return replace(cluster, asked=_whole(order), order=None)
    return replace(cluster, order=order)


def _spec(record: ServiceRecord) -> tuple[object, ...]:
    return (record.revision, record.returning, record.proven, record.drift, record.keep)


def _claimed(order: ServiceRecord, was: ServiceRecord | None) -> ServiceRecord:
    """Returns the record that asks for an order, and whose status is still the former one's."""
    if was is not None and _spec(was) == _spec(order):
        return was
    return replace(
        order,
        state=was.state if was is not None else ApplyState.PENDING,
        applied=was.applied if was is not None else None,
        render_digest=was.render_digest if was is not None else None,
        observed_generation=0,
    )


def _whole(asked: ServiceRecord) -> ServiceRecord:
    return replace(
        asked,
        state=ApplyState.APPLIED,
        applied=asked.revision.id,
        render_digest=digest(asked.revision),
        observed_generation=asked.generation,
    )


FAILING = Cluster(
    ServiceRecord(WEB, EnvironmentName("any"), DOUBTFUL, "web", applied=DOUBTFUL.id),
    does=Seen.FAILED,
)


def from_afar(place: Place) -> Place:
    """Returns only so much of an environment as those after it look at: its record, and whether it fails there.

    And what the search itself has seen of it.
    """
    fails = any(c.read and c.runs == DOUBTFUL and c.does is Seen.FAILED for c in place.clusters)
    rest = (Cluster(),) * (len(place.clusters) - 1)
    return replace(place, clusters=(FAILING if fails else Cluster(), *rest))


def planned(fleet: Fleet, at: int, place: Place, head: Head, afar: tuple[Place, ...]) -> Planned:
    """Asks what to do in one environment, and returns each answer as a step that may be the next.

    Args:
        fleet: Which environments there are.
        at: Which of them.
        place: How it is there.
        head: HEAD as the daemon read it last.
        afar: The environments before it, as seen from it.
    """
    cells = tuple(cell(fleet, j, p, head) for j, p in enumerate((*afar, place)))
    actions = plan_cell(CellView(facts(fleet, cells), at, FleetSummary(), NOW))
    steps = []
    for action in actions:
        if isinstance(action, Hold | Examine):
            continue
        step = _step(fleet, at, place, afar, action)
        if step.broken or step.owed or step.place != place:
            steps.append(step)
    holds = tuple(action for action in actions if isinstance(action, Hold))
    return Planned(tuple(steps), untimed(actions), holds)


def untimed(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Returns actions without the times that are only told, and rest on more than is looked at from afar."""
    return tuple(
        replace(a, due_in_s=None, gates=tuple(replace(g, due_in_s=None) for g in a.gates))
        if isinstance(a, Hold)
        else a
        for a in actions
    )


def _step(fleet: Fleet, at: int, place: Place, afar: tuple[Place, ...], action: Action) -> Step:
    environment = fleet.environments()[at]
    match action:
        case Deliver():
            index = fleet.clusters(at).index(action.cluster)
            was = place.clusters[index]
            told = f"{action.cluster} is ordered {action.revision.release.version}"
            then = place.order(index, _ordered(was, carried_out(action)))
            is_first = then.clusters[index].order is None
            return Step(told, then, first=is_first, broken=rules.of_order(place, afar, was, action))
        case Withdraw():
            index = fleet.clusters(at).index(action.cluster)
            then = place.order(index, replace(place.clusters[index], order=None))
            return Step(f"{action.cluster}: its order is withdrawn", then)
        case CommitRevert():
            broken = rules.of_commit(place, action.rejection)
            return Step(f"{environment}: a commit is owed", place, action.rejection, broken=broken)
        case Adopt() | Admit() | Prove() | Reject() | FinishRollBack():
            return _recorded(environment, place, afar, action)
        case _:
            raise AssertionError(f"not a step: {action}")


def _recorded(
    environment: EnvironmentName, place: Place, afar: tuple[Place, ...], action: moves.RecordAction
) -> Step:
    broken = rules.of_record(place, afar, action)
    if isinstance(action, Reject) and action.rejection.environments[0] == environment:
        # Each of one revision has a time of its own, which is what tells one from another.
        made = len(place.record.rejections if place.record else ())
        at = NOW + timedelta(seconds=1 + made)
        action = replace(action, rejection=replace(action.rejection, rejected_at=at))
    told = f"{environment}: {moves.move_of(place.record, action)} {_version(action)}"
    try:
        record = in_short(recording.recorded(place.record, action))
    except AssertionError as refused:
        return Step(told, place, broken=str(refused))
    then = replace(place, record=record)
    match action:
        case Adopt() | Prove():
            then = replace(then, proved=then.proved | {action.proof.revision})
        case Reject():
            bad = {action.rejection.revision}
            then = replace(then, rejected=then.rejected | bad, ever=then.ever | bad)
        case _:
            pass
    return Step(told, forgotten(then), broken=broken)


def _version(action: moves.RecordAction) -> str:
    match action:
        case Adopt() | Prove():
            return action.proof.revision.release.version
        case Admit():
            return action.revision.release.version
        case Reject() | FinishRollBack():
            return action.rejection.revision.release.version
