"""Each gate of an admission: when it is open, closed, or not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core import gates
from reconciler.model.actions import GateState
from reconciler.model.facts import Cell, FleetSummary, MemberHealth
from reconciler.model.health import HealthStatus
from reconciler.model.names import RenderDigest, ServiceName
from reconciler.model.reasons import Reason
from reconciler.model.records import Origin, in_short
from reconciler.model.release import Part
from tests.fakes.facts import (
    AWAY,
    BLOWN_UNTIL,
    CRASHING,
    DEV,
    NOW,
    PROD,
    STAGING,
    UNREAD,
    V1,
    V2,
    V3,
    WEB,
    ask,
    cell,
    entry,
    proof,
    record,
    rejection,
    rollout,
    states,
    view,
)
from tests.fakes.records import revision

DEV_HAS_2 = cell(DEV, record(DEV, V2))
WANTS_2 = cell(STAGING, record(STAGING), ask(V2, STAGING))


def staging(**changes: Any) -> Cell:
    """Returns staging on version 1 that wants version 2."""
    return cell(STAGING, record(STAGING), ask(V2, STAGING, **changes))


@pytest.mark.parametrize(
    ("cells", "fleet", "shut"),
    [
        pytest.param((DEV_HAS_2, WANTS_2), {}, {}, id="all is well"),
        pytest.param(
            (DEV_HAS_2, WANTS_2),
            {"halted": "the history was rewritten", "halted_reason": Reason.HISTORY_REWRITTEN},
            {"NotHalted": "closed HistoryRewritten"},
            id="nothing may move forward anywhere",
        ),
        pytest.param(
            (DEV_HAS_2, WANTS_2),
            {"halted": "another daemon leads"},
            {"NotHalted": "closed NotLeading"},
            id="a halt without a reason is that of one who does not lead",
        ),
        pytest.param(
            (DEV_HAS_2, staging(paused=True)),
            {},
            {"NotPaused": "closed Paused"},
            id="the pin is paused",
        ),
        pytest.param(
            (cell(DEV, record(DEV)), WANTS_2),
            {},
            {"ProvenBefore": "closed WaitingForProof"},
            id="an earlier environment is settled on something else",
        ),
        pytest.param(
            (cell(DEV, record(DEV, V2, rollout=rollout(V2))), WANTS_2),
            {},
            {"ProvenBefore": "closed WaitingForProof"},
            id="an earlier environment runs it and has not proven it",
        ),
        pytest.param(
            (
                cell(
                    DEV,
                    record(DEV, V2, proofs=(proof(V2, origin=Origin.ADOPTED, opens_gates=False),)),
                ),
                WANTS_2,
            ),
            {},
            {"ProvenBefore": "closed WaitingForProof"},
            id="an adopted revision that was not observed for a soak opens nothing",
        ),
        pytest.param(
            (cell(DEV, record(DEV, revision("2.0.0", tree="d" * 40))), WANTS_2),
            {},
            {"ProvenBefore": "closed WaitingForProof"},
            id="the same images with another tree are another identity",
        ),
        pytest.param(
            (cell(DEV, None), WANTS_2),
            {},
            {"ProvenBefore": "closed WaitingForProof"},
            id="an earlier environment has no record",
        ),
        pytest.param(
            (replace(DEV_HAS_2, record_known=False), WANTS_2),
            {},
            {"ProvenBefore": "unknown HomeUnreachable"},
            id="what is proven before cannot be read",
        ),
        pytest.param(
            (
                cell(DEV, record(DEV, V3, proofs=(proof(V3),), passed=(in_short(V2.identity),))),
                WANTS_2,
            ),
            {},
            {},
            id="it was proven before so long ago that only its name is known",
        ),
        pytest.param(
            (
                DEV_HAS_2,
                cell(STAGING, record(STAGING)),
                cell(PROD, record(PROD), ask(V2, PROD)),
            ),
            {},
            {"ProvenBefore": "closed WaitingForProof"},
            id="every environment before must have proven it, not only the first",
        ),
        pytest.param(
            (cell(DEV, record(DEV, V2), members={"dev-1": {"health": CRASHING}}), WANTS_2),
            {},
            {"ProvenBefore": "closed FailingBefore"},
            id="it is proven before and fails there now",
        ),
        pytest.param(
            (
                cell(DEV, record(DEV, V2), members={"dev-1": {"health": CRASHING, **UNREAD}}),
                WANTS_2,
            ),
            {},
            {},
            id="a failure that was seen some time ago is no failure now",
        ),
        pytest.param(
            (
                cell(
                    DEV,
                    record(DEV, V1, proofs=(proof(V1), proof(V2))),
                    members={"dev-1": {"health": CRASHING}},
                ),
                WANTS_2,
            ),
            {},
            {},
            id="what fails there is another release",
        ),
        pytest.param(
            (DEV_HAS_2, replace(WANTS_2, depends=((ServiceName("api"), True),))),
            {},
            {},
            id="what it depends on is proven",
        ),
        pytest.param(
            (DEV_HAS_2, replace(WANTS_2, depends=((ServiceName("api"), False),))),
            {},
            {"DependsOn": "closed WaitingForDependency"},
            id="what it depends on is not proven",
        ),
        pytest.param(
            (DEV_HAS_2, replace(WANTS_2, depends=((ServiceName("api"), None),))),
            {},
            {"DependsOn": "unknown WaitingForDependency"},
            id="what it depends on is not known",
        ),
        pytest.param(
            (DEV_HAS_2, WANTS_2),
            {"fuses_blown": {WEB: BLOWN_UNTIL}},
            {"FuseIntact": "closed FuseBlown"},
            id="the service's fuse is blown",
        ),
        pytest.param(
            (DEV_HAS_2, WANTS_2),
            {"fuses_blown": {ServiceName("api"): BLOWN_UNTIL}},
            {},
            id="the fuse of another service is blown",
        ),
        pytest.param(
            (DEV_HAS_2, WANTS_2),
            {"fleet_fuse_blown": BLOWN_UNTIL},
            {"FuseIntact": "closed FuseBlown"},
            id="the fleet's fuse is blown",
        ),
        pytest.param(
            (DEV_HAS_2, WANTS_2),
            {"platform_incident": frozenset({ServiceName("api"), ServiceName("db")})},
            {"NoPlatformIncident": "closed PlatformIncident"},
            id="several other services turned bad together",
        ),
        pytest.param(
            (
                DEV_HAS_2,
                cell(
                    STAGING,
                    record(STAGING, rejections=(rejection(V2, STAGING),)),
                    ask(V2, STAGING),
                ),
            ),
            {},
            {"NotRejected": "closed Rejected"},
            id="it was rejected here",
        ),
        pytest.param(
            (cell(DEV, record(DEV, V2, rejections=(rejection(V2),))), WANTS_2),
            {},
            {"NotRejected": "closed Rejected"},
            id="it was rejected in an environment before, which names this one",
        ),
        pytest.param(
            (
                cell(DEV, record(DEV, V2, rejections=(rejection(V2, environments=(DEV,)),))),
                WANTS_2,
            ),
            {},
            {},
            id="a rejection holds only where it names the environment",
        ),
        pytest.param(
            (
                DEV_HAS_2,
                cell(
                    STAGING,
                    record(
                        STAGING,
                        rejections=(
                            rejection(V1, STAGING, part=Part.TREE, part_digest=V1.tree_digest),
                        ),
                    ),
                    ask(V2, STAGING),
                ),
            ),
            {},
            {"NotRejected": "closed Rejected"},
            id="another release repeats the part that was rejected",
        ),
        pytest.param(
            (DEV_HAS_2, staging(quarantine=(entry(rejection(V2, STAGING)),))),
            {},
            {"NotQuarantined": "closed Quarantined"},
            id="Git holds a part of it, though no record does",
        ),
        pytest.param(
            (DEV_HAS_2, staging(quarantine=None)),
            {},
            {"NotQuarantined": "unknown QuarantineUnreadable"},
            id="the quarantine cannot be read",
        ),
        pytest.param(
            (
                DEV_HAS_2,
                cell(
                    STAGING,
                    record(
                        STAGING,
                        V1,
                        rejections=(rejection(V3, STAGING, rolled_back_at=None),),
                    ),
                    ask(V2, STAGING),
                ),
            ),
            {},
            {"RollBackComplete": "closed RollingBack"},
            id="a roll-back is under way",
        ),
        pytest.param(
            (
                DEV_HAS_2,
                cell(STAGING, record(STAGING), ask(V2, STAGING), members={"staging-1": AWAY}),
            ),
            {},
            {"ClustersReachable": "unknown ClusterUnreachable"},
            id="a cluster of the first wave does not answer",
        ),
        pytest.param(
            (
                DEV_HAS_2,
                cell(STAGING, record(STAGING), ask(V2, STAGING), members={"staging-1": UNREAD}),
            ),
            {},
            {"ClustersReachable": "unknown ClusterUnknown"},
            id="a cluster of the first wave was not read yet",
        ),
        pytest.param(
            (
                DEV_HAS_2,
                cell(STAGING, record(STAGING, V2)),
                cell(PROD, record(PROD), ask(V2, PROD), members={"prod-3": AWAY}),
            ),
            {},
            {},
            id="a cluster of a later wave does not answer, and delays nobody yet",
        ),
    ],
)
def test_the_gates_that_hold_an_admission(
    cells: tuple[Cell, ...], fleet: dict[str, Any], shut: dict[str, str]
) -> None:
    seen = view(*cells, fleet=FleetSummary(**fleet))
    assert seen.cell.ask.wanted is not None
    found = gates.admission(seen, seen.cell.ask.wanted)
    assert states(found) == shut
    assert gates.shut(found) == tuple(g for g in found if g.state is not GateState.OPEN)
    assert all(gate.message and gate.unblock for gate in gates.shut(found))


def test_going_to_what_is_proven_here_skips_what_makes_forward_slow() -> None:
    known = record(STAGING, V1, proofs=(proof(V1, STAGING), proof(V2, STAGING)))
    back = cell(STAGING, known, ask(V2, STAGING, paused=True), members={"staging-1": AWAY})
    fleet = FleetSummary({WEB: BLOWN_UNTIL}, BLOWN_UNTIL, frozenset({WEB}))
    seen = view(cell(DEV, record(DEV)), back, fleet=fleet)
    assert not gates.shut(gates.admission(seen, V2))


@pytest.mark.parametrize(
    ("changes", "shut"),
    [
        pytest.param({"rejections": ()}, {}, id="it is proven here"),
        pytest.param(
            {"rejections": (rejection(V2, STAGING),)},
            {"NotRejected": "closed Rejected"},
            id="it was rejected after its proof",
        ),
        pytest.param(
            {"rejections": (rejection(revision("3"), STAGING, rolled_back_at=None),)},
            {"RollBackComplete": "closed RollingBack"},
            id="a roll-back is not complete",
        ),
    ],
)
def test_even_backward_is_held_by(changes: dict[str, Any], shut: dict[str, str]) -> None:
    proofs = (proof(V1, STAGING), proof(V2, STAGING))
    known = record(STAGING, V1, proofs=proofs, **changes)
    seen = view(cell(DEV, record(DEV)), cell(STAGING, known, ask(V2, STAGING)))
    assert states(gates.admission(seen, V2)) == shut


def test_a_person_lifts_a_rejection_by_saying_so_in_its_entry_and_not_by_taking_it_out() -> None:
    made = rejection(V2, STAGING)
    known = record(STAGING, rejections=(made,))
    gone = view(DEV_HAS_2, cell(STAGING, known, ask(V2, STAGING)))
    assert states(gates.admission(gone, V2)) == {"NotRejected": "closed Rejected"}
    lifted = ask(V2, STAGING, lifted=(entry(made, lifted="it was the node"),))
    assert not gates.shut(gates.admission(view(DEV_HAS_2, cell(STAGING, known, lifted)), V2))
    other = replace(entry(made, lifted="another"), rejected_at=(NOW + timedelta(1)).isoformat())
    still = view(DEV_HAS_2, cell(STAGING, known, ask(V2, STAGING, lifted=(other,))))
    assert states(gates.admission(still, V2)) == {"NotRejected": "closed Rejected"}


def test_each_wave_is_gated_anew_but_not_by_what_only_concerns_the_beginning() -> None:
    known = record(STAGING, V2, rollout=rollout(V2, STAGING))
    running = cell(STAGING, known, ask(V2, STAGING), members={"staging-1": AWAY})
    waiting = replace(running, depends=((ServiceName("api"), False),))
    assert not gates.shut(gates.next_wave(view(DEV_HAS_2, waiting), V2))
    failing = cell(DEV, record(DEV, V2), members={"dev-1": {"health": CRASHING}})
    assert states(gates.next_wave(view(failing, running), V2)) == {
        "ProvenBefore": "closed FailingBefore"
    }


@pytest.mark.parametrize(
    ("changes", "returning"),
    [
        pytest.param({"rolled_back_at": None}, True, id="a rejection is not rolled back yet"),
        pytest.param({}, False, id="it is rolled back"),
        pytest.param(
            {"rolled_back_at": None, "restore_to": None}, False, id="there is nothing to go back to"
        ),
        pytest.param(
            {"rolled_back_at": None, "restore_to": V2},
            False,
            id="something else is admitted by now",
        ),
    ],
)
def test_a_cell_is_returning_when(changes: dict[str, Any], returning: bool) -> None:
    known = record(DEV, V1, rejections=(rejection(revision("3"), **changes), rejection(V2)))
    assert gates.is_returning(cell(DEV, known)) is returning


def test_a_cell_without_a_record_is_not_returning() -> None:
    assert not gates.is_returning(cell(DEV, None, ask(V1)))


def test_an_unknown_health_before_does_not_count_as_failing() -> None:
    unknown = MemberHealth(HealthStatus.UNKNOWN, "Unread", "it could not be read")
    before = cell(DEV, record(DEV, V2), members={"dev-1": {"health": unknown}})
    assert not gates.shut(gates.admission(view(before, WANTS_2), V2))


# What another renderer makes of a revision is another thing to prove.

NEW_1, NEW_2 = (revision(v, renderer="assembly/2") for v in ("1.0.0", "2.0.0"))


@pytest.mark.parametrize(
    ("dev", "shut"),
    [
        pytest.param(
            cell(DEV, record(DEV, V2, proofs=(proof(V2),))),
            {"ProvenBefore": "closed WaitingForProof"},
            id="it was never proven before",
        ),
        pytest.param(
            cell(DEV, record(DEV, V1), ask(NEW_1)),
            {"ProvenBefore": "closed RenderChanged"},
            id="it is proven before as another renders it, and will be as this one does",
        ),
        pytest.param(
            cell(DEV, record(DEV, V1, proofs=(proof(V1), proof(NEW_2))), ask(NEW_1)),
            {"ProvenBefore": "closed RenderChanged"},
            id="while it will be, another release proven by this one does not stand for it",
        ),
        pytest.param(
            cell(DEV, record(DEV, NEW_1), ask(NEW_1)),
            {},
            id="it is proven before as this one renders it",
        ),
        pytest.param(
            cell(DEV, record(DEV, V2, proofs=(proof(V2), proof(V1))), ask(NEW_2)),
            {"ProvenBefore": "closed RenderChanged"},
            id="before, they have gone on, and nothing is proven by this one yet",
        ),
        pytest.param(
            cell(DEV, record(DEV, NEW_2, proofs=(proof(NEW_2), proof(V1))), ask(NEW_2)),
            {},
            id="before, they have gone on, and what they run is proven by this one",
        ),
        pytest.param(
            cell(
                DEV,
                record(DEV, NEW_2, proofs=(proof(NEW_2, opens_gates=False), proof(V1))),
                ask(NEW_2),
            ),
            {"ProvenBefore": "closed RenderChanged"},
            id="before, they have gone on to what was only adopted",
        ),
        pytest.param(
            cell(DEV, record(DEV, NEW_2, proofs=(proof(NEW_2), proof(V1))), ask(None)),
            {},
            id="before, nothing is asked for any more",
        ),
    ],
)
def test_a_renderer_goes_through_the_environments_in_order(dev: Cell, shut: dict[str, str]) -> None:
    seen = view(dev, cell(STAGING, record(STAGING), ask(NEW_1, STAGING)))
    found = gates.admission(seen, NEW_1)
    assert states(found) == shut


def test_the_gate_names_both_renderers() -> None:
    seen = view(cell(DEV, record(DEV)), cell(STAGING, record(STAGING), ask(NEW_1, STAGING)))
    (gate,) = gates.shut(gates.admission(seen, NEW_1))
    assert "as assembly/1 renders it" in gate.message
    assert "as assembly/2 does" in gate.message


SAME = RenderDigest("sha256:same")


@pytest.mark.parametrize(
    ("proven", "asked", "rejected", "carries"),
    [
        pytest.param({"renders": SAME}, SAME, (), True, id="it renders to what is proven"),
        pytest.param(
            {"renders": RenderDigest("sha256:x")}, SAME, (), False, id="it renders otherwise"
        ),
        pytest.param({"renders": None}, None, (), False, id="what either renders to is not known"),
        pytest.param({"renders": None}, SAME, (), False, id="what was proven is not known"),
        pytest.param({"renders": SAME}, None, (), False, id="what it renders to is not known"),
        pytest.param(
            {"renders": SAME}, SAME, (rejection(V1),), False, id="what is proven was rejected since"
        ),
    ],
)
def test_a_proof_carries_over_when(
    proven: dict[str, Any], asked: Any, rejected: tuple[Any, ...], carries: bool
) -> None:
    known = record(DEV, V1, proofs=(proof(V1, **proven),), rejections=rejected)
    found = gates.carried_proof(cell(DEV, known, ask(NEW_1, renders=asked)), NEW_1)
    assert found == (proof(NEW_1, renders=SAME) if carries else None)


def test_what_is_not_what_is_asked_for_carries_nothing() -> None:
    known = record(DEV, V1, proofs=(proof(V1, renders=SAME),))
    given = cell(DEV, known, ask(NEW_1, renders=SAME))
    assert gates.carried_proof(given, NEW_2) is None
    assert gates.carried_proof(cell(DEV, None, ask(NEW_1, renders=SAME)), NEW_1) is None
