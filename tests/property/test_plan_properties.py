"""What no plan does, whatever is seen."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given, settings

from reconciler.core import rejections
from reconciler.core.gates import proof_of
from reconciler.core.phase import Phase, phase_of
from reconciler.core.plan import plan_service
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
)
from reconciler.model.facts import Cell, FleetSummary, Member, ServiceFacts
from reconciler.model.health import Cause, HealthStatus
from reconciler.model.release import Revision
from tests.fakes.facts import NOW, WEB, in_line
from tests.property.worlds import fleets, services


def planned(facts: ServiceFacts, fleet: FleetSummary) -> Iterator[tuple[CellView, Action]]:
    """Yields each action with the view of its cell."""
    where = {cell.environment: index for index, cell in enumerate(facts.cells)}
    for action in plan_service(facts, fleet, NOW):
        yield CellView(facts, where[action.environment], fleet, NOW), action


def is_proven_before(view: CellView, revision: Revision) -> bool:
    """Tells whether every environment before is known to have proven a revision's identity."""
    return all(
        cell.record_known
        and cell.record is not None
        and any(
            p.opens_gates and p.revision.identity == revision.identity for p in cell.record.proofs
        )
        for cell in view.earlier
    )


def is_new(cell: Cell, order: Deliver) -> bool:
    """Tells whether an order brings a cluster something that it was not asked for before."""
    member = cell.member(order.cluster)
    assert member is not None
    return member.record is None or member.record.revision.id != order.revision.id


@settings(max_examples=50)
@given(services, fleets)
def test_nothing_moves_forward_before_it_is_proven_in_every_environment_before(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    for view, action in planned(facts, fleet):
        is_forward = isinstance(action, Admit) or (
            isinstance(action, Deliver) and is_new(view.cell, action)
        )
        if is_forward and proof_of(view.cell, action.revision) is None:  # type: ignore[union-attr]
            restored = view.cell.record.rejections if view.cell.record else ()
            rolling = view.cell.record.rollout if view.cell.record else None
            back = [r.restore_to for r in restored] + [rolling.restore_to if rolling else None]
            revision: Revision = action.revision  # type: ignore[union-attr]
            assert is_proven_before(view, revision) or revision in back


@settings(max_examples=50)
@given(services, fleets)
def test_without_a_roll_out_only_what_is_proven_here_or_renders_to_it_is_admitted(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    for view, action in planned(facts, fleet):
        if isinstance(action, Admit) and action.rollout is None:
            carried = action.carried
            if carried is None:
                assert proof_of(view.cell, action.revision) is not None
                continue
            assert carried.revision == action.revision == view.cell.ask.wanted
            assert carried.renders is not None
            assert carried.renders == view.cell.ask.renders
            assert view.cell.record is not None
            assert carried.renders in {p.renders for p in view.cell.record.proofs}


@settings(max_examples=50)
@given(services, fleets)
def test_nothing_moves_forward_while_all_is_halted_or_the_pin_is_paused(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    for view, action in planned(facts, fleet):
        if isinstance(action, Admit):
            assert not fleet.halted
            assert action.rollout is None or not view.cell.ask.paused
        if isinstance(action, Adopt | Examine | CommitRevert):
            assert not fleet.halted


@settings(max_examples=50)
@given(services, fleets)
def test_a_rejected_part_comes_back_only_when_a_person_lifts_it(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    for view, action in planned(facts, fleet):
        if isinstance(action, Admit):
            assert rejections.against(view, action.revision) is None
            entries = view.cell.ask.quarantine
            assert entries is not None
            assert not any(rejections.repeats(action.revision, entry) for entry in entries)


@settings(max_examples=50)
@given(services, fleets)
def test_an_order_goes_only_where_it_is_known_to_be_right(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    for view, action in planned(facts, fleet):
        if isinstance(action, Deliver):
            member = view.cell.member(action.cluster)
            assert member is not None
            assert member.known
            assert not member.suspended


@settings(max_examples=50)
@given(services, fleets)
def test_what_is_not_known_of_a_cluster_rejects_and_proves_nothing(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    for view, action in planned(facts, fleet):
        if isinstance(action, Reject) and action.reason not in ("RejectedBefore", "BroughtHome"):
            assert any(is_bad(m, action.rejection.revision) for m in view.cell.members)
        if isinstance(action, Prove):
            members = [view.cell.member(name) for name in action.proof.members]
            assert members
            assert all(m is not None and is_well(m, action.proof.revision) for m in members)
        if isinstance(action, FinishRollBack):
            asked = [m for m in view.cell.members if m.reachable and not m.suspended]
            target = action.rejection.restore_to
            assert target is not None
            assert asked
            assert all(is_well(m, target) for m in asked)


def is_bad(member: Member, revision: Revision) -> bool:
    """Tells whether a cluster that is known fails on a revision by the revision's own fault."""
    record = member.record
    if not member.known or record is None or record.revision != revision:
        return False
    is_refused = record.reason == "ApplyRefused" and record.is_observed
    return is_refused or (member.is_on(revision.id) and member.health.cause is Cause.RELEASE)


def is_well(member: Member, revision: Revision) -> bool:
    """Tells whether a cluster is seen to run a revision, current."""
    return member.is_on(revision.id) and member.health.status is HealthStatus.CURRENT


@settings(max_examples=50)
@given(services, fleets)
def test_in_a_platform_incident_only_what_names_its_release_is_rejected(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    if WEB in fleet.platform_incident:
        for _, action in planned(facts, fleet):
            if isinstance(action, Reject):
                is_copied = action.reason in ("RejectedBefore", "BroughtHome")
                assert is_copied or action.rejection.names_release


@settings(max_examples=50)
@given(services, fleets)
def test_without_its_record_an_environment_is_only_held(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    for view, action in planned(facts, fleet):
        if not view.cell.record_known:
            assert isinstance(action, Hold)


@settings(max_examples=50)
@given(services, fleets)
def test_git_is_written_to_only_when_the_clusters_are_back(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    for view, action in planned(facts, fleet):
        if isinstance(action, CommitRevert):
            target = action.rejection.restore_to
            assert action.rejection.environments[0] == view.environment
            if target is not None and action.rejection.rolled_back_at is None:
                asked = [m for m in view.cell.members if m.reachable and not m.suspended]
                assert asked
                assert all(m.is_on(target.id) for m in asked)


@settings(max_examples=50)
@given(services, fleets)
def test_no_environment_is_silent_and_every_hold_says_why(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    actions = plan_service(facts, fleet, NOW)
    for cell in facts.cells:
        assert any(action.environment == cell.environment for action in actions)
    for action in actions:
        assert action.message
        assert action.reason


@settings(max_examples=100)
@given(services, fleets)
def test_what_is_told_as_proven_is_what_every_cluster_that_answers_has(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    actions = plan_service(facts, fleet, NOW)
    for cell in facts.cells:
        own = tuple(a for a in actions if a.environment == cell.environment)
        if phase_of(cell, own) is Phase.PROVEN:
            assert cell.record is not None and cell.record.admitted is not None
            given = {m.record.applied for m in cell.members if m.record and m.reachable}
            assert given <= {cell.record.admitted.id}
            assert all(m.record is not None for m in cell.members if m.known)


@settings(max_examples=50)
@given(services, fleets)
def test_what_is_decided_at_once_does_not_contradict_itself(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    for cell in facts.cells:
        own = [a for a in plan_service(facts, fleet, NOW) if a.environment == cell.environment]
        changes = [a for a in own if isinstance(a, Admit | Adopt | Prove | Reject | FinishRollBack)]
        assert len(changes) <= 1
        clusters = [a.cluster for a in own if isinstance(a, Deliver)]
        assert len(clusters) == len(set(clusters))


@settings(max_examples=50)
@given(services, fleets)
def test_the_same_facts_give_the_same_plan(facts: ServiceFacts, fleet: FleetSummary) -> None:
    assert plan_service(facts, fleet, NOW) == plan_service(facts, fleet, NOW)


@settings(max_examples=50)
@given(services, fleets)
def test_an_environment_is_planned_without_regard_to_those_after_it(
    facts: ServiceFacts, fleet: FleetSummary
) -> None:
    whole = plan_service(facts, fleet, NOW)
    first = facts.cells[:1]
    alone = plan_service(in_line(facts.service, first), fleet, NOW)
    kinds = [type(a) for a in whole if a.environment == first[0].environment]
    assert kinds == [type(a) for a in alone]
